//! Applies manifests as `kubectl apply -f` does, and deletes the created objects.

use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt as _};
use probe::Clock;

use super::manifests::{full_name, objects, resource};

const FIELD_MANAGER: &str = "selfheal-exercise";

/// Limit for the deletion of all objects, on the cluster's clock: longer than the grace period of pods whose processes ignore
/// SIGTERM.
const DELETE_TIMEOUT: Duration = Duration::from_secs(120);

/// Result of applying an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The object did not exist.
    Created,
    /// The object existed and was changed.
    Configured,
    /// The object existed with the same content.
    Unchanged,
}

impl Applied {
    /// Word that kubectl prints.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Applies objects in one namespace and keeps a list of those it created.
pub(crate) struct Applier {
    client: Client,
    namespace: String,
    created: Vec<DynamicObject>,
}

impl Applier {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            created: Vec::new(),
        }
    }

    /// Applies every object of a manifest; returns each `kind.group/name` and its result.
    pub(crate) async fn apply(&mut self, manifest: &str) -> anyhow::Result<Vec<(String, Applied)>> {
        let mut applied = Vec::new();
        for object in objects(manifest)? {
            let name = full_name(&object)?;
            let result = self
                .apply_object(object)
                .await
                .with_context(|| format!("applying {name}"))?;
            applied.push((name, result));
        }
        Ok(applied)
    }

    async fn apply_object(&mut self, object: DynamicObject) -> anyhow::Result<Applied> {
        let api = self.api(&object)?;
        let name = object.name_any();
        let Some(before) = api.get_opt(&name).await? else {
            api.create(
                &PostParams {
                    field_manager: Some(FIELD_MANAGER.to_owned()),
                    ..PostParams::default()
                },
                &object,
            )
            .await?;
            let is_same =
                |other: &DynamicObject| other.types == object.types && other.name_any() == name;
            if !self.created.iter().any(is_same) {
                self.created.push(object);
            }
            return Ok(Applied::Created);
        };
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let after = api
            .patch(&name, &parameters, &Patch::Merge(&object))
            .await?;
        let is_unchanged = before.resource_version() == after.resource_version();
        Ok(if is_unchanged {
            Applied::Unchanged
        } else {
            Applied::Configured
        })
    }

    /// Returns the names of the objects that exist already.
    pub(crate) async fn existing(&self, objects: &[DynamicObject]) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for object in objects {
            let name = full_name(object)?;
            if self
                .api(object)?
                .get_opt(&object.name_any())
                .await
                .with_context(|| format!("reading {name}"))?
                .is_some()
            {
                found.push(name);
            }
        }
        Ok(found)
    }

    /// Deletes the created objects in reverse order, waits until they are removed, and returns their names. An object that does
    /// not exist any more is not an error.
    ///
    /// Dependents are deleted before their owners: pods that outlive their deployment would be selected by the next exercise.
    pub(crate) async fn clean_up(&mut self, clock: &Clock) -> anyhow::Result<Vec<String>> {
        let (mut deleted, mut pending) = (Vec::new(), Vec::new());
        while let Some(object) = self.created.pop() {
            let name = full_name(&object)?;
            let api = self.api(&object)?;
            match api
                .delete(&object.name_any(), &DeleteParams::foreground())
                .await
            {
                Ok(response) => {
                    pending.extend(response.left().map(|object| (api, object)));
                    deleted.push(name);
                }
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error).with_context(|| format!("deleting {name}")),
            }
        }
        tokio::select! {
            removed = wait_until_removed(&pending) => removed?,
            () = clock.sleep(DELETE_TIMEOUT) => {
                let seconds = DELETE_TIMEOUT.as_secs();
                bail!("{} still exist {seconds} s after their deletion", deleted.join(", "))
            }
        }
        Ok(deleted)
    }

    fn api(&self, object: &DynamicObject) -> anyhow::Result<Api<DynamicObject>> {
        Ok(Api::namespaced_with(
            self.client.clone(),
            &self.namespace,
            &resource(object)?,
        ))
    }
}

async fn wait_until_removed(pending: &[(Api<DynamicObject>, DynamicObject)]) -> anyhow::Result<()> {
    for (api, object) in pending {
        let (name, uid) = (object.name_any(), object.uid().unwrap_or_default());
        await_condition(api.clone(), &name, conditions::is_deleted(&uid))
            .await
            .with_context(|| format!("waiting for the removal of {name}"))?;
    }
    Ok(())
}
