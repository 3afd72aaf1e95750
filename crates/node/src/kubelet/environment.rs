//! A container's environment: services, `envFrom`, `env`, each overriding what came before.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret, Service,
};
use kube::api::ListParams;
use kube::{Api, Client};
use probe::expand::expand;

mod services;

/// Why a container cannot be configured yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnvironmentError {
    /// It takes variables from an object that is not there.
    #[error("{kind} {name:?} not found")]
    Missing { kind: &'static str, name: String },
    /// It takes a variable from a key that the object does not have.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    MissingKey {
        key: String,
        kind: &'static str,
        namespace: String,
        name: String,
    },
    /// It takes a variable from a field that this node does not offer.
    #[error("unsupported fieldPath: {0}")]
    Field(String),
    /// The API did not answer.
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// What a container's environment is made from, fetched.
#[derive(Default)]
pub(super) struct Sources {
    maps: HashMap<String, Option<BTreeMap<String, String>>>,
    secrets: HashMap<String, Option<BTreeMap<String, String>>>,
    services: Vec<Service>,
    pod_ip: String,
    node_ip: String,
}

impl Sources {
    /// Fetches what `container` refers to.
    pub(super) async fn fetch(
        client: &Client,
        pod: &Pod,
        container: &Container,
        pod_ip: String,
        node_ip: String,
    ) -> Result<Self, EnvironmentError> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut sources = Self {
            pod_ip,
            node_ip,
            ..Self::default()
        };
        let (maps, secrets) = references(container);
        for name in maps {
            let found = Api::<ConfigMap>::namespaced(client.clone(), namespace)
                .get_opt(&name)
                .await?;
            sources
                .maps
                .insert(name, found.map(|map| map.data.unwrap_or_default()));
        }
        for name in secrets {
            let found = Api::<Secret>::namespaced(client.clone(), namespace)
                .get_opt(&name)
                .await?;
            sources.secrets.insert(name, found.map(texts));
        }
        if pod
            .spec
            .as_ref()
            .is_some_and(|spec| spec.enable_service_links != Some(false))
        {
            let services = Api::<Service>::namespaced(client.clone(), namespace)
                .list(&ListParams::default())
                .await?;
            sources.services = services.items;
        }
        Ok(sources)
    }
}

/// The names of the config maps and secrets that a container takes variables from.
fn references(container: &Container) -> (Vec<String>, Vec<String>) {
    let (mut maps, mut secrets) = (Vec::new(), Vec::new());
    for source in container.env_from.iter().flatten() {
        maps.extend(source.config_map_ref.as_ref().map(|map| map.name.clone()));
        secrets.extend(source.secret_ref.as_ref().map(|secret| secret.name.clone()));
    }
    for source in container
        .env
        .iter()
        .flatten()
        .filter_map(|variable| variable.value_from.as_ref())
    {
        maps.extend(
            source
                .config_map_key_ref
                .as_ref()
                .map(|map| map.name.clone()),
        );
        secrets.extend(
            source
                .secret_key_ref
                .as_ref()
                .map(|secret| secret.name.clone()),
        );
    }
    (maps, secrets)
}

fn texts(secret: Secret) -> BTreeMap<String, String> {
    let data = secret.data.unwrap_or_default().into_iter();
    data.map(|(key, bytes)| (key, String::from_utf8_lossy(&bytes.0).into_owned()))
        .collect()
}

/// The variables of `container`, in the order in which they were first named.
pub(super) fn resolve(
    pod: &Pod,
    container: &Container,
    sources: &Sources,
) -> Result<Vec<(String, String)>, EnvironmentError> {
    let mut variables = Variables::default();
    for (name, value) in services::variables(&sources.services) {
        variables.set(&name, value);
    }
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(map) = &source.config_map_ref {
            variables.import(prefix, "configmap", &map.name, map.optional, &sources.maps)?;
        }
        if let Some(secret) = &source.secret_ref {
            variables.import(
                prefix,
                "secret",
                &secret.name,
                secret.optional,
                &sources.secrets,
            )?;
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(pod, variable, sources, &variables)? {
            variables.set(&variable.name, value);
        }
    }
    Ok(variables.list)
}

#[derive(Default)]
struct Variables {
    list: Vec<(String, String)>,
}

impl Variables {
    fn set(&mut self, name: &str, value: String) {
        match self.list.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.list.push((name.to_owned(), value)),
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.list
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    }

    fn import(
        &mut self,
        prefix: &str,
        kind: &'static str,
        name: &str,
        optional: Option<bool>,
        sources: &HashMap<String, Option<BTreeMap<String, String>>>,
    ) -> Result<(), EnvironmentError> {
        match sources.get(name).and_then(Option::as_ref) {
            Some(data) => {
                for (key, value) in data {
                    self.set(&format!("{prefix}{key}"), value.clone());
                }
                Ok(())
            }
            None if optional == Some(true) => Ok(()),
            None => Err(EnvironmentError::Missing {
                kind,
                name: name.to_owned(),
            }),
        }
    }
}

/// A variable's value; none where it comes from an optional place that is empty.
fn value(
    pod: &Pod,
    variable: &EnvVar,
    sources: &Sources,
    known: &Variables,
) -> Result<Option<String>, EnvironmentError> {
    let Some(source) = &variable.value_from else {
        let text = variable.value.as_deref().unwrap_or_default();
        return Ok(Some(expand(text, |name| known.get(name))));
    };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let key = |kind,
               name: &str,
               key: &str,
               optional: Option<bool>,
               data: Option<&Option<BTreeMap<String, String>>>| {
        let Some(data) = data.and_then(Option::as_ref) else {
            let missing = EnvironmentError::Missing {
                kind,
                name: name.to_owned(),
            };
            return if optional == Some(true) {
                Ok(None)
            } else {
                Err(missing)
            };
        };
        match data.get(key) {
            Some(value) => Ok(Some(value.clone())),
            None if optional == Some(true) => Ok(None),
            None => Err(EnvironmentError::MissingKey {
                key: key.to_owned(),
                kind,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }),
        }
    };
    match source {
        EnvVarSource {
            config_map_key_ref: Some(map),
            ..
        } => key(
            "ConfigMap",
            &map.name,
            &map.key,
            map.optional,
            sources.maps.get(&map.name),
        ),
        EnvVarSource {
            secret_key_ref: Some(secret),
            ..
        } => key(
            "Secret",
            &secret.name,
            &secret.key,
            secret.optional,
            sources.secrets.get(&secret.name),
        ),
        EnvVarSource {
            field_ref: Some(field),
            ..
        } => Ok(Some(field_value(pod, &field.field_path, sources)?)),
        _ => Err(EnvironmentError::Field(variable.name.clone())),
    }
}

fn field_value(pod: &Pod, path: &str, sources: &Sources) -> Result<String, EnvironmentError> {
    let (meta, spec) = (&pod.metadata, pod.spec.as_ref());
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let entry = |map: &Option<BTreeMap<String, String>>, key: &str| {
        map.as_ref()
            .and_then(|map| map.get(key))
            .cloned()
            .unwrap_or_default()
    };
    let key = |prefix: &str| path.strip_prefix(prefix)?.strip_suffix("']");
    Ok(match path {
        "metadata.name" => text(&meta.name),
        "metadata.namespace" => text(&meta.namespace),
        "metadata.uid" => text(&meta.uid),
        "spec.nodeName" => spec.map(|spec| text(&spec.node_name)).unwrap_or_default(),
        "spec.serviceAccountName" => spec
            .map(|spec| text(&spec.service_account_name))
            .unwrap_or_default(),
        "status.podIP" | "status.podIPs" => sources.pod_ip.clone(),
        "status.hostIP" | "status.hostIPs" => sources.node_ip.clone(),
        _ => match (key("metadata.labels['"), key("metadata.annotations['")) {
            (Some(label), _) => entry(&meta.labels, label),
            (None, Some(annotation)) => entry(&meta.annotations, annotation),
            (None, None) => return Err(EnvironmentError::Field(path.to_owned())),
        },
    })
}

#[cfg(test)]
mod tests;
