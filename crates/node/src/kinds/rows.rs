//! The table of kinds.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Event, Namespace, Node, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::Value;

use super::tables::{network, others, pods, workloads};
use super::{Kind, Subresource, defaults, typed, unsupported, validate};

/// What a kind has that says nothing else of itself.
const PLAIN: Kind = Kind {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    subresources: &[],
    default: |_| {},
    unknown_fields: |_| Ok(Vec::new()),
    validate: validate::named,
    unsupported: |_| Vec::new(),
    columns: &[],
    cells: |_, _| Vec::new(),
    selectable: |_| Vec::new(),
    schema: |_| schemars::json_schema!({"type": "object"}),
};

fn pod_fields(pod: &Value) -> Vec<(&'static str, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    vec![
        ("spec.nodeName", text(&pod["spec"]["nodeName"])),
        ("spec.restartPolicy", text(&pod["spec"]["restartPolicy"])),
        (
            "spec.serviceAccountName",
            text(&pod["spec"]["serviceAccountName"]),
        ),
        ("status.phase", text(&pod["status"]["phase"])),
        ("status.podIP", text(&pod["status"]["podIP"])),
    ]
}

fn event_fields(event: &Value) -> Vec<(&'static str, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let about = &event["involvedObject"];
    vec![
        ("involvedObject.kind", text(&about["kind"])),
        ("involvedObject.namespace", text(&about["namespace"])),
        ("involvedObject.name", text(&about["name"])),
        ("involvedObject.uid", text(&about["uid"])),
        ("involvedObject.fieldPath", text(&about["fieldPath"])),
        ("reason", text(&event["reason"])),
        ("type", text(&event["type"])),
        ("source", text(&event["source"]["component"])),
    ]
}

/// Every kind that this node serves.
pub static KINDS: &[Kind] = &[
    Kind {
        kind: "ConfigMap",
        unknown_fields: typed::unknown_fields::<ConfigMap>,
        schema: typed::schema::<ConfigMap>,
        columns: others::CONFIG_MAPS,
        cells: others::config_map,
        plural: "configmaps",
        singular: "configmap",
        short_names: &["cm"],
        ..PLAIN
    },
    Kind {
        kind: "Endpoints",
        unknown_fields: typed::unknown_fields::<Endpoints>,
        schema: typed::schema::<Endpoints>,
        columns: network::ENDPOINTS,
        cells: network::endpoints,
        plural: "endpoints",
        singular: "endpoints",
        short_names: &["ep"],
        ..PLAIN
    },
    Kind {
        kind: "Event",
        unknown_fields: typed::unknown_fields::<Event>,
        schema: typed::schema::<Event>,
        columns: others::EVENTS,
        cells: others::event,
        selectable: event_fields,
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        ..PLAIN
    },
    Kind {
        kind: "Namespace",
        validate: validate::namespace,
        unknown_fields: typed::unknown_fields::<Namespace>,
        schema: typed::schema::<Namespace>,
        columns: others::NAMESPACES,
        cells: others::namespace,
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        namespaced: false,
        subresources: &[Subresource::Status, Subresource::Finalize],
        ..PLAIN
    },
    Kind {
        kind: "Node",
        unknown_fields: typed::unknown_fields::<Node>,
        schema: typed::schema::<Node>,
        columns: others::NODES,
        cells: others::node,
        plural: "nodes",
        singular: "node",
        short_names: &["no"],
        namespaced: false,
        subresources: &[Subresource::Status],
        ..PLAIN
    },
    Kind {
        kind: "Pod",
        default: defaults::pod,
        validate: validate::pod,
        unsupported: unsupported::pod,
        unknown_fields: typed::unknown_fields::<Pod>,
        schema: typed::schema::<Pod>,
        columns: pods::COLUMNS,
        cells: pods::cells,
        selectable: pod_fields,
        plural: "pods",
        singular: "pod",
        short_names: &["po"],
        categories: &["all"],
        subresources: &[
            Subresource::Status,
            Subresource::Log,
            Subresource::Exec,
            Subresource::Attach,
            Subresource::PortForward,
            Subresource::Binding,
            Subresource::Eviction,
        ],
        ..PLAIN
    },
    Kind {
        kind: "Secret",
        default: defaults::secret,
        unknown_fields: typed::unknown_fields::<Secret>,
        schema: typed::schema::<Secret>,
        columns: others::SECRETS,
        cells: others::secret,
        plural: "secrets",
        singular: "secret",
        ..PLAIN
    },
    Kind {
        kind: "ServiceAccount",
        unknown_fields: typed::unknown_fields::<ServiceAccount>,
        schema: typed::schema::<ServiceAccount>,
        columns: others::SERVICE_ACCOUNTS,
        cells: others::service_account,
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short_names: &["sa"],
        ..PLAIN
    },
    Kind {
        kind: "Service",
        default: defaults::service,
        validate: validate::service,
        unsupported: unsupported::service,
        unknown_fields: typed::unknown_fields::<Service>,
        schema: typed::schema::<Service>,
        columns: network::SERVICES,
        cells: network::service,
        plural: "services",
        singular: "service",
        short_names: &["svc"],
        categories: &["all"],
        subresources: &[Subresource::Status],
        ..PLAIN
    },
    Kind {
        group: "apps",
        kind: "Deployment",
        default: defaults::deployment,
        validate: validate::deployment,
        unsupported: unsupported::workload,
        unknown_fields: typed::unknown_fields::<Deployment>,
        schema: typed::schema::<Deployment>,
        columns: workloads::DEPLOYMENTS,
        cells: workloads::deployment,
        plural: "deployments",
        singular: "deployment",
        short_names: &["deploy"],
        categories: &["all"],
        subresources: &[Subresource::Status, Subresource::Scale],
        ..PLAIN
    },
    Kind {
        group: "apps",
        kind: "ReplicaSet",
        default: defaults::replica_set,
        validate: validate::replica_set,
        unsupported: unsupported::workload,
        unknown_fields: typed::unknown_fields::<ReplicaSet>,
        schema: typed::schema::<ReplicaSet>,
        columns: workloads::REPLICA_SETS,
        cells: workloads::replica_set,
        plural: "replicasets",
        singular: "replicaset",
        short_names: &["rs"],
        categories: &["all"],
        subresources: &[Subresource::Status, Subresource::Scale],
        ..PLAIN
    },
    Kind {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        unknown_fields: typed::unknown_fields::<EndpointSlice>,
        schema: typed::schema::<EndpointSlice>,
        columns: network::ENDPOINT_SLICES,
        cells: network::endpoint_slice,
        plural: "endpointslices",
        singular: "endpointslice",
        ..PLAIN
    },
];
