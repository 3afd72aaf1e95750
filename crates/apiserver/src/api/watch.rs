//! Following changes: one JSON document a line, for as long as the caller listens.
//!
//! An object that comes to match the selector arrives as ADDED and one that no longer does leaves as DELETED, whatever
//! happened to it in the store.

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

use super::path::Path;
use super::query::Query;
use super::selector::Selector;
use super::table::{self, Form};
use super::{Api, Failure};
use crate::store::StoreEvent;

/// How often a watcher that asks for it is told how far it has come.
const BOOKMARK: Duration = Duration::from_secs(60);

struct Watch {
    api: Api,
    form: Form,
    latest: watch::Receiver<u64>,
    path: Path,
    selector: Selector,
    /// The version up to which everything has been told.
    seen: u64,
    queue: VecDeque<Value>,
    bookmarks: bool,
    ends: Option<Instant>,
    over: bool,
}

pub(super) fn respond(
    api: &Api,
    path: &Path,
    query: &Query,
    form: Form,
) -> Result<Response, Failure> {
    let selector = Selector::of(query)?.named(path.name.as_deref());
    selector.check(&path.kind)?;
    let mut watch = Watch {
        api: api.clone(),
        form,
        latest: api.store.latest(),
        path: path.clone(),
        selector,
        seen: 0,
        queue: VecDeque::new(),
        bookmarks: query.is_set("allowWatchBookmarks"),
        ends: query.timeout().map(|timeout| Instant::now() + timeout),
        over: false,
    };
    watch.start(query)?;
    let body = Body::from_stream(stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        let event = watch.formed(event);
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
    fn start(&mut self, query: &Query) -> Result<(), Failure> {
        let initial = query.is_set("sendInitialEvents");
        match query.get("resourceVersion") {
            Some(version) if !initial && version != "0" => {
                self.seen = version.parse().map_err(|_| {
                    Failure::bad_request(format!(
                        "Invalid value: {version:?}: resourceVersion is no number"
                    ))
                })?;
                self.api.store.changes(self.seen)?;
            }
            _ => self.list(initial && self.bookmarks),
        }
        Ok(())
    }

    fn list(&mut self, marked: bool) {
        let (objects, version) = self
            .api
            .store
            .list(&self.path.resource(), self.path.namespace.as_deref());
        self.seen = version;
        let matching = objects
            .iter()
            .filter(|object| self.selector.matches(&self.path.kind, object));
        self.queue = matching
            .map(|object| json!({"type": "ADDED", "object": **object}))
            .collect();
        if marked {
            let mut mark = self.bookmark();
            mark["object"]["metadata"]["annotations"] =
                json!({"k8s.io/initial-events-end": "true"});
            self.queue.push_back(mark);
        }
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            self.latest.borrow_and_update();
            match self.api.store.changes(self.seen) {
                Ok(changes) if changes.is_empty() => self.wait().await?,
                Ok(changes) => self.tell(&changes),
                Err(too_old) => {
                    self.over = true;
                    return Some(
                        json!({"type": "ERROR", "object": Failure::from(too_old).to_status()}),
                    );
                }
            }
        }
    }

    /// Waits for a change; queues a bookmark when none comes for long. None once the watch is over.
    async fn wait(&mut self) -> Option<()> {
        let forever = Duration::from_secs(365 * 24 * 3600);
        let ends = self.ends.unwrap_or_else(|| Instant::now() + forever);
        tokio::select! {
            changed = self.latest.changed() => changed.ok(),
            () = tokio::time::sleep_until(ends) => None,
            () = tokio::time::sleep(BOOKMARK), if self.bookmarks => {
                self.queue.push_back(self.bookmark());
                Some(())
            }
        }
    }

    fn tell(&mut self, changes: &[StoreEvent]) {
        let resource = self.path.resource();
        for change in changes {
            self.seen = change.version;
            let here = self
                .path
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == change.key.namespace);
            if here && change.key.resource == resource {
                self.queue.extend(self.event(change));
            }
        }
    }

    fn event(&self, change: &StoreEvent) -> Option<Value> {
        let (kind, object) = match (
            self.matching(change.before.as_deref()),
            self.matching(change.after.as_deref()),
        ) {
            (None, Some(after)) => ("ADDED", after.clone()),
            (Some(_), Some(after)) => ("MODIFIED", after.clone()),
            (Some(before), None) => {
                // It is gone for this watcher at the version of the change that took it away.
                let mut last = before.clone();
                last["metadata"]["resourceVersion"] = json!(change.version.to_string());
                ("DELETED", last)
            }
            (None, None) => return None,
        };
        Some(json!({"type": kind, "object": object}))
    }

    /// An event in the form that was asked for. Errors and bookmarks are what they are.
    fn formed(&self, mut event: Value) -> Value {
        if let Form::Table(carried) = self.form
            && matches!(
                event["type"].as_str(),
                Some("ADDED" | "MODIFIED" | "DELETED")
            )
        {
            let object = event["object"].take();
            let version = object["metadata"]["resourceVersion"].clone();
            let one = std::iter::once(&object);
            event["object"] = table::of(&self.api, &self.path.kind, carried, &version, one);
        }
        event
    }

    fn matching<'a>(&self, object: Option<&'a Value>) -> Option<&'a Value> {
        object.filter(|object| self.selector.matches(&self.path.kind, object))
    }

    fn bookmark(&self) -> Value {
        json!({"type": "BOOKMARK", "object": {
            "kind": self.path.kind.kind,
            "apiVersion": self.path.kind.api_version(),
            "metadata": {"resourceVersion": self.seen.to_string()},
        }})
    }
}
