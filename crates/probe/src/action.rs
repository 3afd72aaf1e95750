//! From a probe in a manifest to what an attempt does: port names looked up, URL built, arguments expanded.
//!
//! What cannot be resolved is an error and not a failure: it says nothing of the container.

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::expand::expand;
use crate::outcome::ProbeError;
use crate::prober::{Action, HttpGet};

pub mod headers;
pub mod url;

/// Resolves a probe of `container` in a pod at `pod_ip`.
pub fn resolve(probe: &Probe, container: &Container, pod_ip: &str) -> Result<Action, ProbeError> {
    if let Some(exec) = &probe.exec {
        let command = exec
            .command
            .iter()
            .flatten()
            .map(|argument| expand(argument, |name| variable(container, name)));
        Ok(Action::Exec {
            command: command.collect(),
        })
    } else if let Some(get) = &probe.http_get {
        Ok(Action::Http(http_get(get, container, pod_ip)?))
    } else if let Some(tcp) = &probe.tcp_socket {
        let port = i32::from(port(&tcp.port, container)?);
        let host = tcp
            .host
            .as_deref()
            .filter(|host| !host.is_empty())
            .unwrap_or(pod_ip);
        Ok(Action::Tcp {
            host: host.to_owned(),
            port,
        })
    } else if let Some(grpc) = &probe.grpc {
        let port = valid(grpc.port).ok_or_else(|| invalid(grpc.port))?;
        Ok(Action::Grpc {
            host: pod_ip.to_owned(),
            port,
            service: grpc.service.clone().unwrap_or_default(),
        })
    } else {
        Err(ProbeError::unknown(format!(
            "missing probe handler for {}",
            container.name
        )))
    }
}

fn http_get(
    get: &HTTPGetAction,
    container: &Container,
    pod_ip: &str,
) -> Result<HttpGet, ProbeError> {
    let scheme = get
        .scheme
        .as_deref()
        .filter(|scheme| !scheme.is_empty())
        .unwrap_or("http")
        .to_ascii_lowercase();
    let host = get
        .host
        .as_deref()
        .filter(|host| !host.is_empty())
        .unwrap_or(pod_ip);
    let port = port(&get.port, container)?;
    let url = url::format(
        &scheme,
        host,
        i32::from(port),
        get.path.as_deref().unwrap_or_default(),
    );
    let given = get
        .http_headers
        .iter()
        .flatten()
        .map(|header| (header.name.as_str(), header.value.as_str()));
    Ok(HttpGet {
        url,
        headers: headers::canonical(given),
    })
}

/// A number as it is; a name among the same container's ports, else read as a number.
pub fn port(port: &IntOrString, container: &Container) -> Result<u16, ProbeError> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => match named(container, name) {
            Some(number) => number,
            None => name.parse().map_err(|_| {
                ProbeError::unknown(format!("strconv.Atoi: parsing {name:?}: invalid syntax"))
            })?,
        },
    };
    valid(number).ok_or_else(|| invalid(number))
}

fn named(container: &Container, name: &str) -> Option<i32> {
    let mut ports = container.ports.iter().flatten();
    ports
        .find(|port| port.name.as_deref() == Some(name))
        .map(|port| port.container_port)
}

fn valid(number: i32) -> Option<u16> {
    u16::try_from(number).ok().filter(|number| *number > 0)
}

fn invalid(number: i32) -> ProbeError {
    ProbeError::unknown(format!("invalid port number: {number}"))
}

/// A variable of the container's `env`. One that comes from elsewhere has no value in the manifest, and so an empty one.
fn variable(container: &Container, name: &str) -> Option<String> {
    let mut variables = container.env.iter().flatten();
    variables
        .find(|variable| variable.name == name)
        .map(|variable| variable.value.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests;
