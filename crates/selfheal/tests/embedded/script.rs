//! Scripts in a pod's container.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use tokio::io::AsyncReadExt as _;

/// Runs a script in the container `c` of the pod `p`; returns its standard output.
pub(crate) async fn run_script(pods: &Api<Pod>, text: &str) -> String {
    run_script_in(pods, "c", text).await
}

/// Runs a script in a container of the pod `p`; returns its standard output.
pub(crate) async fn run_script_in(pods: &Api<Pod>, container: &str, text: &str) -> String {
    let command = ["sh", "-c", text];
    let streams = AttachParams::default().container(container).stderr(false);
    let mut attached = pods.exec("p", command, &streams).await.unwrap();
    let mut output = String::new();
    let mut stdout = attached.stdout().unwrap();
    stdout.read_to_string(&mut output).await.unwrap();
    attached.join().await.unwrap();
    output
}
