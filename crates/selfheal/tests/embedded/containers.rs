//! What a container sees and may do, and the order of a pod's containers.

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{LogParams, PostParams};
use kube::runtime::wait::{await_condition, conditions::is_pod_running};
use serde_json::json;
use test_support::{Requirement, require};

use crate::rig::{Up, is_pod_ready, running_pod};
use crate::script::{script, script_in};

#[tokio::test(flavor = "multi_thread")]
async fn a_container_sees_its_volumes_and_has_no_rights_over_the_machine() {
    let Some(up) = Up::start() else {
        return;
    };
    let client = up.client().await;
    let made = PostParams::default();
    let map = json!({"metadata": {"name": "m"}, "data": {"key": "from a map"}});
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "default");
    maps.create(&made, &serde_json::from_value(map).unwrap())
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
    pods.create(&made, &serde_json::from_value(pod).unwrap())
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
        // As in its image, and by its name alone.
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
        let printed = script(&pods, text).await;
        if expected.is_empty() {
            // The container's own processes and no other.
            assert!(printed.ends_with("few\n"), "{text}: {printed}");
        } else {
            assert_eq!(printed, expected, "{text}");
        }
    }
    let bounding = script(&pods, "grep CapBnd /proc/self/status").await;
    let rights = bounding.split_whitespace().last().unwrap();
    let rights = u64::from_str_radix(rights, 16).unwrap();
    const SYS_ADMIN: u64 = 1 << 21;
    assert_eq!(rights & SYS_ADMIN, 0, "{bounding}");
}

/// Restarts of the pod's containers, by name.
fn restarts(pod: Option<&Pod>, container: &str) -> Option<i32> {
    let statuses = pod?.status.as_ref()?.container_statuses.as_ref()?;
    let status = statuses.iter().find(|status| status.name == container)?;
    status.started.filter(|started| *started)?;
    Some(status.restart_count)
}

/// Runs three processes that each print their name, the last word of their command line. Those of the container's first
/// instance hold a FIFO open, so its reader sees the end of all three. Kubernetes reads `$$` in a command as `$`.
const SHARED_APP: &str = r#"mkfifo /tmp/never
if mkfifo /shared/alive 2> /dev/null; then exec 3<> /shared/alive; echo $$$$ > /shared/app; fi
hold='echo $0; read -r line < /tmp/never'
sh -c "$hold" app-child & setsid sh -c "$hold" app-session & exec sh -c "$hold" app-main"#;
const SHARED_SIDE: &str =
    "mkfifo /tmp/never; exec sh -c 'echo $0; read -r line < /tmp/never' side-main";
/// Prints the names of these processes.
const HELD: &str = r"for file in /proc/[0-9]*/cmdline; do tr '\0' '\n' < $file | tail -n 1; done | grep -E '^(app|side)-' | sort | xargs";

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
        let line = log.try_next().await.unwrap().expect("the log goes on");
        missing.retain(|wanted| *wanted != line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_share_processes_see_and_signal_each_other_and_end_alone() {
    let Some(up) = Up::start() else {
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
        "containers": [container("app", SHARED_APP), container("side", SHARED_SIDE)],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }});
    let pods = Api::<Pod>::namespaced(up.client().await, "default");
    pods.create(
        &PostParams::default(),
        &serde_json::from_value(pod).unwrap(),
    )
    .await
    .unwrap();
    let runs = |times: i32| {
        move |pod: Option<&Pod>| {
            restarts(pod, "app") == Some(times) && restarts(pod, "side") == Some(0)
        }
    };
    await_condition(pods.clone(), "p", runs(0)).await.unwrap();
    wait_for_log(&pods, "app", &["app-child", "app-session", "app-main"]).await;
    wait_for_log(&pods, "side", &["side-main"]).await;
    let all = script_in(&pods, "side", HELD).await;
    assert_eq!(all, "app-child app-main app-session side-main\n");
    let first = "tr '\\0' ' ' < /proc/1/cmdline | cut -d' ' -f1,2; ls /proc/1/root/ | wc -l";
    assert_eq!(
        script_in(&pods, "app", first).await,
        "selfheal __pause\n0\n"
    );
    let kill = "exec 4< /shared/alive; kill $(cat /shared/app); cat <&4; echo all ended";
    assert_eq!(script_in(&pods, "side", kill).await, "all ended\n");
    await_condition(pods.clone(), "p", runs(1)).await.unwrap();
    let left = script_in(&pods, "side", HELD).await;
    assert!(left.ends_with("side-main\n"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_containers_sidecars_and_hooks_do_their_part_in_order() {
    let Some(up) = Up::start() else {
        return;
    };
    let container = |name: &str, text: &str| {
        json!({
            "name": name, "image": "localhost/selfheal/numbers-api", "command": ["sh", "-c", text],
            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
        })
    };
    // Each says what it does in a file; the sidecar, which is the last to end, prints it.
    let mut side = container(
        "side",
        "echo side >> /shared/told; trap 'cat /shared/told; exit 0' TERM; sleep 60000 & wait",
    );
    side["restartPolicy"] = json!("Always");
    side["startupProbe"] =
        json!({"exec": {"command": ["grep", "side", "/shared/told"]}, "periodSeconds": 1});
    let hook = |text: &str| json!({"exec": {"command": ["sh", "-c", text]}});
    let mut own = container("c", "read -r line < /shared/go; echo own >> /shared/told");
    own["lifecycle"] = json!({"postStart": hook("echo hook >> /shared/told; echo > /shared/go")});
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "restartPolicy": "Never",
        "initContainers": [container("first", "mkfifo /shared/go; echo first >> /shared/told"), side],
        "containers": [own],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }});
    let pods = Api::<Pod>::namespaced(up.client().await, "default");
    let pod: Pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let over = |pod: Option<&Pod>| {
        let status = pod.and_then(|pod| pod.status.as_ref());
        status.is_some_and(|status| status.phase.as_deref() == Some("Succeeded"))
    };
    await_condition(pods.clone(), "p", over).await.unwrap();
    let of_sidecar = LogParams {
        container: Some("side".to_owned()),
        ..LogParams::default()
    };
    let told = pods.logs("p", &of_sidecar).await.unwrap();
    assert_eq!(told, "first\nside\nhook\nown\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_and_commands_in_it_are_the_user_and_groups_of_their_pod() {
    let Some(up) = Up::start().filter(|_| require(Requirement::Root)) else {
        return;
    };
    let client = up.client().await;
    let made = PostParams::default();
    let map = json!({"metadata": {"name": "m"}, "data": {"key": "from a map"}});
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "default");
    maps.create(&made, &serde_json::from_value(map).unwrap())
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
    pods.create(&made, &serde_json::from_value(pod).unwrap())
        .await
        .unwrap();
    await_condition(pods.clone(), "p", is_pod_ready)
        .await
        .unwrap();
    let who = "1000:1001:1001 2000 3000\n";
    let ids = "uid=1000 gid=1001 groups=1001,2000,3000\n";
    for (container, text, expected) in [
        (
            "c",
            "echo $(id -u):$(id -g):$(id -G | xargs -n 1 | sort -n | xargs)",
            who,
        ),
        ("c", "cat /empty/id", ids),
        ("c", "cat /empty/probe", ids),
        ("c", "cat /map/key", "from a map"),
        ("c", "stat -Lc %g:%a /map/key", "2000:440\n"),
        ("c", "stat -c %g:%a /empty", "2000:2777\n"),
        ("c", "stat -c %U:%g /empty/id", "UNKNOWN:2000\n"),
        ("other", "echo $(id -u)", "1002\n"),
    ] {
        assert_eq!(script_in(&pods, container, text).await, expected, "{text}");
    }
}

/// A sidecar matches processes by these, so they have to be those of the image.
#[tokio::test(flavor = "multi_thread")]
async fn workload_process_shows_the_image_program_as_path_name_and_command() {
    let Some(up) = Up::start() else {
        return;
    };
    let container = json!({
        "name": "c", "image": "localhost/selfheal/numbers-api:0.1.0", "args": ["--listen=127.0.0.1:8080"],
    });
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [container]}});
    let pods = running_pod(&up, pod).await;
    for (text, expected) in [
        ("readlink /proc/1/exe", "/numbers-api\n"),
        ("cat /proc/1/comm", "numbers-api\n"),
        (
            "tr '\\0' ' ' < /proc/1/cmdline",
            "/numbers-api --listen=127.0.0.1:8080 ",
        ),
    ] {
        assert_eq!(script(&pods, text).await, expected, "{text}");
    }
}
