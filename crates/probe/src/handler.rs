//! Resolution of a probe's handler: port names are looked up, the URL is built, arguments are expanded.
//!
//! A handler that cannot be resolved is a [`ProbeError`] and not a failure, because the state of the container is unknown.

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::expand::expand;
use crate::go_url::format_probe_url;
use crate::outcome::ProbeError;
use crate::prober::{HttpGet, ResolvedHandler};

pub(crate) mod headers;

/// Resolves the handler of a probe of `container` in a pod at `pod_ip`.
///
/// # Errors
/// If a port name is unknown, a port is out of range, or the probe has no handler.
pub fn resolve(
    probe: &Probe,
    container: &Container,
    pod_ip: &str,
) -> Result<ResolvedHandler, ProbeError> {
    if let Some(exec) = &probe.exec {
        let command = exec
            .command
            .iter()
            .flatten()
            .map(|argument| expand(argument, |name| find_variable(container, name)));
        Ok(ResolvedHandler::Exec {
            command: command.collect(),
        })
    } else if let Some(get) = &probe.http_get {
        let get = resolve_http_get(get, container, pod_ip)?;
        Ok(ResolvedHandler::Http(get))
    } else if let Some(tcp) = &probe.tcp_socket {
        Ok(ResolvedHandler::Tcp {
            host: host_or_pod_ip(tcp.host.as_deref(), pod_ip).to_owned(),
            port: resolve_port(&tcp.port, container)?.into(),
        })
    } else if let Some(grpc) = &probe.grpc {
        Ok(ResolvedHandler::Grpc {
            host: pod_ip.to_owned(),
            port: check_port(grpc.port)?,
            service: grpc.service.clone().unwrap_or_default(),
        })
    } else {
        Err(ProbeError::unknown(format!(
            "missing probe handler for {}",
            container.name
        )))
    }
}

fn resolve_http_get(
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
    let port = resolve_port(&get.port, container)?;
    let url = format_probe_url(
        &scheme,
        host_or_pod_ip(get.host.as_deref(), pod_ip),
        port.into(),
        get.path.as_deref().unwrap_or_default(),
    );
    let headers = get
        .http_headers
        .iter()
        .flatten()
        .map(|header| (header.name.as_str(), header.value.as_str()));
    Ok(HttpGet {
        url,
        headers: headers::canonicalize(headers),
    })
}

fn host_or_pod_ip<'a>(host: Option<&'a str>, pod_ip: &'a str) -> &'a str {
    host.filter(|host| !host.is_empty()).unwrap_or(pod_ip)
}

/// Returns the number of a port. A string is looked up among the ports of the same container, then parsed as a number.
///
/// # Errors
/// If the string is neither, or the number is not between 1 and 65535.
pub fn resolve_port(port: &IntOrString, container: &Container) -> Result<u16, ProbeError> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => match find_named_port(container, name) {
            Some(number) => number,
            None => name.parse().map_err(|_| {
                ProbeError::unknown(format!("strconv.Atoi: parsing {name:?}: invalid syntax"))
            })?,
        },
    };
    check_port(number)
}

fn find_named_port(container: &Container, name: &str) -> Option<i32> {
    let mut ports = container.ports.iter().flatten();
    ports
        .find(|port| port.name.as_deref() == Some(name))
        .map(|port| port.container_port)
}

fn check_port(number: i32) -> Result<u16, ProbeError> {
    u16::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| ProbeError::unknown(format!("invalid port number: {number}")))
}

/// Returns the value of a variable in the container's `env`. One with `valueFrom` yields an empty string, as in the kubelet.
fn find_variable(container: &Container, name: &str) -> Option<String> {
    let mut variables = container.env.iter().flatten();
    variables
        .find(|variable| variable.name == name)
        .map(|variable| variable.value.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests;
