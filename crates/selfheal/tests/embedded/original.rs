//! Manifests of the original's shape, unchanged.

use std::io::Write as _;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use test_support::{Requirement, require};

use crate::rig::{Up, poll_until};

/// Creates what a document of YAML describes.
async fn create(client: &Client, document: &str) {
    async fn one<K>(client: &Client, document: &str)
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
    {
        // Modes with a leading zero are octal, as kubectl reads them.
        let options = serde_saphyr::options! { legacy_octal_numbers: true };
        let object: K = serde_saphyr::from_str_with_options(document, options).unwrap();
        let objects = Api::<K>::namespaced(client.clone(), "default");
        let created = objects.create(&PostParams::default(), &object).await;
        created.unwrap();
    }
    let kind = document
        .lines()
        .find_map(|line| line.strip_prefix("kind: "));
    match kind.unwrap() {
        "ConfigMap" => one::<ConfigMap>(client, document).await,
        "Secret" => one::<Secret>(client, document).await,
        "Service" => one::<Service>(client, document).await,
        "Deployment" => one::<Deployment>(client, document).await,
        other => panic!("{other} is no kind of the original's"),
    }
}

/// Sends a request to a port of this machine; the answer as it came.
fn http(port: u16, head: &str, body: &str) -> std::io::Result<String> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    let length = body.len();
    let kind = "application/x-www-form-urlencoded";
    write!(
        stream,
        "{head} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: csrf={VISITOR}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    std::io::read_to_string(stream)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What a visitor's forms repeat.
const VISITOR: &str = "0123456789abcdef0123456789abcdef";

/// An application of these manifests keeps an item.
async fn keeps_an_item(manifests: [&str; 2]) {
    if !require(Requirement::Postgresql) {
        return;
    }
    let Some(up) = Up::start() else {
        return;
    };
    let client = up.client().await;
    let port = free_port();
    for manifest in manifests {
        let manifest = manifest.replace("PORT", &port.to_string());
        for document in manifest.split("---\n") {
            create(&client, document).await;
        }
    }
    let available = |deployment: Option<&Deployment>| {
        let status = deployment.and_then(|deployment| deployment.status.as_ref());
        status.is_some_and(|status| status.available_replicas == Some(1))
    };
    for name in ["todo-db", "todo-web"] {
        let deployments = Api::<Deployment>::namespaced(client.clone(), "default");
        await_condition(deployments, name, available).await.unwrap();
    }
    // Proxies apply the endpoint a moment after the pods are ready.
    let is_served = || http(port, "GET /", "").is_ok_and(|page| page.starts_with("HTTP/1.1 200 "));
    poll_until(async || is_served()).await;
    let form = format!("csrf={VISITOR}&text=buy+milk");
    let added = http(port, "POST /new", &form).unwrap();
    assert!(added.starts_with("HTTP/1.1 303 "), "{added}");
    let list = http(port, "GET /list", "").unwrap();
    assert!(list.contains(">buy milk</span>"), "{list}");
    let settings = http(port, "GET /config", "").unwrap();
    assert!(settings.contains("/app/secrets/secrets.json"), "{settings}");
    assert!(!settings.contains("break-2*2*"), "{settings}");
}

const ORIGINAL: &str = include_str!("../original/web.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn manifests_of_the_originals_shape_give_a_working_application() {
    keeps_an_item([include_str!("../original/db.yaml"), ORIGINAL]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_originals_database_with_its_password_in_the_environment_works_as_well() {
    keeps_an_item([include_str!("../original/db-environment.yaml"), ORIGINAL]).await;
}
