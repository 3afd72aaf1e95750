//! Connections to a pod's ports, carried over one to the API: SPDY/3.1, which kubectl speaks by itself or within a WebSocket,
//! and the channels of `v4.channel.k8s.io`, which other clients use.

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

use self::requests::Requests;
use super::path::Path;
use super::{Api, Failure, container, read, spdy};

mod channels;
mod connection;
mod requests;
mod tunnel;

const STREAMS: &str = "portforward.k8s.io";
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const CHANNELS: &str = "v4.channel.k8s.io";

/// The most that is carried at a time.
const CHUNK: usize = 32 << 10;

/// A pod whose ports are asked for.
#[derive(Clone)]
struct Pod {
    name: String,
    uid: String,
    dial: Arc<dyn Fn(u16) -> BoxFuture<'static, io::Result<TcpStream>> + Send + Sync>,
}

impl Pod {
    fn find(api: &Api, path: &Path) -> Result<Self, Failure> {
        let name = path.name.clone().unwrap_or_default();
        let pod = read::object(api, path, &name)?;
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        if phase != "Running" {
            return Err(Failure::bad_request(format!(
                "pod {name:?} is not running: its phase is {phase}"
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

    /// A connection to one of its ports; without one, the kubelet's words for that.
    async fn connect(&self, port: u16) -> Result<TcpStream, String> {
        let (name, uid) = (&self.name, &self.uid);
        let connected = (self.dial)(port).await;
        connected.map_err(|error| {
            format!("error forwarding port {port} to pod {name}, uid {uid}: {error}")
        })
    }
}

pub(super) async fn respond(api: &Api, path: &Path, mut parts: Parts) -> Result<Response, Failure> {
    let pod = Pod::find(api, path)?;
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => {
            let query = parts.uri.query().unwrap_or_default();
            over_web_socket(upgrade, pod, query, api.component.clone())
        }
        Err(_) => over_spdy(&mut parts, pod, api.component.clone()),
    }
}

fn over_web_socket(
    upgrade: WebSocketUpgrade,
    pod: Pod,
    query: &str,
    component: Component,
) -> Result<Response, Failure> {
    let upgrade = upgrade.protocols([TUNNEL, CHANNELS]);
    let protocol = upgrade.selected_protocol();
    match protocol.and_then(|protocol| protocol.to_str().ok()) {
        Some(TUNNEL) => Ok(upgrade.on_upgrade(move |socket| async move {
            component.run_once(tunnel::serve(socket, pod)).await;
        })),
        Some(CHANNELS) => {
            let ports = ports(query)?;
            Ok(upgrade.on_upgrade(move |socket| async move {
                component
                    .run_once(channels::serve(socket, pod, ports))
                    .await;
            }))
        }
        _ => Err(Failure::bad_request(format!(
            "unable to negotiate protocol: ports are forwarded by {TUNNEL} and {CHANNELS}"
        ))),
    }
}

fn over_spdy(parts: &mut Parts, pod: Pod, component: Component) -> Result<Response, Failure> {
    let (response, connection) = spdy::upgrade(parts, STREAMS)?;
    tokio::spawn(async move {
        let session = async {
            if let Some(connection) = connection.await {
                forward_over(connection, pod).await;
            }
        };
        component.run_once(session).await;
    });
    Ok(response)
}

/// Forwards over SPDY until the client ends it.
async fn forward_over(connection: impl AsyncRead + AsyncWrite + Send + 'static, pod: Pod) {
    spdy::serve(connection, Requests::to(pod), future::pending()).await;
}

/// The ports in the query, once each or in lists.
fn ports(query: &str) -> Result<Vec<u16>, Failure> {
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
            _ => Err(Failure::bad_request(format!(
                "unable to parse {text:?} as a port: it has to be from 1 to 65535"
            ))),
        })
        .collect();
    match ports? {
        // Two channels each, numbered by a byte.
        ports if ports.len() > 128 => Err(Failure::bad_request("more than 128 ports")),
        ports if ports.is_empty() => Err(Failure::bad_request(
            "query parameter \"ports\" is required",
        )),
        ports => Ok(ports),
    }
}

#[cfg(test)]
mod tests;
