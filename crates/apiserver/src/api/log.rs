//! A container's log.

use axum::body::Body;
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use container_runtime::LogLine;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::header::CONTENT_TYPE;
use jiff::Timestamp;

use super::container::{self, Instance};
use super::path::Path;
use super::query::Query;
use super::{Api, Failure};

pub(super) async fn respond(api: &Api, path: &Path, query: &Query) -> Result<Response, Failure> {
    let options = Options::of(query, api.clock.now())?;
    let instance = if query.is_set("previous") {
        Instance::Previous
    } else {
        Instance::Current
    };
    let id = container::find(api, path, query, instance)?;
    let runtime = container::runtime(api)?;
    let read = async |follow| runtime.logs(&id, follow).await;
    let follow = query.is_set("follow");
    let wanted = options.clone();
    let mut skip = 0;
    if let Some(tail) = options.tail {
        let so_far = read(false)
            .await
            .map_err(|error| container::refused(&error))?;
        let recent = so_far.filter(|line| std::future::ready(wanted.is_recent(line)));
        skip = recent.count().await.saturating_sub(tail);
    }
    let lines = read(follow)
        .await
        .map_err(|error| container::refused(&error))?;
    let recent = lines.filter(move |line| std::future::ready(wanted.is_recent(line)));
    let timestamps = options.timestamps;
    let text = recent
        .skip(skip)
        .map(move |line| written(&line, timestamps));
    let body =
        Body::from_stream(limited(text, options.limit).map(Ok::<_, std::convert::Infallible>));
    Ok(Response::builder()
        .header(CONTENT_TYPE, "text/plain")
        .body(body)
        .expect("one header makes a response"))
}

#[derive(Clone)]
struct Options {
    tail: Option<usize>,
    since: Option<Timestamp>,
    limit: Option<usize>,
    timestamps: bool,
}

impl Options {
    fn of(query: &Query, now: Timestamp) -> Result<Self, Failure> {
        let number = |name: &str| -> Result<Option<usize>, Failure> {
            let Some(text) = query.get(name) else {
                return Ok(None);
            };
            let parsed = text.parse().map_err(|_| {
                Failure::bad_request(format!(
                    "invalid {name} {text:?}: it is a number, not negative"
                ))
            });
            parsed.map(Some)
        };
        let since = match (number("sinceSeconds")?, query.get("sinceTime")) {
            (Some(seconds), _) => {
                let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
                now.checked_sub(jiff::SignedDuration::from_secs(seconds))
                    .ok()
            }
            (None, Some(time)) => Some(time.parse().map_err(|_| {
                Failure::bad_request(format!(
                    "invalid sinceTime {time:?}: it is a time of RFC 3339"
                ))
            })?),
            (None, None) => None,
        };
        Ok(Self {
            tail: number("tailLines")?,
            since,
            limit: number("limitBytes")?,
            timestamps: query.is_set("timestamps"),
        })
    }

    fn is_recent(&self, line: &LogLine) -> bool {
        self.since.is_none_or(|since| line.at >= since)
    }
}

fn written(line: &LogLine, timestamps: bool) -> Bytes {
    if !timestamps {
        return line.text.clone();
    }
    let mut text = BytesMut::new();
    text.put_slice(line.at.to_string().as_bytes());
    text.put_u8(b' ');
    text.put_slice(&line.text);
    text.freeze()
}

/// At most `limit` bytes, and then the end.
fn limited(
    text: impl Stream<Item = Bytes> + Send + 'static,
    limit: Option<usize>,
) -> impl Stream<Item = Bytes> + Send {
    let room = limit.unwrap_or(usize::MAX);
    let text = Box::pin(text.map(Ok::<_, std::convert::Infallible>));
    stream::unfold((text, room), |(mut text, room)| async move {
        if room == 0 {
            return None;
        }
        let mut bytes = text.try_next().await.ok()??;
        bytes.truncate(room);
        let left = room - bytes.len();
        Some((bytes, (text, left)))
    })
}
