//! A container's environment: services, `envFrom`, `env`, each overriding what came before.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret, Service,
};
use kube::api::ListParams;
use kube::{Api, Client};
use probe::expand::expand;

use super::downward::{DownwardError, Facts};

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
    /// It takes a variable from a field or an amount that is not there.
    #[error(transparent)]
    Downward(#[from] DownwardError),
    /// It takes a variable from where this node has none.
    #[error("the variable {0} comes from a source that this node does not have")]
    Source(String),
    /// A path inside a volume names a variable that it does not have.
    #[error("cannot expand subPathExpr {path:?}: missing value for {name:?}")]
    Variable { path: String, name: String },
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
}

impl Sources {
    /// Fetches what `container` refers to.
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
    facts: &Facts<'_>,
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
        if let Some(value) = value(facts, container, variable, sources, &variables)? {
            variables.set(&variable.name, value);
        }
    }
    Ok(variables.list)
}

/// Variable with the factor of the node's clock, by which a program can divide its own delays.
const CLOCK_SPEED: &str = "SELFHEAL_CLOCK_SPEED";

/// Sets the variable of the clock's speed unless the speed is 1 or the container has the variable.
pub(super) fn add_clock_speed(env: &mut Vec<(String, String)>, speed: f64) {
    let is_real_time = (speed - 1.0).abs() < f64::EPSILON;
    if !is_real_time && env.iter().all(|(name, _)| name != CLOCK_SPEED) {
        env.push((CLOCK_SPEED.to_owned(), speed.to_string()));
    }
}

/// The path of `subPathExpr`, which every variable that it names must have a value for.
pub(super) fn sub_path(
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
        Some(name) => Err(EnvironmentError::Variable {
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

/// A variable's value; none where it comes from an optional place that is empty.
fn value(
    facts: &Facts<'_>,
    container: &Container,
    variable: &EnvVar,
    sources: &Sources,
    known: &Variables,
) -> Result<Option<String>, EnvironmentError> {
    let Some(source) = &variable.value_from else {
        let text = variable.value.as_deref().unwrap_or_default();
        return Ok(Some(expand(text, |name| known.get(name))));
    };
    let namespace = facts.pod.metadata.namespace.as_deref().unwrap_or_default();
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
        } => Ok(Some(facts.field(field)?)),
        EnvVarSource {
            resource_field_ref: Some(resource),
            ..
        } => Ok(Some(facts.resource(container, resource)?)),
        _ => Err(EnvironmentError::Source(variable.name.clone())),
    }
}

#[cfg(test)]
mod tests;
