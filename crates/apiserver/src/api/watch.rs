//! Watches: a stream of events, one JSON document per line, until the client disconnects or the watch times out.
//!
//! An object that starts to match the selector is reported as ADDED, and one that no longer matches as DELETED, whether it
//! was created, changed or deleted in the store.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::query::Query;
use super::request_info::RequestInfo;
use super::selector::Selector;
use super::table::{self, ResponseFormat};
use super::{Api, StatusError};
use crate::store::StoreEvent;

/// Time without events after which a bookmark is sent, if the client allows bookmarks.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

struct Watch {
    api: Api,
    format: ResponseFormat,
    latest: watch::Receiver<u64>,
    info: RequestInfo,
    selector: Selector,
    /// Resource version up to which all changes are in `queue` or sent.
    seen: u64,
    queue: VecDeque<Value>,
    allow_bookmarks: bool,
    deadline: Option<Instant>,
    is_finished: bool,
}

pub(super) fn respond(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    format: ResponseFormat,
) -> Result<Response, StatusError> {
    let selector = Selector::from_query(query)?.with_name(info.name.as_deref());
    selector.check_fields(info.kind)?;
    let mut watch = Watch {
        api: api.clone(),
        format,
        latest: api.store.latest(),
        info: info.clone(),
        selector,
        seen: 0,
        queue: VecDeque::new(),
        allow_bookmarks: query.is_set("allowWatchBookmarks"),
        deadline: query.timeout().map(|timeout| Instant::now() + timeout),
        is_finished: false,
    };
    watch.start(query)?;
    let body = Body::from_stream(stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        let event = watch.format_event(event);
        let mut line = serde_json::to_vec(&event).expect("JSON values serialise");
        line.push(b'\n');
        Some((Ok::<_, Infallible>(Bytes::from(line)), watch))
    }));
    Ok(Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .expect("one header makes a response"))
}

impl Watch {
    /// Starts after the requested resource version, or with events for all existing objects.
    fn start(&mut self, query: &Query) -> Result<(), StatusError> {
        let send_initial_events = query.is_set("sendInitialEvents");
        match query.get("resourceVersion") {
            Some(version) if !send_initial_events && version != "0" => {
                self.seen = version.parse().map_err(|_| {
                    StatusError::bad_request(format!(
                        "Invalid value: {version:?}: resourceVersion is not a number"
                    ))
                })?;
                self.api.store.changes(self.seen)?;
            }
            _ => {
                self.queue_existing();
                if send_initial_events && self.allow_bookmarks {
                    let mut bookmark = self.bookmark();
                    bookmark["object"]["metadata"]["annotations"] =
                        json!({"k8s.io/initial-events-end": "true"});
                    self.queue.push_back(bookmark);
                }
            }
        }
        Ok(())
    }

    fn queue_existing(&mut self) {
        let (objects, version) = self
            .api
            .store
            .list(&self.info.resource(), self.info.namespace.as_deref());
        self.seen = version;
        let matching = objects
            .iter()
            .filter(|object| self.selector.matches(self.info.kind, object));
        self.queue = matching
            .map(|object| json!({"type": "ADDED", "object": **object}))
            .collect();
    }

    /// Returns the next event; `None` when the watch has finished.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.is_finished {
                return None;
            }
            self.latest.borrow_and_update();
            match self.api.store.changes(self.seen) {
                Ok(changes) if changes.is_empty() => self.wait().await?,
                Ok(changes) => self.queue_events(&changes),
                Err(compacted) => {
                    self.is_finished = true;
                    return Some(
                        json!({"type": "ERROR", "object": StatusError::from(compacted).to_status()}),
                    );
                }
            }
        }
    }

    /// Waits for a change, or queues a bookmark after [`BOOKMARK_INTERVAL`]. Returns `None` at the deadline or when the
    /// store is closed.
    async fn wait(&mut self) -> Option<()> {
        let deadline = self.deadline;
        let expired = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.latest.changed() => changed.ok(),
            () = expired => None,
            () = tokio::time::sleep(BOOKMARK_INTERVAL), if self.allow_bookmarks => {
                self.queue.push_back(self.bookmark());
                Some(())
            }
        }
    }

    fn queue_events(&mut self, changes: &[StoreEvent]) {
        let resource = self.info.resource();
        for change in changes {
            self.seen = change.version;
            let is_in_namespace = self
                .info
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == change.key.namespace);
            if is_in_namespace && change.key.resource == resource {
                self.queue.extend(self.event(change));
            }
        }
    }

    fn event(&self, change: &StoreEvent) -> Option<Value> {
        let (event_type, object) = match (
            self.matching(change.before.as_deref()),
            self.matching(change.after.as_deref()),
        ) {
            (None, Some(after)) => ("ADDED", after.clone()),
            (Some(_), Some(after)) => ("MODIFIED", after.clone()),
            (Some(before), None) => {
                // The event has the version of the change that removed the object from the selection.
                let mut last = before.clone();
                last["metadata"]["resourceVersion"] = json!(change.version.to_string());
                ("DELETED", last)
            }
            (None, None) => return None,
        };
        Some(json!({"type": event_type, "object": object}))
    }

    /// Converts an event to the requested format. Errors and bookmarks have no table format.
    fn format_event(&self, mut event: Value) -> Value {
        if let ResponseFormat::Table(include_object) = self.format
            && matches!(
                event["type"].as_str(),
                Some("ADDED" | "MODIFIED" | "DELETED")
            )
        {
            let object = event["object"].take();
            let version = object["metadata"]["resourceVersion"].clone();
            let objects = std::iter::once(&object);
            event["object"] =
                table::build(&self.api, self.info.kind, include_object, &version, objects);
        }
        event
    }

    fn matching<'a>(&self, object: Option<&'a Value>) -> Option<&'a Value> {
        object.filter(|object| self.selector.matches(self.info.kind, object))
    }

    fn bookmark(&self) -> Value {
        json!({"type": "BOOKMARK", "object": {
            "kind": self.info.kind.kind,
            "apiVersion": self.info.kind.api_version(),
            "metadata": {"resourceVersion": self.seen.to_string()},
        }})
    }
}
