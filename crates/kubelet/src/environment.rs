//! Environment of a container: service variables, `envFrom` and `env`. A later source overrides an earlier one.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret, Service,
};
use kube::api::ListParams;
use kube::{Api, Client};
use probe::expand::expand;

use super::downward::{DownwardContext, DownwardError};

mod services;

/// Error that prevents a container's configuration (`CreateContainerConfigError`).
#[derive(Debug, thiserror::Error)]
pub(super) enum EnvironmentError {
    /// A referenced ConfigMap or Secret does not exist.
    #[error("{kind} {name:?} not found")]
    Missing { kind: &'static str, name: String },
    /// A referenced ConfigMap or Secret does not have the key.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    MissingKey {
        key: String,
        kind: &'static str,
        namespace: String,
        name: String,
    },
    /// A `fieldRef` or `resourceFieldRef` cannot be resolved.
    #[error(transparent)]
    Downward(#[from] DownwardError),
    /// The type of `valueFrom` is not supported.
    #[error(
        "env {0:?}: unsupported type of valueFrom; use configMapKeyRef, secretKeyRef, fieldRef or resourceFieldRef"
    )]
    UnsupportedSource(String),
    /// A `subPathExpr` names a variable that the container does not have.
    #[error("cannot expand subPathExpr {path:?}: missing value for {name:?}")]
    MissingVariable { path: String, name: String },
    /// A request to the API server failed.
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// Objects that a container's environment refers to. `None` is an object that does not exist.
#[derive(Default)]
pub(super) struct Sources {
    maps: HashMap<String, Option<BTreeMap<String, String>>>,
    secrets: HashMap<String, Option<BTreeMap<String, String>>>,
    services: Vec<Service>,
}

impl Sources {
    /// Reads the objects that `container` refers to, and the namespace's services.
    pub(super) async fn fetch(
        client: &Client,
        pod: &Pod,
        container: &Container,
    ) -> Result<Self, EnvironmentError> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut sources = Self::default();
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
            sources.secrets.insert(name, found.map(secret_texts));
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

/// Returns the names of the ConfigMaps and of the Secrets that a container refers to.
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

fn secret_texts(secret: Secret) -> BTreeMap<String, String> {
    let data = secret.data.unwrap_or_default().into_iter();
    data.map(|(key, bytes)| (key, String::from_utf8_lossy(&bytes.0).into_owned()))
        .collect()
}

/// Returns the variables of `container` in the order in which they were first set.
///
/// # Errors
/// If a referenced object, key or field does not exist and the reference is not optional.
pub(super) fn resolve(
    downward: &DownwardContext<'_>,
    container: &Container,
    sources: &Sources,
) -> Result<Vec<(String, String)>, EnvironmentError> {
    let mut variables = Variables::default();
    for (name, value) in services::service_variables(&sources.services) {
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
        if let Some(value) = variable_value(downward, container, variable, sources, &variables)? {
            variables.set(&variable.name, value);
        }
    }
    Ok(variables.list)
}

/// Variable with the speed of the node's clock relative to real time. A program divides its own delays by it.
const CLOCK_SPEED_VARIABLE: &str = "SELFHEAL_CLOCK_SPEED";

/// Adds the variable of the clock's speed unless the speed is 1 or the container sets the variable itself.
pub(super) fn add_clock_speed(env: &mut Vec<(String, String)>, speed: f64) {
    let is_real_time = (speed - 1.0).abs() < f64::EPSILON;
    if !is_real_time && env.iter().all(|(name, _)| name != CLOCK_SPEED_VARIABLE) {
        env.push((CLOCK_SPEED_VARIABLE.to_owned(), speed.to_string()));
    }
}

/// Expands the variables in a `subPathExpr`.
///
/// # Errors
/// If a variable has no value.
pub(super) fn expand_sub_path(
    path: &str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<String, EnvironmentError> {
    let missing = RefCell::new(None);
    let expanded = expand(path, |name| {
        let value = lookup(name);
        if value.is_none() {
            missing.replace(Some(name.to_owned()));
        }
        value
    });
    match missing.into_inner() {
        None => Ok(expanded),
        Some(name) => Err(EnvironmentError::MissingVariable {
            path: path.to_owned(),
            name,
        }),
    }
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

/// Returns the variable's value, or `None` if its optional source does not exist.
fn variable_value(
    downward: &DownwardContext<'_>,
    container: &Container,
    variable: &EnvVar,
    sources: &Sources,
    known: &Variables,
) -> Result<Option<String>, EnvironmentError> {
    let Some(source) = &variable.value_from else {
        let text = variable.value.as_deref().unwrap_or_default();
        return Ok(Some(expand(text, |name| known.get(name))));
    };
    let namespace = downward
        .pod
        .metadata
        .namespace
        .as_deref()
        .unwrap_or_default();
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
        } => Ok(Some(downward.field_value(field)?)),
        EnvVarSource {
            resource_field_ref: Some(resource),
            ..
        } => Ok(Some(downward.resource_value(container, resource)?)),
        _ => Err(EnvironmentError::UnsupportedSource(variable.name.clone())),
    }
}

#[cfg(test)]
mod tests;
