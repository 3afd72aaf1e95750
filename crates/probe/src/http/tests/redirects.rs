//! Redirects, and the headers that are sent after them.

use super::*;

#[tokio::test]
async fn redirects_to_the_same_host_name_only_are_followed() {
    let server = ScriptedServer::start(vec![
        redirect_response(302, "next"),
        redirect_response(308, "http://127.0.0.1:1/x"),
    ])
    .await;
    let probed = server.get("/a/b", &[("Host", "example.org"), ("X-Keep", "1")]);
    let outcome = client().probe(&probed, LONG_TIMEOUT).await.unwrap();
    assert_eq!(outcome.reason, Some(Reason::Refused));
    assert_eq!(
        outcome.output,
        "Get \"http://127.0.0.1:1/x\": dial tcp 127.0.0.1:1: connect: connection refused"
    );
    let address = server.address;
    let second = &server.requests.await.unwrap()[1];
    assert!(
        second.starts_with("GET /a/next HTTP/1.1\r\nHost: example.org\r\n"),
        "{second}"
    );
    assert!(second.contains("X-Keep: 1\r\n"), "{second}");
    assert!(
        second.contains(&format!("Referer: http://{address}/a/b\r\n")),
        "{second}"
    );

    for status in [301, 302, 303, 307, 308] {
        let server =
            ScriptedServer::start(vec![redirect_response(status, "http://localhost/x")]).await;
        let outcome = client()
            .probe(&server.get("/", &[]), LONG_TIMEOUT)
            .await
            .unwrap();
        assert_eq!(outcome.verdict, Verdict::Warning, "{status}");
        assert_eq!(
            outcome.output,
            "Probe terminated redirects, Response body: "
        );
    }
}

#[tokio::test]
async fn absolute_redirect_drops_the_host_header() {
    let last = ScriptedServer::start(vec![ok_response("")]).await;
    let server = ScriptedServer::start(vec![redirect_response(
        302,
        &format!("http://{}/", last.address),
    )])
    .await;
    client()
        .probe(&server.get("/", &[("Host", "example.org")]), LONG_TIMEOUT)
        .await
        .unwrap();
    let request = last.requests.await.unwrap().remove(0);
    assert!(
        request.contains(&format!("\r\nHost: {}\r\n", last.address)),
        "{request}"
    );
}

#[tokio::test]
async fn tenth_redirect_is_a_failure() {
    let server = ScriptedServer::start(vec![redirect_response(302, "/loop"); 10]).await;
    let outcome = client()
        .probe(&server.get("/", &[]), LONG_TIMEOUT)
        .await
        .unwrap();
    assert_eq!(outcome.output, "Get \"/loop\": stopped after 10 redirects");
    assert_eq!(server.requests.await.unwrap().len(), 10);
}

#[tokio::test]
async fn credentials_are_not_sent_to_another_host() {
    let last = ScriptedServer::start(vec![ok_response("")]).await;
    let elsewhere = format!("http://localhost:{}/", last.address.port());
    let server = ScriptedServer::start(vec![redirect_response(302, &elsewhere)]).await;
    let probed = server.get("/", &[("Authorization", "secret"), ("X", "1")]);
    let outcome = client()
        .follow_other_hosts()
        .probe(&probed, LONG_TIMEOUT)
        .await
        .unwrap();
    assert_eq!(outcome.verdict, Verdict::Success, "{}", outcome.output);
    let request = last.requests.await.unwrap().remove(0);
    assert!(
        request.contains("\r\nX: 1\r\n") && !request.contains("secret"),
        "{request}"
    );
}
