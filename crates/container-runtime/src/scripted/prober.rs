//! Probes of scripted workloads. Messages are those of the kubelet.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use probe::{Outcome, ProbeError, ProbeTarget, Prober, Reason, ResolvedHandler, Verdict};

use super::Shared;
use crate::ContainerId;

pub(super) struct ScriptedProber(pub(super) Arc<Shared>);

#[async_trait]
impl Prober for ScriptedProber {
    async fn probe(
        &self,
        target: &ProbeTarget,
        action: &ResolvedHandler,
        _: Duration,
    ) -> Result<Outcome, ProbeError> {
        match action {
            ResolvedHandler::Http(get) => Ok(self.http(&get.url)),
            ResolvedHandler::Tcp { host, port } => Ok(self.tcp(host, *port)),
            ResolvedHandler::Exec { command } => self.exec(target, command),
            ResolvedHandler::Grpc { .. } => Err(ProbeError::unknown(
                "scripted workloads do not support gRPC",
            )),
        }
    }
}

impl ScriptedProber {
    fn http(&self, url: &str) -> Outcome {
        let Some((ip, port, path)) = split_url(url) else {
            return failure(
                Reason::Dns,
                format!("Get {url:?}: dial tcp: lookup failed: no such host"),
            );
        };
        match self.0.state().http_get(ip, port, &path) {
            None => failure(
                Reason::Refused,
                format!("Get {url:?}: dial tcp {ip}:{port}: connect: connection refused"),
            ),
            Some((status, body)) if (200..400).contains(&status) => success(body),
            Some((status, _)) => failure(
                Reason::Status(status),
                format!("HTTP probe failed with statuscode: {status}"),
            ),
        }
    }

    fn tcp(&self, host: &str, port: i32) -> Outcome {
        let state = self.0.state();
        let sandbox = state
            .sandboxes
            .iter()
            .find(|(_, sandbox)| sandbox.ip.to_string() == host)
            .map(|(id, _)| id);
        let port_number = u16::try_from(port).ok();
        match sandbox.zip(port_number) {
            Some((sandbox, number)) if state.is_listening(sandbox, number) => {
                success(String::new())
            }
            _ => failure(
                Reason::Refused,
                format!("dial tcp {host}:{port}: connect: connection refused"),
            ),
        }
    }

    fn exec(&self, target: &ProbeTarget, command: &[String]) -> Result<Outcome, ProbeError> {
        let container = ContainerId(target.container_id.clone());
        let result = self
            .0
            .state()
            .exec(&container, command)
            .map_err(|error| ProbeError::unknown(error.to_string()))?;
        let output = [&result.stdout[..], &result.stderr[..]].concat();
        let text = String::from_utf8_lossy(&output).into_owned();
        Ok(if result.code == 0 {
            success(text)
        } else {
            failure(Reason::ExitCode(result.code), text)
        })
    }
}

fn split_url(url: &str) -> Option<(Ipv4Addr, u16, String)> {
    let url = url::Url::parse(url).ok()?;
    let ip = url.host_str()?.parse().ok()?;
    Some((ip, url.port_or_known_default()?, url.path().to_owned()))
}

fn success(output: String) -> Outcome {
    Outcome {
        verdict: Verdict::Success,
        reason: None,
        output,
        took: Duration::ZERO,
    }
}

fn failure(reason: Reason, output: String) -> Outcome {
    Outcome {
        verdict: Verdict::Failure,
        reason: Some(reason),
        output,
        took: Duration::ZERO,
    }
}
