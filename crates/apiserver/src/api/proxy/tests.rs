use axum::Router;
use container_runtime::SandboxId;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::target::{Scheme, Target};
use super::*;
use crate::api::tests::{api, call, send};

#[test]
fn path_is_split_after_the_proxy_subresource() {
    let pod = "/api/v1/namespaces/default/pods/web:80/proxy";
    for (path, proxied) in [
        (pod.to_owned(), Some("")),
        (format!("{pod}/"), Some("/")),
        (format!("{pod}/a%20b/proxy/c"), Some("/a%20b/proxy/c")),
        (format!("{pod}x"), None),
        ("/api/v1/namespaces/default/pods/web/log".to_owned(), None),
        (
            "/api/v1/namespaces/default/configmaps/x/proxy".to_owned(),
            None,
        ),
    ] {
        let expected = (proxied.map_or(&*path, |_| pod), proxied);
        assert_eq!(split_path(&path), expected, "{path}");
    }
    let named = "/api/v1/namespaces/proxy/services/proxy/proxy";
    assert_eq!(split_path(&format!("{named}/x")), (named, Some("/x")));
}

/// Returns an API with the pod `p`, and the service `s` whose port `web` has its port 8080 as target.
async fn api_with_pod_and_service() -> Api {
    let api = api();
    let namespace = "/api/v1/namespaces/default";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [
        {"name": "c", "image": "i", "ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": 9, "name": "other"}]}]}});
    send(&api, "POST", &format!("{namespace}/pods"), pod).await;
    let status = json!({"status": {"podIP": "10.244.0.7", "phase": "Running"}});
    let path = format!("{namespace}/pods/p/status");
    let patched = call(&api, "PATCH", &path, "application/merge-patch+json", status);
    assert_eq!(patched.await.0, StatusCode::OK);
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "name": "web", "targetPort": 8080}]}});
    send(&api, "POST", &format!("{namespace}/services"), service).await;
    let slice = json!({
        "metadata": {"name": "s-1", "labels": {"kubernetes.io/service-name": "s"}}, "addressType": "IPv4",
        "ports": [{"name": "web", "port": 8080}],
        "endpoints": [
            {"addresses": ["10.244.0.6"], "conditions": {"ready": false}, "targetRef": {"kind": "Pod", "name": "q"}},
            {"addresses": ["10.244.0.7"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "p"}},
        ],
    });
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    assert_eq!(
        send(&api, "POST", slices, slice).await.0,
        StatusCode::CREATED
    );
    let empty = json!({"metadata": {"name": "none"}, "spec": {"ports": [{"port": 80}]}});
    send(&api, "POST", &format!("{namespace}/services"), empty).await;
    api
}

#[tokio::test]
async fn port_is_selected_by_number_or_name_and_defaults_to_the_first() {
    let api = api_with_pod_and_service().await;
    for (target, expected) in [
        ("pods/p", Ok(8080)),
        ("pods/p:9", Ok(9)),
        ("pods/p:other", Ok(9)),
        ("pods/http:p:81", Ok(81)),
        ("pods/p:none", Err("the pod has no port \"none\"")),
        ("pods/p:99999", Err("the pod has no port \"99999\"")),
        ("pods/https:p:443", Ok(443)),
        (
            "pods/ftp:p:443",
            Err("invalid request \"ftp:p:443\": must be NAME, NAME:PORT or SCHEME:NAME:PORT"),
        ),
        ("pods/none", Err("pods \"none\" not found")),
        ("services/s", Ok(8080)),
        ("services/s:web", Ok(8080)),
        ("services/s:80", Ok(8080)),
        (
            "services/s:81",
            Err("no service port \"81\" found for service \"s\""),
        ),
        (
            "services/none",
            Err("no endpoints available for service \"none\""),
        ),
    ] {
        let path = format!("/api/v1/namespaces/default/{target}/proxy");
        let found = Target::find(&api, &RequestInfo::parse(&path).unwrap());
        let found = found.map_err(|error| error.to_status()["message"].clone());
        match expected {
            Ok(port) => assert_eq!(
                found.unwrap().host,
                format!("10.244.0.7:{port}"),
                "{target}"
            ),
            Err(message) => assert_eq!(found.unwrap_err(), message, "{target}"),
        }
    }
}

/// Forwards a request to a server; returns the response's head and the request that the server received.
async fn forward(request: http::Request<Body>, proxied_path: &str) -> (Response, Value) {
    let app = Router::new().fallback(|request: axum::extract::Request| async move {
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| {
            let value = value.to_str().unwrap_or_default();
            (name.to_string(), json!(value))
        });
        let received = json!({
            "method": request.method().as_str(), "uri": request.uri().to_string(),
            "headers": headers.collect::<serde_json::Map<_, _>>(),
        });
        let response_headers = [
            ("location", "/elsewhere"),
            ("connection", "x-own"),
            ("x-own", "1"),
        ];
        (StatusCode::FOUND, response_headers, received.to_string())
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let target = Target {
        sandbox: SandboxId("u".to_owned()),
        port: 80,
        host: "10.244.0.7:80".to_owned(),
        scheme: Scheme::Http,
    };
    let (parts, body) = request.into_parts();
    let proxied = proxied_request(&target, proxied_path, parts, body).unwrap();
    let response = exchange(stream, proxied).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let received = serde_json::from_slice(&body).unwrap();
    (Response::from_parts(parts, Body::empty()), received)
}

#[tokio::test]
async fn request_is_forwarded_without_token_and_hop_by_hop_headers() {
    let path = "/api/v1/namespaces/default/pods/p/proxy/a%20b?c=d";
    let request = http::Request::builder()
        .method("PUT")
        .uri(path)
        .header("authorization", "Bearer secret")
        .header("connection", "x-mine")
        .header("x-mine", "1")
        .header("accept", "text/html")
        .body(Body::from("text"))
        .unwrap();
    let (mut response, received) = forward(request, "/a%20b").await;
    assert_eq!(
        (&received["method"], &received["uri"]),
        (&json!("PUT"), &json!("/a%20b?c=d"))
    );
    let headers = &received["headers"];
    assert_eq!(headers["host"], "10.244.0.7:80");
    assert_eq!(headers["accept"], "text/html");
    assert_eq!(
        headers["x-forwarded-uri"],
        "/api/v1/namespaces/default/pods/p/proxy/a%20b"
    );
    for removed in ["authorization", "x-mine"] {
        assert!(headers[removed].is_null(), "{headers:#}");
    }
    assert_eq!(response.status(), StatusCode::FOUND);
    assert!(!response.headers().contains_key("x-own"));
    rewrite_location(response.headers_mut(), "/api/own");
    assert_eq!(response.headers()[LOCATION], "/api/own/elsewhere");
}

#[test]
fn redirect_to_another_server_is_not_rewritten() {
    for location in ["http://example.com/", "//example.com", "page"] {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static(location));
        rewrite_location(&mut headers, "/api/own");
        assert_eq!(headers[LOCATION], location);
    }
}

#[tokio::test]
async fn path_without_a_trailing_slash_is_redirected() {
    let api = api_with_pod_and_service().await;
    let path = "/api/v1/namespaces/default/pods/p/proxy";
    let request = http::Request::get(format!("{path}?a=b"))
        .body(Body::empty())
        .unwrap();
    let (parts, body) = request.into_parts();
    let info = RequestInfo::parse(path).unwrap();
    let response = respond(&api, &info, "", parts, body).await.unwrap();
    assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(
        response.headers()[LOCATION],
        "/api/v1/namespaces/default/pods/p/proxy/?a=b"
    );
}

#[tokio::test]
async fn tls_certificate_of_a_pod_is_not_verified() {
    let certified = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap();
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let stream = acceptor.accept(stream).await.unwrap();
        let service = hyper::service::service_fn(async |_| {
            Ok::<_, std::io::Error>(Response::new(Body::from("encrypted")))
        });
        let connection = hyper::server::conn::http1::Builder::new();
        connection
            .serve_connection(TokioIo::new(stream), service)
            .await
            .unwrap();
    });
    let stream = connect_tls(TcpStream::connect(address).await.unwrap())
        .await
        .unwrap();
    let request = http::Request::get("/").body(Body::empty()).unwrap();
    let response = exchange(stream, request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    assert_eq!(&body[..], b"encrypted");
}
