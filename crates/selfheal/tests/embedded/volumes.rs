//! Volumes with objects and the pod's own fields, and termination messages.

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use crate::harness::{TestNode, is_pod_ready, run_pod};
use crate::script::run_script;

#[tokio::test(flavor = "multi_thread")]
async fn projected_files_are_updated_after_changes_of_their_sources() {
    // The kubelet syncs volumes once a minute.
    let Some(node) = TestNode::start_with(&["--speed=100"]) else {
        return;
    };
    let client = node.client().await;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "default");
    let map: ConfigMap = serde_json::from_value(
        json!({"metadata": {"name": "m"}, "data": {"key": "old", "removed": "x"}}),
    )
    .unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let secrets = Api::<Secret>::namespaced(client, "default");
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": "s"}, "stringData": {"key": "secret"}}))
            .unwrap();
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();

    let field = |path: &str, field: &str| json!({"path": path, "fieldRef": {"fieldPath": field}});
    let limit = |divisor: &str| json!({"containerName": "c", "resource": "limits.memory", "divisor": divisor});
    // The readiness probe succeeds when the files have changed.
    let changed = "grep -q new /map/key && grep -q back /all/labels";
    let pods = run_pod(&node, json!({
        "metadata": {"name": "p", "labels": {"app": "web", "tier": "front"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "c", "image": "localhost/selfheal/numbers-api", "command": ["sleep", "60000"],
                "resources": {"limits": {"memory": "64Mi"}},
                "env": [
                    {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
                ],
                "readinessProbe": {"periodSeconds": 10, "timeoutSeconds": 600, "exec": {"command": ["sh", "-c", changed]}},
                "volumeMounts": [
                    {"name": "map", "mountPath": "/map"},
                    {"name": "map", "mountPath": "/one", "subPath": "key"},
                    {"name": "all", "mountPath": "/all"},
                    {"name": "empty", "mountPath": "/own", "subPathExpr": "of-$(POD_NAME)"},
                    {"name": "empty", "mountPath": "/empty"},
                ],
            }],
            "volumes": [
                {"name": "map", "configMap": {"name": "m"}},
                {"name": "empty", "emptyDir": {}},
                {"name": "all", "projected": {"defaultMode": 0o440, "sources": [
                    {"secret": {"name": "s", "items": [{"key": "key", "path": "deep/key", "mode": 0o400}]}},
                    {"configMap": {"name": "none", "optional": true}},
                    {"downwardAPI": {"items": [
                        field("labels", "metadata.labels"),
                        field("name", "metadata.name"),
                        {"path": "memory", "resourceFieldRef": limit("1Ki")},
                    ]}},
                ]}},
            ],
        },
    })).await;
    for (text, expected) in [
        ("cat /map/key /one", "oldold"),
        (
            "cat /all/deep/key; stat -Lc ' %a' /all/deep/key",
            "secret 400\n",
        ),
        (
            "cat /all/labels; stat -Lc ' %a' /all/labels",
            "app=\"web\"\ntier=\"front\" 440\n",
        ),
        (
            "cat /all/name /all/memory; echo \" $MEMORY\"",
            "p65536 64\n",
        ),
        ("touch /own/x; ls /empty/of-p", "x\n"),
        ("ls /all", "deep\nlabels\nmemory\nname\n"),
    ] {
        assert_eq!(run_script(&pods, text).await, expected, "{text}");
    }

    let merge = |change: Value| (PatchParams::default(), Patch::Merge(change));
    let (parameters, data) = merge(json!({"data": {"key": "new", "removed": null, "more": "y"}}));
    maps.patch("m", &parameters, &data).await.unwrap();
    let (parameters, labels) = merge(json!({"metadata": {"labels": {"tier": "back"}}}));
    pods.patch("p", &parameters, &labels).await.unwrap();
    await_condition(pods.clone(), "p", is_pod_ready)
        .await
        .unwrap();
    let files = run_script(&pods, "ls /map; cat /one").await;
    assert_eq!(files, "key\nmore\nold");
}

#[tokio::test(flavor = "multi_thread")]
async fn termination_message_of_a_container_is_in_its_status() {
    let Some(node) = TestNode::start() else {
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
    let fallback = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
    let elsewhere = json!({"terminationMessagePath": "/tmp/deep/message", "securityContext": {"readOnlyRootFilesystem": true}});
    let pods = Api::<Pod>::namespaced(node.client().await, "default");
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "restartPolicy": "Never",
        "containers": [
            container("written", json!({}), "echo log; printf written > /dev/termination-log; exit 1"),
            container("elsewhere", elsewhere, "printf there > /tmp/deep/message"),
            container("log", fallback.clone(), "echo one; echo two >&2; exit 3"),
            container("succeeded", fallback, "echo one"),
        ],
    }});
    pods.create(
        &PostParams::default(),
        &serde_json::from_value(pod).unwrap(),
    )
    .await
    .unwrap();
    let is_failed = |pod: Option<&Pod>| {
        let status = pod.and_then(|pod| pod.status.as_ref());
        status.is_some_and(|status| status.phase.as_deref() == Some("Failed"))
    };
    let pod = await_condition(pods, "p", is_failed)
        .await
        .unwrap()
        .unwrap();
    let message = |name: &str| {
        let statuses = pod
            .status
            .as_ref()
            .unwrap()
            .container_statuses
            .as_ref()
            .unwrap();
        let status = statuses.iter().find(|status| status.name == name).unwrap();
        let terminated = status.state.as_ref().unwrap().terminated.as_ref();
        terminated.unwrap().message.clone()
    };
    assert_eq!(message("written").as_deref(), Some("written"));
    assert_eq!(message("elsewhere").as_deref(), Some("there"));
    // The two streams are read concurrently.
    let mut log: Vec<_> = message("log").unwrap().lines().map(str::to_owned).collect();
    log.sort();
    assert_eq!(log, ["one", "two"]);
    assert_eq!(message("succeeded"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_can_be_mounted_below_host_directories() {
    let Some(node) = TestNode::start() else {
        return;
    };
    let pods = run_pod(
        &node,
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
        // The other entries of the directories are visible.
        (
            "ls /usr/share/doc | wc -l | xargs test 2 -lt && test -d /usr/share/zoneinfo/.. && ls -d /usr/bin",
            "/usr/bin\n",
        ),
    ] {
        assert_eq!(run_script(&pods, text).await, expected, "{text}");
    }
}
