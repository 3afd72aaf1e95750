//! Types of the YAML document, without semantics.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

/// Document of a configuration. The elements of lists are deserialized one by one, so that all problems are found.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) targets: Vec<Value>,
    #[serde(default)]
    pub(super) groups: Vec<Value>,
    #[serde(default)]
    pub(super) actions: Vec<Value>,
    pub(super) healthy_when: Option<Vec<String>>,
    pub(super) stale_after_milliseconds: Option<i64>,
    pub(super) unknown_after_milliseconds: Option<i64>,
}

/// A target: the fields of a container that probes need, `host` and `dependency`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) host: Option<String>,
    #[serde(default)]
    pub(super) dependency: bool,
    #[serde(default)]
    pub(super) ports: Vec<ContainerPort>,
    #[serde(default)]
    pub(super) env: Vec<EnvVar>,
    pub(super) liveness_probe: Option<Value>,
    pub(super) readiness_probe: Option<Value>,
    pub(super) startup_probe: Option<Value>,
}

/// Settings of a probe that Kubernetes has no fields for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ProbeExtensions {
    pub(super) period_milliseconds: Option<i64>,
    pub(super) timeout_milliseconds: Option<i64>,
    pub(super) initial_delay_milliseconds: Option<i64>,
    pub(super) jitter_milliseconds: Option<i64>,
    pub(super) stale_after_milliseconds: Option<i64>,
    pub(super) unknown_after_milliseconds: Option<i64>,
    pub(super) healthy_when: Option<Vec<String>>,
    pub(super) unix_socket: Option<UnixSocket>,
    pub(super) postgres: Option<Postgres>,
    pub(super) tls: Option<Tls>,
    pub(super) expect: Option<Expect>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnixSocket {
    pub(super) path: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Postgres {
    #[serde(default)]
    pub(super) conninfo: String,
    #[serde(default)]
    pub(super) checks: Vec<String>,
    pub(super) password_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) ca_file: Option<PathBuf>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) server_name: Option<String>,
    pub(super) min_days_left: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expect {
    #[serde(default)]
    pub(super) statuses: Vec<u16>,
    pub(super) body_contains: Option<String>,
    pub(super) body_matches: Option<String>,
    #[serde(default)]
    pub(super) headers: Vec<Header>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) matches: Option<String>,
}

/// A group of probes and other groups.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) members: Vec<String>,
    pub(super) require: Option<Value>,
    pub(super) policy: Option<String>,
}

/// An action triggered by a status of a probe.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Action {
    pub(super) name: String,
    pub(super) when: When,
    pub(super) signal: Option<Signal>,
    pub(super) exit: Option<Exit>,
    pub(super) exec: Option<Exec>,
    pub(super) webhook: Option<Webhook>,
    pub(super) write_file: Option<WriteFile>,
    pub(super) cool_down_seconds: Option<i64>,
    pub(super) budget: Option<Budget>,
    #[serde(default)]
    pub(super) repeat: bool,
    #[serde(default)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    pub(super) probe: String,
    pub(super) becomes: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Signal {
    pub(super) name: Option<String>,
    pub(super) process: Process,
    pub(super) kill_after_seconds: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Process {
    pub(super) name: Option<String>,
    pub(super) executable: Option<PathBuf>,
    pub(super) port: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exit {
    pub(super) code: u8,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Exec {
    pub(super) command: Vec<String>,
    pub(super) timeout_seconds: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Webhook {
    pub(super) url: String,
    #[serde(default)]
    pub(super) headers: Vec<WebhookHeader>,
    pub(super) timeout_seconds: Option<i64>,
    pub(super) tls: Option<Tls>,
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) send_resolved: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookHeader {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteFile {
    pub(super) path: PathBuf,
    pub(super) content: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Budget {
    pub(super) count: i64,
    pub(super) window_seconds: i64,
}

/// An environment variable. `EnvVar` of Kubernetes would add the code of all its sources, none of which are supported.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EnvVar {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) value_from: Option<Value>,
}

/// A port of a container; only name and number are used.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the fields are accepted, because manifests are copied"
)]
pub(super) struct ContainerPort {
    pub(super) name: Option<String>,
    pub(super) container_port: i32,
    protocol: Option<String>,
    host_port: Option<i32>,
    #[serde(rename = "hostIP")]
    host_ip: Option<String>,
}
