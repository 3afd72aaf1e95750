//! Manifests with the fields of kiamol's, without changes for this project.

use std::io::Write as _;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use test_support::{Requirement, require};

use crate::harness::{TestNode, poll_until};

/// Creates the object of a YAML document.
async fn create(client: &Client, document: &str) {
    async fn create_kind<K>(client: &Client, document: &str)
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
        "ConfigMap" => create_kind::<ConfigMap>(client, document).await,
        "Secret" => create_kind::<Secret>(client, document).await,
        "Service" => create_kind::<Service>(client, document).await,
        "Deployment" => create_kind::<Deployment>(client, document).await,
        other => panic!("unexpected kind {other}"),
    }
}

/// Sends a request to a port of this host; returns the whole response.
fn send_request(port: u16, head: &str, body: &str) -> std::io::Result<String> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    let length = body.len();
    let kind = "application/x-www-form-urlencoded";
    write!(
        stream,
        "{head} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: csrf={CSRF_TOKEN}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    std::io::read_to_string(stream)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// CSRF token in the cookie and in the form.
const CSRF_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Runs the application of these manifests and adds an item to its list.
async fn assert_item_is_stored(manifests: [&str; 2]) {
    if !require(Requirement::Postgresql) {
        return;
    }
    let Some(node) = TestNode::start() else {
        return;
    };
    let client = node.client().await;
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
    // Proxies apply the endpoint after the pods are ready.
    let is_served =
        || send_request(port, "GET /", "").is_ok_and(|page| page.starts_with("HTTP/1.1 200 "));
    poll_until(async || is_served()).await;
    let form = format!("csrf={CSRF_TOKEN}&text=buy+milk");
    let added = send_request(port, "POST /new", &form).unwrap();
    assert!(added.starts_with("HTTP/1.1 303 "), "{added}");
    let list = send_request(port, "GET /list", "").unwrap();
    assert!(list.contains(">buy milk</span>"), "{list}");
    let settings = send_request(port, "GET /config", "").unwrap();
    assert!(settings.contains("/app/secrets/secrets.json"), "{settings}");
    assert!(!settings.contains("break-2*2*"), "{settings}");
}

const WEB_MANIFEST: &str = include_str!("../kiamol/web.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn application_of_kiamol_manifests_works() {
    assert_item_is_stored([include_str!("../kiamol/db.yaml"), WEB_MANIFEST]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kiamol_database_with_a_password_in_the_environment_works() {
    assert_item_is_stored([include_str!("../kiamol/db-environment.yaml"), WEB_MANIFEST]).await;
}
