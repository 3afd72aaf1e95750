use jiff::Timestamp;

use super::*;
use crate::{ContainerUser, DnsConfig, Mount, StreamsConfig, Termination, Volume, VolumeSource};

fn runtime() -> ScriptedRuntime {
    ScriptedRuntime::new(Clock::new(Timestamp::UNIX_EPOCH, 1.0), Workloads::chapter())
}

async fn sandbox(runtime: &ScriptedRuntime) -> Sandbox {
    let config = SandboxConfig {
        uid: "u".into(),
        name: "p".into(),
        namespace: "default".into(),
        hostname: "p".into(),
        volumes: vec![Volume {
            name: "data".into(),
            source: VolumeSource::EmptyDir { size_limit: None },
        }],
        fs_group: None,
        dns: DnsConfig::default(),
        share_process_namespace: false,
        host_aliases: vec![],
    };
    runtime.run_sandbox(config).await.unwrap()
}

async fn start(
    runtime: &ScriptedRuntime,
    image: &str,
    command: &[&str],
    attempt: u32,
) -> ContainerId {
    let mount = Mount {
        volume: "data".into(),
        path: "/data".into(),
        sub_path: None,
        read_only: false,
    };
    let config = ContainerConfig {
        name: "c".into(),
        attempt,
        image: runtime.resolve_image(image).await.unwrap(),
        command: command.iter().map(|part| (*part).to_owned()).collect(),
        args: vec![],
        env: vec![("FailAfterCallCount".into(), "1".into())],
        working_dir: None,
        mounts: vec![mount],
        user: ContainerUser::default(),
        read_only_root_filesystem: false,
        streams: StreamsConfig::default(),
        termination: Termination::default(),
    };
    runtime
        .start_container(&SandboxId("u".into()), config)
        .await
        .unwrap()
}

async fn exec(runtime: &ScriptedRuntime, container: &ContainerId, command: &[&str]) -> i32 {
    let command: Vec<String> = command.iter().map(|part| (*part).to_owned()).collect();
    runtime
        .exec(container, &command, Duration::from_secs(1))
        .await
        .unwrap()
        .code
}

#[tokio::test(start_paused = true)]
async fn numbers_api_fails_after_its_call_limit_and_a_new_instance_works() {
    let runtime = runtime();
    let ip = sandbox(&runtime).await.ip;
    let first = start(&runtime, "kiamol/ch03-numbers-api", &[], 0).await;
    let get = |path| runtime.http_get(ip, 80, path).map(|(status, _)| status);
    assert_eq!(
        (get("/healthz"), get("/rng"), get("/rng"), get("/healthz")),
        (Some(200), Some(200), Some(500), Some(500))
    );
    assert_eq!(
        (get("/reset"), get("/healthz?now"), get("/nowhere")),
        (Some(200), Some(200), Some(404))
    );
    let mut exits = runtime.exits();
    runtime
        .stop_container(&first, Duration::from_secs(30))
        .await
        .unwrap();
    assert_eq!(exits.next().await.unwrap().code, 0);
    assert_eq!(get("/healthz"), None);
    start(&runtime, "kiamol/ch03-numbers-api:v3", &[], 1).await;
    assert_eq!(get("/rng"), Some(200));
}

#[tokio::test(start_paused = true)]
async fn sleep_that_replaces_the_database_ignores_sigterm_until_the_grace_period_ends() {
    let runtime = runtime();
    sandbox(&runtime).await;
    let container = start(
        &runtime,
        "postgres:11.6-alpine",
        &["/bin/sleep", "infinity"],
        0,
    )
    .await;
    assert_eq!(
        exec(&runtime, &container, &["pg_isready", "-h", "localhost"]).await,
        2
    );
    let mut exits = runtime.exits();
    runtime
        .stop_container(&container, Duration::from_secs(30))
        .await
        .unwrap();
    let exit = exits.next().await.unwrap();
    assert_eq!(
        (exit.code, exit.signal, exit.at.as_second()),
        (137, Some(9), 30)
    );
}

#[tokio::test(start_paused = true)]
async fn pg_isready_succeeds_while_the_database_listens() {
    let runtime = runtime();
    let ip = sandbox(&runtime).await.ip;
    let container = start(&runtime, "postgres:11.6-alpine", &[], 0).await;
    assert_eq!(exec(&runtime, &container, &["pg_isready"]).await, 0);
    assert_eq!(runtime.http_get(ip, 80, "/"), None);
}

#[tokio::test(start_paused = true)]
async fn files_of_a_volume_outlive_the_container() {
    let runtime = runtime();
    sandbox(&runtime).await;
    let first = start(&runtime, "numbers-api", &[], 0).await;
    assert_eq!(exec(&runtime, &first, &["cat", "/data/mark"]).await, 1);
    assert_eq!(exec(&runtime, &first, &["touch", "/data/mark"]).await, 0);
    runtime
        .stop_container(&first, Duration::ZERO)
        .await
        .unwrap();
    runtime.remove_container(&first).await.unwrap();
    let second = start(&runtime, "numbers-api", &[], 1).await;
    assert_eq!(exec(&runtime, &second, &["cat", "/data/mark"]).await, 0);
    assert_eq!(exec(&runtime, &second, &["rm", "/data/mark"]).await, 127);
}

#[tokio::test]
async fn unknown_image_is_an_error_that_lists_the_available_images() {
    let runtime = runtime();
    let error = runtime
        .resolve_image("nginx:1")
        .await
        .unwrap_err()
        .to_string();
    for part in [
        "image \"nginx:1\": ",
        "available: kiamol/ch03-numbers-api, localhost/selfheal/numbers-api, numbers-api, postgres;",
        "--image nginx=PROGRAM",
    ] {
        assert!(error.contains(part), "{error}");
    }
}
