//! The subresource `portforward`: TCP connections to a pod's ports, multiplexed over SPDY/3.1, over SPDY tunnelled through
//! a WebSocket (both used by kubectl), or over the channels of `v4.channel.k8s.io` (other clients).

use std::sync::Arc;
use std::{future, io};

use axum::extract::FromRequestParts as _;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use component_helpers::supervisor::Component;
use container_runtime::SandboxId;
use futures::future::BoxFuture;
use http::request::Parts;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use self::requests::ForwardRequests;
use super::spdy;
use crate::api::request_info::RequestInfo;
use crate::api::{Api, StatusError, container, read};

mod channels;
mod connection;
mod requests;
mod tunnel;

const SPDY_PROTOCOL: &str = "portforward.k8s.io";
const TUNNEL_PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";
const CHANNEL_PROTOCOL: &str = "v4.channel.k8s.io";

/// Maximum number of ports of one request: each has two channels, which are numbered by one byte.
const MAX_PORTS: usize = 128;

/// Pod to whose ports connections are forwarded.
#[derive(Clone)]
struct TargetPod {
    name: String,
    uid: String,
    dial: Arc<dyn Fn(u16) -> BoxFuture<'static, io::Result<TcpStream>> + Send + Sync>,
}

impl TargetPod {
    fn find(api: &Api, info: &RequestInfo) -> Result<Self, StatusError> {
        let name = info.name.clone().unwrap_or_default();
        let pod = read::object(api, info, &name)?;
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        if phase != "Running" {
            return Err(StatusError::bad_request(format!(
                "pod {name:?} is not running: its phase is {phase:?}"
            )));
        }
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let runtime = container::runtime(api)?;
        let sandbox = SandboxId(uid.to_owned());
        Ok(Self {
            name,
            uid: uid.to_owned(),
            dial: Arc::new(move |port| {
                let (runtime, sandbox) = (runtime.clone(), sandbox.clone());
                Box::pin(async move { runtime.connect(&sandbox, port).await })
            }),
        })
    }

    /// Connects to a port. The error has the kubelet's text.
    async fn connect(&self, port: u16) -> Result<TcpStream, String> {
        let (name, uid) = (&self.name, &self.uid);
        let connected = (self.dial)(port).await;
        connected.map_err(|error| {
            format!("error forwarding port {port} to pod {name}, uid {uid}: {error}")
        })
    }
}

pub(in crate::api) async fn respond(
    api: &Api,
    info: &RequestInfo,
    mut parts: Parts,
) -> Result<Response, StatusError> {
    let pod = TargetPod::find(api, info)?;
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => {
            let query = parts.uri.query().unwrap_or_default();
            upgrade_to_websocket(upgrade, pod, query, api.component.clone())
        }
        Err(_) => upgrade_to_spdy(&mut parts, pod, api.component.clone()),
    }
}

fn upgrade_to_websocket(
    upgrade: WebSocketUpgrade,
    pod: TargetPod,
    query: &str,
    component: Component,
) -> Result<Response, StatusError> {
    let upgrade = upgrade.protocols([TUNNEL_PROTOCOL, CHANNEL_PROTOCOL]);
    let protocol = upgrade.selected_protocol();
    match protocol.and_then(|protocol| protocol.to_str().ok()) {
        Some(TUNNEL_PROTOCOL) => Ok(upgrade.on_upgrade(move |socket| async move {
            component.run_once(tunnel::serve(socket, pod)).await;
        })),
        Some(CHANNEL_PROTOCOL) => {
            let ports = parse_ports(query)?;
            Ok(upgrade.on_upgrade(move |socket| async move {
                component
                    .run_once(channels::serve(socket, pod, ports))
                    .await;
            }))
        }
        _ => Err(StatusError::bad_request(format!(
            "unable to negotiate protocol: supported are {TUNNEL_PROTOCOL} and {CHANNEL_PROTOCOL}"
        ))),
    }
}

fn upgrade_to_spdy(
    parts: &mut Parts,
    pod: TargetPod,
    component: Component,
) -> Result<Response, StatusError> {
    let (response, connection) = spdy::upgrade(parts, SPDY_PROTOCOL)?;
    tokio::spawn(async move {
        let session = async {
            if let Some(connection) = connection.await {
                serve_spdy(connection, pod).await;
            }
        };
        component.run_once(session).await;
    });
    Ok(response)
}

/// Forwards connections over SPDY until the client closes the session.
async fn serve_spdy(connection: impl AsyncRead + AsyncWrite + Send + 'static, pod: TargetPod) {
    spdy::serve(connection, ForwardRequests::new(pod), future::pending()).await;
}

/// Parses the values of all parameters `ports`, which are ports or comma-separated lists of ports.
fn parse_ports(query: &str) -> Result<Vec<u16>, StatusError> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let values: Vec<_> = pairs
        .filter(|(name, _)| name == "ports")
        .map(|(_, value)| value)
        .collect();
    let ports: Result<Vec<u16>, _> = values
        .iter()
        .flat_map(|value| value.split(','))
        .map(|text| match text.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(StatusError::bad_request(format!(
                "unable to parse {text:?} as a port: must be between 1 and 65535"
            ))),
        })
        .collect();
    match ports? {
        ports if ports.len() > MAX_PORTS => Err(StatusError::bad_request(format!(
            "too many ports: at most {MAX_PORTS} can be forwarded"
        ))),
        ports if ports.is_empty() => Err(StatusError::bad_request(
            "query parameter \"ports\" is required",
        )),
        ports => Ok(ports),
    }
}

#[cfg(test)]
mod tests;
