use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;
use crate::dial::dial_with;
use crate::outcome::Reason;

/// A name server whose responses the test writes.
struct NameServer {
    socket: UdpSocket,
    resolver: Arc<HostResolver>,
    _dir: tempfile::TempDir,
}

async fn server(hosts: &str, resolv_conf: &str) -> NameServer {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (hosts_file, resolv_file) = (dir.path().join("hosts"), dir.path().join("resolv.conf"));
    fs::write(&hosts_file, hosts).unwrap();
    fs::write(&resolv_file, format!("nameserver 127.0.0.1\n{resolv_conf}")).unwrap();
    let port = socket.local_addr().unwrap().port();
    NameServer {
        socket,
        resolver: Arc::new(HostResolver::new(hosts_file, resolv_file, port)),
        _dir: dir,
    }
}

impl NameServer {
    /// Responds to one query: with an address if it is for type A of `known`, with NXDOMAIN for other names. Returns the
    /// queried name.
    async fn respond(&self, known: &str) -> String {
        let mut query = [0; 512];
        let (length, peer) = self.socket.recv_from(&mut query).await.unwrap();
        // After the header of twelve bytes: labels with their lengths, a zero byte, type and class.
        let labels_end = 12
            + query[12..length]
                .iter()
                .position(|byte| *byte == 0)
                .unwrap();
        let mut name = String::new();
        let mut at = 12;
        while at < labels_end {
            let end = at + 1 + usize::from(query[at]);
            name += std::str::from_utf8(&query[at + 1..end]).unwrap();
            name.push('.');
            at = end;
        }
        let question = &query[12..labels_end + 5];
        let is_a = query[labels_end + 2] == 1;
        let is_known = name == known;
        let has_address = is_known && is_a;
        let mut response = query[..2].to_vec();
        response.extend([0x81, if is_known { 0x80 } else { 0x83 }]);
        response.extend([0, 1, 0, u8::from(has_address), 0, 0, 0, 0]);
        response.extend(question);
        if has_address {
            response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        self.socket.send_to(&response, peer).await.unwrap();
        name
    }
}

#[tokio::test]
async fn look_ups_that_hang_do_not_delay_addresses_hosts_and_localhost() {
    let hanging = server("127.0.0.1 app.test app\n", "").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = i32::from(listener.local_addr().unwrap().port());
    let mut dials = JoinSet::new();
    for at in 0..200 {
        let resolver = hanging.resolver.clone();
        dials.spawn(async move {
            let deadline = Instant::now() + Duration::from_secs(3600);
            dial_with(&resolver, &format!("db{at}.svc.example"), port, deadline).await
        });
    }
    // Every look-up has sent its query: none waits for another.
    let mut queried = std::collections::BTreeSet::new();
    while queried.len() < 200 {
        let mut query = [0; 512];
        let (_, _) = hanging.socket.recv_from(&mut query).await.unwrap();
        queried.insert(query[13..13 + usize::from(query[12])].to_vec());
    }
    let deadline = Instant::now() + Duration::from_secs(3600);
    for host in ["127.0.0.1", "localhost", "app.localhost", "app", "app.test"] {
        let dialled = dial_with(&hanging.resolver, host, port, deadline).await;
        assert!(dialled.is_ok(), "{host}");
    }
    assert_eq!(dials.len(), 200);
    assert!(dials.try_join_next().is_none(), "they hang");
}

#[tokio::test]
async fn look_up_that_hangs_fails_at_its_deadline() {
    let hanging = server("", "").await;
    let deadline = Instant::now() + Duration::from_millis(20);
    let error = dial_with(&hanging.resolver, "db.example", 80, deadline).await;
    let error = error.unwrap_err();
    assert_eq!(error.reason, Reason::Dns);
    assert_eq!(error.text, "dial tcp: lookup db.example: i/o timeout");
}

#[tokio::test]
async fn name_is_looked_up_along_the_search_list() {
    let server = server("", "search a.test svc.test\noptions ndots:5\n").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = i32::from(listener.local_addr().unwrap().port());
    let resolver = server.resolver.clone();
    let dialling = tokio::spawn(async move {
        let deadline = Instant::now() + Duration::from_secs(3600);
        dial_with(&resolver, "db_1", port, deadline).await
    });
    let mut queried = Vec::new();
    while !dialling.is_finished() {
        tokio::select! {
            name = server.respond("db_1.svc.test.") => queried.push(name),
            _ = listener.accept() => break,
        }
    }
    assert!(dialling.await.unwrap().is_ok());
    assert_eq!(queried[0], "db_1.a.test.");
    assert!(
        queried.contains(&"db_1.svc.test.".to_owned()),
        "{queried:?}"
    );
}

#[tokio::test]
async fn name_that_does_not_exist_is_no_such_host() {
    let server = server("", "").await;
    let resolver = server.resolver.clone();
    let mut resolving = tokio::spawn(async move { resolver.resolve("db.example").await });
    let result = loop {
        tokio::select! {
            result = &mut resolving => break result.unwrap(),
            _ = server.respond("other.") => {}
        }
    };
    assert_eq!(result, Err("no such host"));
}
