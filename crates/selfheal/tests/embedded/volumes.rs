//! What a pod is told of itself and of others in files, and what it says itself at its end.

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use crate::rig::{Up, is_pod_ready, running_pod};
use crate::script::script;

#[tokio::test(flavor = "multi_thread")]
async fn files_tell_of_a_pod_and_of_objects_and_change_with_them() {
    // Volumes are looked at once a minute.
    let Some(up) = Up::start_with(&["--speed=100"]) else {
        return;
    };
    let client = up.client().await;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "default");
    let map: ConfigMap = serde_json::from_value(
        json!({"metadata": {"name": "m"}, "data": {"key": "old", "gone": "x"}}),
    )
    .unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let secrets = Api::<Secret>::namespaced(client, "default");
    let secret: Secret = serde_json::from_value(
        json!({"metadata": {"name": "s"}, "stringData": {"word": "secret"}}),
    )
    .unwrap();
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();

    let field = |path: &str, field: &str| json!({"path": path, "fieldRef": {"fieldPath": field}});
    let limit = |divisor: &str| json!({"containerName": "c", "resource": "limits.memory", "divisor": divisor});
    // The kubelet's own probe shows that the files have changed.
    let changed = "grep -q new /map/key && grep -q back /all/labels";
    let pods = running_pod(&up, json!({
        "metadata": {"name": "p", "labels": {"app": "web", "tier": "front"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "c", "image": "localhost/selfheal/numbers-api", "command": ["sleep", "60000"],
                "resources": {"limits": {"memory": "64Mi"}},
                "env": [
                    {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "ROOM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
                ],
                "readinessProbe": {"periodSeconds": 10, "timeoutSeconds": 600, "exec": {"command": ["sh", "-c", changed]}},
                "volumeMounts": [
                    {"name": "map", "mountPath": "/map"},
                    {"name": "map", "mountPath": "/one", "subPath": "key"},
                    {"name": "all", "mountPath": "/all"},
                    {"name": "empty", "mountPath": "/own", "subPathExpr": "of-$(WHO)"},
                    {"name": "empty", "mountPath": "/empty"},
                ],
            }],
            "volumes": [
                {"name": "map", "configMap": {"name": "m"}},
                {"name": "empty", "emptyDir": {}},
                {"name": "all", "projected": {"defaultMode": 0o440, "sources": [
                    {"secret": {"name": "s", "items": [{"key": "word", "path": "deep/word", "mode": 0o400}]}},
                    {"configMap": {"name": "none", "optional": true}},
                    {"downwardAPI": {"items": [
                        field("labels", "metadata.labels"),
                        field("name", "metadata.name"),
                        {"path": "room", "resourceFieldRef": limit("1Ki")},
                    ]}},
                ]}},
            ],
        },
    })).await;
    for (text, expected) in [
        ("cat /map/key /one", "oldold"),
        (
            "cat /all/deep/word; stat -Lc ' %a' /all/deep/word",
            "secret 400\n",
        ),
        (
            "cat /all/labels; stat -Lc ' %a' /all/labels",
            "app=\"web\"\ntier=\"front\" 440\n",
        ),
        ("cat /all/name /all/room; echo \" $ROOM\"", "p65536 64\n"),
        ("touch /own/x; ls /empty/of-p", "x\n"),
        ("ls /all", "deep\nlabels\nname\nroom\n"),
    ] {
        assert_eq!(script(&pods, text).await, expected, "{text}");
    }

    let change = |change: Value| (PatchParams::default(), Patch::Merge(change));
    let (how, data) = change(json!({"data": {"key": "new", "gone": null, "more": "y"}}));
    maps.patch("m", &how, &data).await.unwrap();
    let (how, labels) = change(json!({"metadata": {"labels": {"tier": "back"}}}));
    pods.patch("p", &how, &labels).await.unwrap();
    await_condition(pods.clone(), "p", is_pod_ready)
        .await
        .unwrap();
    let files = script(&pods, "ls /map; cat /one").await;
    assert_eq!(files, "key\nmore\nold");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_container_says_of_its_end_is_in_its_status() {
    let Some(up) = Up::start() else {
        return;
    };
    let container = |name: &str, more: Value, text: &str| {
        let mut container = json!({"name": name, "image": "localhost/selfheal/numbers-api", "command": ["sh", "-c", text]});
        container
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        container
    };
    let or_log = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
    let elsewhere = json!({"terminationMessagePath": "/tmp/deep/why", "securityContext": {"readOnlyRootFilesystem": true}});
    let pods = Api::<Pod>::namespaced(up.client().await, "default");
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "restartPolicy": "Never",
        "containers": [
            container("written", json!({}), "echo log; printf written > /dev/termination-log; exit 1"),
            container("elsewhere", elsewhere, "printf there > /tmp/deep/why"),
            container("log", or_log.clone(), "echo one; echo two >&2; exit 3"),
            container("well", or_log, "echo one"),
        ],
    }});
    pods.create(
        &PostParams::default(),
        &serde_json::from_value(pod).unwrap(),
    )
    .await
    .unwrap();
    let over = |pod: Option<&Pod>| {
        let status = pod.and_then(|pod| pod.status.as_ref());
        status.is_some_and(|status| status.phase.as_deref() == Some("Failed"))
    };
    let pod = await_condition(pods, "p", over).await.unwrap().unwrap();
    let said = |name: &str| {
        let statuses = pod
            .status
            .as_ref()
            .unwrap()
            .container_statuses
            .as_ref()
            .unwrap();
        let status = statuses.iter().find(|status| status.name == name).unwrap();
        let ended = status.state.as_ref().unwrap().terminated.as_ref();
        ended.unwrap().message.clone()
    };
    assert_eq!(said("written").as_deref(), Some("written"));
    assert_eq!(said("elsewhere").as_deref(), Some("there"));
    // Two streams, which are read beside each other.
    let mut log: Vec<_> = said("log").unwrap().lines().map(str::to_owned).collect();
    log.sort();
    assert_eq!(log, ["one", "two"]);
    assert_eq!(said("well"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_may_lie_in_the_machines_own_folders() {
    let Some(up) = Up::start() else {
        return;
    };
    let pods = running_pod(
        &up,
        json!({"metadata": {"name": "p"}, "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "c", "image": "localhost/selfheal/numbers-api", "command": ["sleep", "600"],
                "volumeMounts": [
                    {"name": "v", "mountPath": "/usr/share/of-the-test/html"},
                    {"name": "v", "mountPath": "/usr/share/of-the-test-too"},
                    {"name": "v", "mountPath": "/usr/share/doc/of-the-test", "readOnly": true},
                ],
            }],
            "volumes": [{"name": "v", "emptyDir": {}}],
        }}),
    )
    .await;
    for (text, expected) in [
        (
            "echo hi > /usr/share/of-the-test/html/x; cat /usr/share/of-the-test-too/x /usr/share/doc/of-the-test/x",
            "hi\nhi\n",
        ),
        (
            "touch /usr/share/y 2>/dev/null || echo refused",
            "refused\n",
        ),
        (
            "touch /usr/share/doc/y 2>/dev/null || echo refused",
            "refused\n",
        ),
        (
            "touch /usr/share/doc/of-the-test/y 2>/dev/null || echo refused",
            "refused\n",
        ),
        // What is there otherwise is there.
        (
            "ls /usr/share/doc | wc -l | xargs test 2 -lt && test -d /usr/share/zoneinfo/.. && ls -d /usr/bin",
            "/usr/bin\n",
        ),
    ] {
        assert_eq!(script(&pods, text).await, expected, "{text}");
    }
}
