//! The subresource `log`.

use axum::body::Body;
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use container_runtime::LogLine;
use futures::{Stream, StreamExt as _, stream};
use http::header::CONTENT_TYPE;
use jiff::Timestamp;

use super::container::{self, Instance};
use super::query::Query;
use super::request_info::RequestInfo;
use super::{Api, StatusError};

pub(super) async fn respond(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
) -> Result<Response, StatusError> {
    let options = LogOptions::parse(query, api.clock.now())?;
    let instance = if query.is_set("previous") {
        Instance::Previous
    } else {
        Instance::Current
    };
    let id = container::find(api, info, query, instance)?;
    let runtime = container::runtime(api)?;
    let read = async |follow| runtime.logs(&id, follow).await;
    let follow = query.is_set("follow");
    let mut skipped_lines = 0;
    if let Some(tail_lines) = options.tail_lines {
        let lines = read(false)
            .await
            .map_err(|error| container::runtime_error(&error))?;
        let recent = lines.filter(|line| std::future::ready(options.is_recent(line)));
        skipped_lines = recent.count().await.saturating_sub(tail_lines);
    }
    let lines = read(follow)
        .await
        .map_err(|error| container::runtime_error(&error))?;
    let recent = lines.filter(move |line| std::future::ready(options.is_recent(line)));
    let text = recent
        .skip(skipped_lines)
        .map(move |line| options.format(&line));
    let limit_bytes = options.limit_bytes.unwrap_or(usize::MAX);
    let body =
        Body::from_stream(limit_len(text, limit_bytes).map(Ok::<_, std::convert::Infallible>));
    Ok(Response::builder()
        .header(CONTENT_TYPE, "text/plain")
        .body(body)
        .expect("one header makes a response"))
}

/// `PodLogOptions` of the query.
#[derive(Clone, Copy)]
struct LogOptions {
    tail_lines: Option<usize>,
    since: Option<Timestamp>,
    limit_bytes: Option<usize>,
    timestamps: bool,
}

impl LogOptions {
    fn parse(query: &Query, now: Timestamp) -> Result<Self, StatusError> {
        let number = |name: &str| -> Result<Option<usize>, StatusError> {
            let Some(text) = query.get(name) else {
                return Ok(None);
            };
            let parsed = text.parse().map_err(|_| {
                StatusError::bad_request(format!(
                    "invalid {name} {text:?}: must be a non-negative number"
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
                StatusError::bad_request(format!(
                    "invalid sinceTime {time:?}: must be an RFC 3339 time"
                ))
            })?),
            (None, None) => None,
        };
        Ok(Self {
            tail_lines: number("tailLines")?,
            since,
            limit_bytes: number("limitBytes")?,
            timestamps: query.is_set("timestamps"),
        })
    }

    fn is_recent(&self, line: &LogLine) -> bool {
        self.since.is_none_or(|since| line.at >= since)
    }

    fn format(&self, line: &LogLine) -> Bytes {
        if !self.timestamps {
            return line.text.clone();
        }
        let mut text = BytesMut::new();
        text.put_slice(line.at.to_string().as_bytes());
        text.put_u8(b' ');
        text.put_slice(&line.text);
        text.freeze()
    }
}

/// Truncates the stream after `limit` bytes.
fn limit_len(
    text: impl Stream<Item = Bytes> + Send + 'static,
    limit: usize,
) -> impl Stream<Item = Bytes> + Send {
    let text = Box::pin(text);
    stream::unfold((text, limit), |(mut text, remaining)| async move {
        if remaining == 0 {
            return None;
        }
        let mut bytes = text.next().await?;
        bytes.truncate(remaining);
        let remaining = remaining - bytes.len();
        Some((bytes, (text, remaining)))
    })
}
