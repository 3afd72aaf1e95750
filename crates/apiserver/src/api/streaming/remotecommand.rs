//! The subresources `exec` and `attach`: the standard streams of a command or of a container's main process, over a
//! WebSocket (`channel.k8s.io` in v1, v4 and v5, and base64 variants of v1 and v4) or over SPDY, which is the only protocol
//! of kubectl before 1.29.

use axum::extract::FromRequestParts as _;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use container_runtime::{ExecOptions, ExecSession};
use futures::future::BoxFuture;
use http::request::Parts;

use super::spdy;
use crate::api::container::{self, Instance};
use crate::api::query::Query;
use crate::api::request_info::RequestInfo;
use crate::api::{Api, StatusError};

mod channels;
mod size;
mod status;
mod streams;

/// Default protocol of a WebSocket without a subprotocol.
const V1: &str = "channel.k8s.io";
/// The only protocol over SPDY.
const V4: &str = "v4.channel.k8s.io";
const V5: &str = "v5.channel.k8s.io";
/// For clients that cannot send binary messages.
const BASE64_V1: &str = "base64.channel.k8s.io";
const BASE64_V4: &str = "v4.base64.channel.k8s.io";

/// Starts the session once the client is connected. Its error has the kubelet's text.
type StartSession = BoxFuture<'static, Result<ExecSession, String>>;

/// Runs a command for `kubectl exec`.
pub(in crate::api) async fn exec(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    parts: Parts,
) -> Result<Response, StatusError> {
    let command = command(parts.uri.query().unwrap_or_default())?;
    let id = container::find(api, info, query, Instance::Running)?;
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

/// Attaches to a container's main process for `kubectl attach` and `kubectl run -it`.
pub(in crate::api) async fn attach(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    parts: Parts,
) -> Result<Response, StatusError> {
    let id = container::find(api, info, query, Instance::Running)?;
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
    start: StartSession,
) -> Result<Response, StatusError> {
    let component = api.component.clone();
    if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        return Ok(upgrade
            .protocols([V5, V4, BASE64_V4, V1, BASE64_V1])
            .on_upgrade(move |socket| async move {
                component.run_once(channels::serve(socket, start)).await;
            }));
    }
    let stream_types = streams::requested_streams(query);
    let (response, connection) = spdy::upgrade(&mut parts, V4)?;
    tokio::spawn(async move {
        let session = async {
            if let Some(connection) = connection.await {
                streams::serve(connection, &stream_types, start).await;
            }
        };
        component.run_once(session).await;
    });
    Ok(response)
}

/// Returns the arguments of the command: the values of all parameters `command`.
fn command(query: &str) -> Result<Vec<String>, StatusError> {
    let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    let command: Vec<String> = pairs
        .filter(|(name, _)| name == "command")
        .map(|(_, value)| value)
        .collect();
    if command.is_empty() {
        let message = "you must specify at least 1 container command";
        return Err(StatusError::bad_request(message));
    }
    Ok(command)
}

#[cfg(test)]
mod tests;
