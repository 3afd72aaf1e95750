use axum::Router;
use container_runtime::SandboxId;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::target::Target;
use super::*;
use crate::api::tests::{api, call, send};

#[test]
fn a_path_is_split_where_the_api_ends_and_the_pods_own_begins() {
    let pod = "/api/v1/namespaces/default/pods/web:80/proxy";
    for (path, rest) in [
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
        assert_eq!(split(&path), (rest.map_or(&*path, |_| pod), rest), "{path}");
    }
    let named = "/api/v1/namespaces/proxy/services/proxy/proxy";
    assert_eq!(split(&format!("{named}/x")), (named, Some("/x")));
}

/// A pod of that name with an address, and a service whose port `web` leads to its port 8080.
async fn with_pod() -> Api {
    let api = api();
    let inside = "/api/v1/namespaces/default";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [
        {"name": "c", "image": "i", "ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": 9, "name": "other"}]}]}});
    send(&api, "POST", &format!("{inside}/pods"), pod).await;
    let status = json!({"status": {"podIP": "10.244.0.7", "phase": "Running"}});
    let path = format!("{inside}/pods/p/status");
    let patched = call(&api, "PATCH", &path, "application/merge-patch+json", status);
    assert_eq!(patched.await.0, StatusCode::OK);
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "name": "web", "targetPort": 8080}]}});
    send(&api, "POST", &format!("{inside}/services"), service).await;
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
    send(&api, "POST", &format!("{inside}/services"), empty).await;
    api
}

#[tokio::test]
async fn a_port_is_found_by_its_number_its_name_or_by_being_the_first() {
    let api = with_pod().await;
    for (asked, expected) in [
        ("pods/p", Ok(8080)),
        ("pods/p:9", Ok(9)),
        ("pods/p:other", Ok(9)),
        ("pods/http:p:81", Ok(81)),
        ("pods/p:none", Err("the pod has no port \"none\"")),
        ("pods/p:99999", Err("the pod has no port \"99999\"")),
        ("pods/https:p:443", Ok(443)),
        (
            "pods/ftp:p:443",
            Err("invalid request \"ftp:p:443\": it is NAME, NAME:PORT or SCHEME:NAME:PORT"),
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
        let path = format!("/api/v1/namespaces/default/{asked}/proxy");
        let found = Target::find(&api, &Path::parse(&path).unwrap());
        let found = found.map_err(|failure| failure.to_status()["message"].clone());
        match expected {
            Ok(port) => assert_eq!(found.unwrap().host, format!("10.244.0.7:{port}"), "{asked}"),
            Err(why) => assert_eq!(found.unwrap_err(), why, "{asked}"),
        }
    }
}

/// What a pod sees of a request, and the response to it.
async fn passed_on(request: http::Request<Body>, rest: &str) -> (Response, Value) {
    let app = Router::new().fallback(|request: axum::extract::Request| async move {
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| {
            let value = value.to_str().unwrap_or_default();
            (name.to_string(), json!(value))
        });
        let seen = json!({
            "method": request.method().as_str(), "uri": request.uri().to_string(),
            "headers": headers.collect::<serde_json::Map<_, _>>(),
        });
        let answer = [
            ("location", "/elsewhere"),
            ("connection", "x-own"),
            ("x-own", "1"),
        ];
        (StatusCode::FOUND, answer, seen.to_string())
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
        secure: false,
    };
    let (parts, body) = request.into_parts();
    let passed = super::request(&target, rest, parts, body).unwrap();
    let response = exchange(stream, passed).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let seen = serde_json::from_slice(&body).unwrap();
    (Response::from_parts(parts, Body::empty()), seen)
}

#[tokio::test]
async fn a_pod_sees_the_request_without_the_apis_token() {
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
    let (mut response, seen) = passed_on(request, "/a%20b").await;
    assert_eq!(
        (&seen["method"], &seen["uri"]),
        (&json!("PUT"), &json!("/a%20b?c=d"))
    );
    let headers = &seen["headers"];
    assert_eq!(headers["host"], "10.244.0.7:80");
    assert_eq!(headers["accept"], "text/html");
    assert_eq!(
        headers["x-forwarded-uri"],
        "/api/v1/namespaces/default/pods/p/proxy/a%20b"
    );
    for gone in ["authorization", "x-mine"] {
        assert!(headers[gone].is_null(), "{headers:#}");
    }
    assert_eq!(response.status(), StatusCode::FOUND);
    assert!(!response.headers().contains_key("x-own"));
    mend(response.headers_mut(), "/api/own");
    assert_eq!(response.headers()[LOCATION], "/api/own/elsewhere");
}

#[test]
fn a_redirect_to_elsewhere_is_left_as_it_is() {
    for to in ["http://example.com/", "//example.com", "page"] {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static(to));
        mend(&mut headers, "/api/own");
        assert_eq!(headers[LOCATION], to);
    }
}

#[tokio::test]
async fn a_page_without_its_slash_is_sent_to_the_one_with_it() {
    let api = with_pod().await;
    let path = "/api/v1/namespaces/default/pods/p/proxy";
    let request = http::Request::get(format!("{path}?a=b"))
        .body(Body::empty())
        .unwrap();
    let (parts, body) = request.into_parts();
    let path = Path::parse(path).unwrap();
    let response = respond(&api, &path, "", parts, body).await.unwrap();
    assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(
        response.headers()[LOCATION],
        "/api/v1/namespaces/default/pods/p/proxy/?a=b"
    );
}

#[tokio::test]
async fn a_pod_may_be_spoken_to_over_tls_whatever_it_shows() {
    let own = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let stream = acceptor.accept(stream).await.unwrap();
        let service = hyper::service::service_fn(async |_| {
            Ok::<_, std::io::Error>(Response::new(Body::from("safe")))
        });
        let connection = hyper::server::conn::http1::Builder::new();
        connection
            .serve_connection(TokioIo::new(stream), service)
            .await
            .unwrap();
    });
    let stream = over_tls(TcpStream::connect(address).await.unwrap())
        .await
        .unwrap();
    let request = http::Request::get("/").body(Body::empty()).unwrap();
    let response = exchange(stream, request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    assert_eq!(&body[..], b"safe");
}
