//! Files, processes and privileges of containers, and the order of a pod's containers.

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{LogParams, PostParams};
use kube::runtime::wait::{await_condition, conditions::is_pod_running};
use serde_json::json;
use test_support::{Requirement, require};

use crate::harness::{TestNode, is_pod_ready, run_pod};
use crate::script::{run_script, run_script_in};

#[tokio::test(flavor = "multi_thread")]
async fn container_has_its_volumes_and_no_privileges_on_the_host() {
    let Some(node) = TestNode::start() else {
        return;
    };
    let client = node.client().await;
    let parameters = PostParams::default();
    let map = json!({"metadata": {"name": "m"}, "data": {"key": "from a map"}});
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "default");
    maps.create(&parameters, &serde_json::from_value(map).unwrap())
        .await
        .unwrap();
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{
            "name": "c", "image": "localhost/selfheal/numbers-api", "command": ["sleep", "600"],
            "volumeMounts": [
                {"name": "map", "mountPath": "/map"},
                {"name": "small", "mountPath": "/small"},
                {"name": "small", "mountPath": "/part", "subPath": "a/b"},
            ],
        }],
        "volumes": [
            {"name": "map", "configMap": {"name": "m", "defaultMode": 0o400}},
            {"name": "small", "emptyDir": {"sizeLimit": "1Mi"}},
        ],
    }});
    let pods = Api::<Pod>::namespaced(client, "default");
    pods.create(&parameters, &serde_json::from_value(pod).unwrap())
        .await
        .unwrap();
    await_condition(pods.clone(), "p", is_pod_running())
        .await
        .unwrap();
    for (text, expected) in [
        ("cat /map/key", "from a map"),
        ("stat -Lc %a /map/key", "400\n"),
        ("touch /map/x 2>/dev/null || echo refused", "refused\n"),
        ("echo here > /part/file; cat /small/a/b/file", "here\n"),
        (
            "head -c 2000000 /dev/zero > /small/big 2>/dev/null || echo full",
            "full\n",
        ),
        ("touch /usr/x 2>/dev/null || echo refused", "refused\n"),
        // At its path in the image, and by its name in PATH.
        (
            "/numbers-api --version | cut -d' ' -f1; numbers-api --version | cut -d' ' -f1",
            "numbers-api\nnumbers-api\n",
        ),
        (
            "echo x 2>/dev/null > /proc/sys/kernel/core_pattern || echo refused",
            "refused\n",
        ),
        (
            "mount -t tmpfs x /tmp 2>/dev/null || echo refused",
            "refused\n",
        ),
        (
            "test -e /dev/mem || echo none; ls /sys | wc -l",
            "none\n0\n",
        ),
        (
            "echo $$; ls -d /proc/[0-9]* | wc -l | xargs test 10 -gt && echo few",
            "",
        ),
    ] {
        let printed = run_script(&pods, text).await;
        if expected.is_empty() {
            // Only processes of the container.
            assert!(printed.ends_with("few\n"), "{text}: {printed}");
        } else {
            assert_eq!(printed, expected, "{text}");
        }
    }
    let bounding = run_script(&pods, "grep CapBnd /proc/self/status").await;
    let capabilities = bounding.split_whitespace().last().unwrap();
    let capabilities = u64::from_str_radix(capabilities, 16).unwrap();
    const SYS_ADMIN: u64 = 1 << 21;
    assert_eq!(capabilities & SYS_ADMIN, 0, "{bounding}");
}

/// Restarts of a container; `None` if it is not started.
fn restarts_if_started(pod: Option<&Pod>, container: &str) -> Option<i32> {
    let statuses = pod?.status.as_ref()?.container_statuses.as_ref()?;
    let status = statuses.iter().find(|status| status.name == container)?;
    status.started.filter(|started| *started)?;
    Some(status.restart_count)
}

/// Runs three processes that each print their name, the last argument of their command line. Those of the container's first
/// instance have a FIFO open, so its reader reaches the end of the file when all three have exited. Kubernetes replaces `$$` in
/// a command by `$`.
const APP_SCRIPT: &str = r#"mkfifo /tmp/never
if mkfifo /shared/alive 2> /dev/null; then exec 3<> /shared/alive; echo $$$$ > /shared/app; fi
wait='echo $0; read -r line < /tmp/never'
sh -c "$wait" app-child & setsid sh -c "$wait" app-session & exec sh -c "$wait" app-main"#;
const SIDECAR_SCRIPT: &str =
    "mkfifo /tmp/never; exec sh -c 'echo $0; read -r line < /tmp/never' side-main";
/// Prints the names of these processes.
const LIST_PROCESSES: &str = r"for file in /proc/[0-9]*/cmdline; do tr '\0' '\n' < $file | tail -n 1; done | grep -E '^(app|side)-' | sort | xargs";

/// Reads a container's log until it has all of these lines.
async fn wait_for_log(pods: &Api<Pod>, container: &str, lines: &[&str]) {
    let follow = LogParams {
        container: Some(container.to_owned()),
        follow: true,
        ..LogParams::default()
    };
    let mut log = pods.log_stream("p", &follow).await.unwrap().lines();
    let mut missing = lines.to_vec();
    while !missing.is_empty() {
        let line = log
            .try_next()
            .await
            .unwrap()
            .expect("the log has not ended");
        missing.retain(|expected| *expected != line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_with_a_shared_process_namespace_signal_each_other_and_restart_alone() {
    let Some(node) = TestNode::start() else {
        return;
    };
    let container = |name: &str, text: &str| {
        json!({
            "name": name, "image": "localhost/selfheal/numbers-api", "command": ["sh", "-c", text],
            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
        })
    };
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "shareProcessNamespace": true,
        "terminationGracePeriodSeconds": 0,
        "containers": [container("app", APP_SCRIPT), container("side", SIDECAR_SCRIPT)],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }});
    let pods = Api::<Pod>::namespaced(node.client().await, "default");
    pods.create(
        &PostParams::default(),
        &serde_json::from_value(pod).unwrap(),
    )
    .await
    .unwrap();
    let is_running = |times: i32| {
        move |pod: Option<&Pod>| {
            restarts_if_started(pod, "app") == Some(times)
                && restarts_if_started(pod, "side") == Some(0)
        }
    };
    await_condition(pods.clone(), "p", is_running(0))
        .await
        .unwrap();
    wait_for_log(&pods, "app", &["app-child", "app-session", "app-main"]).await;
    wait_for_log(&pods, "side", &["side-main"]).await;
    let all = run_script_in(&pods, "side", LIST_PROCESSES).await;
    assert_eq!(all, "app-child app-main app-session side-main\n");
    let first = "tr '\\0' ' ' < /proc/1/cmdline | cut -d' ' -f1,2; ls /proc/1/root/ | wc -l";
    assert_eq!(
        run_script_in(&pods, "app", first).await,
        "selfheal __pause\n0\n"
    );
    let kill = "exec 4< /shared/alive; kill $(cat /shared/app); cat <&4; echo all exited";
    assert_eq!(run_script_in(&pods, "side", kill).await, "all exited\n");
    await_condition(pods.clone(), "p", is_running(1))
        .await
        .unwrap();
    let remaining = run_script_in(&pods, "side", LIST_PROCESSES).await;
    assert!(remaining.ends_with("side-main\n"), "{remaining}");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_containers_sidecars_and_hooks_run_in_order() {
    let Some(node) = TestNode::start() else {
        return;
    };
    let container = |name: &str, text: &str| {
        json!({
            "name": name, "image": "localhost/selfheal/numbers-api", "command": ["sh", "-c", text],
            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
        })
    };
    // Each appends a line to a file. The sidecar, which is the last to terminate, prints the file.
    let mut side = container(
        "side",
        "echo side >> /shared/lines; trap 'cat /shared/lines; exit 0' TERM; sleep 60000 & wait",
    );
    side["restartPolicy"] = json!("Always");
    side["startupProbe"] =
        json!({"exec": {"command": ["grep", "side", "/shared/lines"]}, "periodSeconds": 1});
    let hook = |text: &str| json!({"exec": {"command": ["sh", "-c", text]}});
    let mut main = container("c", "read -r line < /shared/go; echo main >> /shared/lines");
    main["lifecycle"] = json!({"postStart": hook("echo hook >> /shared/lines; echo > /shared/go")});
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "restartPolicy": "Never",
        "initContainers": [container("first", "mkfifo /shared/go; echo first >> /shared/lines"), side],
        "containers": [main],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }});
    let pods = Api::<Pod>::namespaced(node.client().await, "default");
    let pod: Pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let is_succeeded = |pod: Option<&Pod>| {
        let status = pod.and_then(|pod| pod.status.as_ref());
        status.is_some_and(|status| status.phase.as_deref() == Some("Succeeded"))
    };
    await_condition(pods.clone(), "p", is_succeeded)
        .await
        .unwrap();
    let sidecar_log = LogParams {
        container: Some("side".to_owned()),
        ..LogParams::default()
    };
    let lines = pods.logs("p", &sidecar_log).await.unwrap();
    assert_eq!(lines, "first\nside\nhook\nmain\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn container_and_its_commands_have_the_user_and_groups_of_the_pod() {
    let Some(node) = TestNode::start().filter(|_| require(Requirement::Root)) else {
        return;
    };
    let client = node.client().await;
    let parameters = PostParams::default();
    let map = json!({"metadata": {"name": "m"}, "data": {"key": "from a map"}});
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "default");
    maps.create(&parameters, &serde_json::from_value(map).unwrap())
        .await
        .unwrap();
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsUser": 1000, "runAsGroup": 1001, "fsGroup": 2000, "supplementalGroups": [3000]},
        "containers": [
            {
                "name": "c", "image": "localhost/selfheal/numbers-api",
                "command": ["sh", "-c", "id > /empty/id; exec sleep 600"],
                "readinessProbe": {"periodSeconds": 1, "exec": {"command": ["sh", "-c", "id > /empty/probe"]}},
                "volumeMounts": [
                    {"name": "map", "mountPath": "/map"},
                    {"name": "empty", "mountPath": "/empty"},
                ],
            },
            {
                "name": "other", "image": "localhost/selfheal/numbers-api", "command": ["sleep", "600"],
                "securityContext": {"runAsUser": 1002},
            },
        ],
        "volumes": [
            {"name": "map", "configMap": {"name": "m", "defaultMode": 0o400}},
            {"name": "empty", "emptyDir": {}},
        ],
    }});
    let pods = Api::<Pod>::namespaced(client, "default");
    pods.create(&parameters, &serde_json::from_value(pod).unwrap())
        .await
        .unwrap();
    await_condition(pods.clone(), "p", is_pod_ready)
        .await
        .unwrap();
    let user_and_groups = "1000:1001:1001 2000 3000\n";
    let ids = "uid=1000 gid=1001 groups=1001,2000,3000\n";
    for (container, text, expected) in [
        (
            "c",
            "echo $(id -u):$(id -g):$(id -G | xargs -n 1 | sort -n | xargs)",
            user_and_groups,
        ),
        ("c", "cat /empty/id", ids),
        ("c", "cat /empty/probe", ids),
        ("c", "cat /map/key", "from a map"),
        ("c", "stat -Lc %g:%a /map/key", "2000:440\n"),
        ("c", "stat -c %g:%a /empty", "2000:2777\n"),
        ("c", "stat -c %U:%g /empty/id", "UNKNOWN:2000\n"),
        ("other", "echo $(id -u)", "1002\n"),
    ] {
        assert_eq!(
            run_script_in(&pods, container, text).await,
            expected,
            "{text}"
        );
    }
}

/// A sidecar selects processes by these attributes, so they have to be those of the image.
#[tokio::test(flavor = "multi_thread")]
async fn workload_process_shows_the_image_program_as_path_name_and_command() {
    let Some(node) = TestNode::start() else {
        return;
    };
    let container = json!({
        "name": "c", "image": "localhost/selfheal/numbers-api:0.1.0", "args": ["--listen=127.0.0.1:8080"],
    });
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [container]}});
    let pods = run_pod(&node, pod).await;
    for (text, expected) in [
        ("readlink /proc/1/exe", "/numbers-api\n"),
        ("cat /proc/1/comm", "numbers-api\n"),
        (
            "tr '\\0' ' ' < /proc/1/cmdline",
            "/numbers-api --listen=127.0.0.1:8080 ",
        ),
    ] {
        assert_eq!(run_script(&pods, text).await, expected, "{text}");
    }
}
