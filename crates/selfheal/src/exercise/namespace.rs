//! Namespace that exercises run in.

use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt as _};
use probe::Clock;

/// Prefix of the namespace that exercises run in by default.
const GENERATE_NAME: &str = "selfheal-exercise-";

/// Limit for the deletion of a namespace, on the cluster's clock.
const DELETE_TIMEOUT: Duration = Duration::from_secs(120);

/// A namespace; one that was created is deleted after the exercises.
pub(crate) struct ExerciseNamespace {
    api: Api<Namespace>,
    name: String,
    /// The object, if `ensure` created it.
    created: Option<Namespace>,
}

impl ExerciseNamespace {
    /// Creates a namespace with a generated name, or uses `name`, which is created if it does not exist.
    pub(crate) async fn ensure(client: &Client, name: Option<&str>) -> anyhow::Result<Self> {
        let api = Api::<Namespace>::all(client.clone());
        let mut object = Namespace::default();
        match name {
            None => object.metadata.generate_name = Some(GENERATE_NAME.to_owned()),
            Some(name) => {
                let found = api.get_opt(name).await;
                let found = found.with_context(|| format!("reading namespace {name}"))?;
                if found.is_some_and(|found| found.metadata.deletion_timestamp.is_none()) {
                    return Ok(Self {
                        api,
                        name: name.to_owned(),
                        created: None,
                    });
                }
                object.metadata.name = Some(name.to_owned());
            }
        }
        let created = api.create(&PostParams::default(), &object).await;
        let created = created.with_context(|| {
            let name = name.unwrap_or(GENERATE_NAME);
            format!("creating namespace {name} (use an existing one with --namespace NAME)")
        })?;
        Ok(Self {
            api,
            name: created.name_any(),
            created: Some(created),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Deletes the namespace if `ensure` created it, and waits until it is removed.
    pub(crate) async fn remove(self, clock: &Clock) -> anyhow::Result<()> {
        let Some(created) = self.created else {
            return Ok(());
        };
        let name = &self.name;
        match self.api.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            other => drop(other.with_context(|| format!("deleting namespace {name}"))?),
        }
        let uid = created.uid().unwrap_or_default();
        let removed = await_condition(self.api.clone(), name, conditions::is_deleted(&uid));
        tokio::select! {
            removed = removed => drop(removed.with_context(|| format!("waiting for the deletion of namespace {name}"))?),
            () = clock.sleep(DELETE_TIMEOUT) => {
                bail!("namespace {name} is not removed {} s after its deletion", DELETE_TIMEOUT.as_secs())
            }
        }
        Ok(())
    }
}
