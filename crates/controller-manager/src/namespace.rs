//! Namespace controller: creates the default namespaces and service accounts, and deletes the content of terminating namespaces.

mod content;
mod defaults;

use std::time::Duration;

use async_trait::async_trait;
use component_helpers::controller::Context;
use component_helpers::work_queue::{Key, Reconcile, WorkQueue};
use k8s_openapi::api::core::v1::{Namespace, NamespaceSpec, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{Api, PostParams};

use super::Error;

/// Finalizer in a namespace's specification, which this controller removes.
const KUBERNETES_FINALIZER: &str = "kubernetes";

pub(super) struct Controller {
    context: Context,
}

/// Registers the controller's handlers; returns its queue and its reconciler.
pub(super) fn controller(context: &Context) -> (WorkQueue, Controller) {
    let queue = WorkQueue::default();
    // The default namespaces may not exist yet, so no watch event names them.
    for name in defaults::NAMESPACES {
        queue.add(Key::new("", name));
    }
    let namespaces = queue.clone();
    context.informers.namespaces.on_change(move |old, new| {
        if let Some(namespace) = new.or(old) {
            namespaces.add(Key::from_object(namespace));
        }
    });
    let accounts = queue.clone();
    context
        .informers
        .service_accounts
        .on_change(move |old, new| {
            if let (Some(account), None) = (old, new) {
                accounts.add(Key::new("", &account.namespace().unwrap_or_default()));
            }
        });
    (
        queue,
        Controller {
            context: context.clone(),
        },
    )
}

#[async_trait]
impl Reconcile for Controller {
    type Error = Error;

    async fn sync(&self, key: &Key) -> Result<Option<Duration>, Error> {
        match self.context.informers.namespaces.get(key) {
            None if defaults::NAMESPACES.contains(&key.name.as_str()) => {
                defaults::ensure_namespace(&self.context, &key.name).await?;
            }
            None => {}
            Some(namespace) if namespace.metadata.deletion_timestamp.is_some() => {
                self.delete_content(&namespace).await?;
            }
            Some(namespace) => self.ensure_defaults(&namespace.name_any()).await?,
        }
        Ok(None)
    }
}

impl Controller {
    async fn ensure_defaults(&self, namespace: &str) -> Result<(), Error> {
        if namespace == "default" {
            defaults::ensure_service(&self.context).await?;
        }
        if self
            .context
            .informers
            .service_accounts
            .get(&Key::new(namespace, "default"))
            .is_some()
        {
            return Ok(());
        }
        let name = Some("default".to_owned());
        let account = ServiceAccount {
            metadata: ObjectMeta {
                name,
                ..ObjectMeta::default()
            },
            ..ServiceAccount::default()
        };
        let api: Api<ServiceAccount> = Api::namespaced(self.context.client.clone(), namespace);
        defaults::ignore_already_exists(api.create(&PostParams::default(), &account).await)
    }

    /// Deletes the namespace's objects, and removes the finalizer when none is left.
    async fn delete_content(&self, namespace: &Namespace) -> Result<(), Error> {
        let name = namespace.name_any();
        if content::delete(&self.context.client, &name).await? > 0 {
            return Err(Error::Remaining(name));
        }
        let mut finalizers = namespace
            .spec
            .clone()
            .and_then(|spec| spec.finalizers)
            .unwrap_or_default();
        finalizers.retain(|one| one != KUBERNETES_FINALIZER);
        let spec = Some(NamespaceSpec {
            finalizers: Some(finalizers),
        });
        let finalized = Namespace {
            spec,
            ..namespace.clone()
        };
        let api: Api<Namespace> = Api::all(self.context.client.clone());
        let result = api
            .replace_subresource("finalize", &name, &PostParams::default(), &finalized)
            .await;
        super::meta::ignore_not_found(result)?;
        Ok(())
    }
}
