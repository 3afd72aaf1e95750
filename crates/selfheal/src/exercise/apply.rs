//! Applies manifests as `kubectl apply -f` does, and deletes the created objects.

use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt as _};
use probe::Clock;

use super::manifests::{full_name, objects, resource};

const FIELD_MANAGER: &str = "selfheal-exercise";

/// Enough for pods whose processes end only when they are killed.
const GONE_WITHIN: Duration = Duration::from_secs(120);

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It was not there.
    Created,
    /// It was there and was changed.
    Configured,
    /// It was there as it should be.
    Unchanged,
}

impl Applied {
    /// As kubectl says it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Applies objects in one namespace and remembers which of them it made.
pub(crate) struct Applier {
    client: Client,
    namespace: String,
    made: Vec<DynamicObject>,
}

impl Applier {
    /// An applier that has made nothing yet.
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            made: Vec::new(),
        }
    }

    /// Applies every object of a manifest: `kind.group/name` and what became of it.
    pub(crate) async fn apply(&mut self, manifest: &str) -> anyhow::Result<Vec<(String, Applied)>> {
        let mut applied = Vec::new();
        for object in objects(manifest)? {
            let name = full_name(&object)?;
            let outcome = self
                .apply_one(object)
                .await
                .with_context(|| format!("applying {name}"))?;
            applied.push((name, outcome));
        }
        Ok(applied)
    }

    async fn apply_one(&mut self, object: DynamicObject) -> anyhow::Result<Applied> {
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
            if !self
                .made
                .iter()
                .any(|made| made.types == object.types && made.name_any() == name)
            {
                self.made.push(object);
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
        let same = before.resource_version() == after.resource_version();
        Ok(if same {
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

    /// Deletes what it made, last first, and says what once it is gone. Something already gone is no error.
    ///
    /// Dependents go before their owners: pods that outlived their deployment would be taken for those of the next one.
    pub(crate) async fn clean_up(&mut self, clock: &Clock) -> anyhow::Result<Vec<String>> {
        let (mut deleted, mut going) = (Vec::new(), Vec::new());
        while let Some(object) = self.made.pop() {
            let name = full_name(&object)?;
            let api = self.api(&object)?;
            match api
                .delete(&object.name_any(), &DeleteParams::foreground())
                .await
            {
                Ok(answer) => {
                    going.extend(answer.left().map(|object| (api, object)));
                    deleted.push(name);
                }
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error).with_context(|| format!("deleting {name}")),
            }
        }
        tokio::select! {
            gone = all_gone(&going) => gone?,
            () = clock.sleep(GONE_WITHIN) => {
                bail!("{} are not gone {} s after they were deleted", deleted.join(", "), GONE_WITHIN.as_secs())
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

async fn all_gone(going: &[(Api<DynamicObject>, DynamicObject)]) -> anyhow::Result<()> {
    for (api, object) in going {
        let (name, uid) = (object.name_any(), object.uid().unwrap_or_default());
        await_condition(api.clone(), &name, conditions::is_deleted(&uid))
            .await
            .with_context(|| format!("waiting for {name} to be gone"))?;
    }
    Ok(())
}
