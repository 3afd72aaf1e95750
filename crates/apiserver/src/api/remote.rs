//! A command in a container, or the container's own process, with its streams: over a WebSocket (the subprotocols of
//! `channel.k8s.io`: v5, v4, the first, and the last two in text) or over SPDY, which was all that kubectl spoke before 1.29.

use axum::extract::FromRequestParts as _;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use container_runtime::{ExecOptions, ExecSession};
use futures::future::BoxFuture;
use http::request::Parts;

use super::container::{self, Instance};
use super::path::Path;
use super::query::Query;
use super::{Api, Failure, spdy};

mod channels;
mod size;
mod status;
mod streams;

/// By the same name over SPDY; there is no v5 of it there.
const V4: &str = "v4.channel.k8s.io";
const V5: &str = "v5.channel.k8s.io";
/// Those in text, for clients whose WebSockets have no bytes.
const BASE64_V4: &str = "v4.base64.channel.k8s.io";
const BASE64: &str = "base64.channel.k8s.io";
/// What is spoken where a client names none.
const V1: &str = "channel.k8s.io";

/// Begins what a client is to be connected with, once it is; or says why not, in the kubelet's words.
type Start = BoxFuture<'static, Result<ExecSession, String>>;

/// Runs a command for `kubectl exec`.
pub(super) async fn exec(
    api: &Api,
    path: &Path,
    query: &Query,
    parts: Parts,
) -> Result<Response, Failure> {
    let command = command(parts.uri.query().unwrap_or_default())?;
    let id = container::find(api, path, query, Instance::Running)?;
    let runtime = container::runtime(api)?;
    let options = ExecOptions {
        stdin: query.is_set("stdin"),
        tty: query.is_set("tty"),
    };
    let start = async move {
        let started = runtime.exec_stream(&id, &command, options).await;
        started.map_err(|error| format!("error executing command in container: {error}"))
    };
    connect(api, query, parts, Box::pin(start)).await
}

/// Joins a container's own process for `kubectl attach` and `kubectl run -it`.
pub(super) async fn attach(
    api: &Api,
    path: &Path,
    query: &Query,
    parts: Parts,
) -> Result<Response, Failure> {
    let id = container::find(api, path, query, Instance::Running)?;
    let runtime = container::runtime(api)?;
    let stdin = query.is_set("stdin");
    let start = async move {
        let attached = runtime.attach(&id, stdin).await;
        attached.map_err(|error| format!("error attaching to container: {error}"))
    };
    connect(api, query, parts, Box::pin(start)).await
}

async fn connect(
    api: &Api,
    query: &Query,
    mut parts: Parts,
    start: Start,
) -> Result<Response, Failure> {
    let component = api.component.clone();
    if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        return Ok(upgrade
            .protocols([V5, V4, BASE64_V4, V1, BASE64])
            .on_upgrade(move |socket| async move {
                component.run_once(channels::serve(socket, start)).await;
            }));
    }
    let wanted = streams::wanted(query);
    let (response, connection) = spdy::upgrade(&mut parts, V4)?;
    tokio::spawn(async move {
        let session = async {
            if let Some(connection) = connection.await {
                streams::serve(connection, &wanted, start).await;
            }
        };
        component.run_once(session).await;
    });
    Ok(response)
}

/// The words of the command, each an option of its own.
fn command(query: &str) -> Result<Vec<String>, Failure> {
    let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    let command: Vec<String> = pairs
        .filter(|(name, _)| name == "command")
        .map(|(_, value)| value)
        .collect();
    if command.is_empty() {
        let message = "you must specify at least 1 container command";
        return Err(Failure::bad_request(message));
    }
    Ok(command)
}

#[cfg(test)]
mod tests;
