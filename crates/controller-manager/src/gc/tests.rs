use component_helpers::supervisor::Supervisor;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::PostParams;
use probe::Clock;
use tokio_util::sync::CancellationToken;

use super::*;

/// Returns `true` if a ConfigMap of an absent deployment is deleted, where the cache has it changed by `change`.
async fn is_deleted(change: fn(&mut Object)) -> bool {
    let clock = Clock::new("2026-01-02T03:04:05Z".parse().unwrap(), 1.0);
    let node = apiserver::api::Api::new(clock.clone());
    let client = node.client();
    let default = json!({"metadata": {"name": "default"}});
    let default: Namespace = serde_json::from_value(default).unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let made = PostParams::default();
    namespaces.create(&made, &default).await.unwrap();
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "absent"});
    let map = json!({"metadata": {"name": "m", "ownerReferences": [owner]}});
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let map = serde_json::from_value(map).unwrap();
    let map = maps.create(&made, &map).await.unwrap();
    let mut object = Object::new(&ApiResource::erase::<ConfigMap>(&()), &map.metadata);
    change(&mut object);
    let supervisor = Supervisor::new(clock, CancellationToken::new());
    let controller = Controller {
        context: Context::new(client, &supervisor),
    };
    let action = Action::Delete {
        absent: object.owners.clone(),
        object,
        foreground: false,
    };
    controller.apply_action(action).await.unwrap();
    maps.get_opt("m").await.unwrap().is_none()
}

#[tokio::test]
async fn objects_that_the_cache_has_with_another_owner_are_not_deleted() {
    assert!(is_deleted(|_| {}).await);
    assert!(!is_deleted(|object| object.owners[0].uid = "before".to_owned()).await);
    assert!(!is_deleted(|object| object.uid = "another".to_owned()).await);
}
