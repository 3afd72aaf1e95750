//! Deletion of all objects of a namespace, of every kind that discovery lists.

use kube::api::{Api, DeleteParams, DynamicObject, ListParams};
use kube::discovery::{Scope, verbs};
use kube::{Client, Discovery, ResourceExt};

use crate::meta::ignore_not_found;

/// Deletes every object of the namespace; returns the number of objects that remain.
pub(super) async fn delete(client: &Client, namespace: &str) -> kube::Result<usize> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let mut remaining = 0;
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            let deletable = capabilities.supports_operation(verbs::LIST)
                && capabilities.supports_operation(verbs::DELETE);
            if capabilities.scope != Scope::Namespaced || !deletable {
                continue;
            }
            let api: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), namespace, &resource);
            for object in api.list(&ListParams::default()).await? {
                if object.metadata.deletion_timestamp.is_none() {
                    ignore_not_found(
                        api.delete(&object.name_any(), &DeleteParams::background())
                            .await,
                    )?;
                }
            }
            remaining += api.list(&ListParams::default()).await?.items.len();
        }
    }
    Ok(remaining)
}
