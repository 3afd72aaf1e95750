//! Names of services, as a cluster's DNS tells them: `SERVICE.NAMESPACE.svc.cluster.local`.
//!
//! Pods have no way out of the machine, so every other name does not exist.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::DNS;
use super::backends::Backends;

const PORT: u16 = 53;

/// How long an answer counts, as a cluster's DNS has it.
const TTL: u32 = 5;

const DOMAIN: [&str; 3] = ["svc", "cluster", "local"];

/// Serves on the network that this runs on, over UDP and TCP.
pub(super) async fn serve(backends: Arc<Backends>) {
    let address = SocketAddr::from((DNS, PORT));
    let (udp, tcp) = tokio::join!(UdpSocket::bind(address), TcpListener::bind(address));
    match (udp, tcp) {
        (Ok(udp), Ok(tcp)) => {
            tokio::join!(over_udp(udp, &backends), over_tcp(tcp, backends.clone()));
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%address, %error, "pods cannot look names up");
        }
    }
}

async fn over_udp(socket: UdpSocket, backends: &Backends) {
    let mut buffer = vec![0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        if let Some(answer) = answer(&buffer[..length], backends) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn over_tcp(listener: TcpListener, backends: Arc<Backends>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(one_over_tcp(stream, backends.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn one_over_tcp(mut stream: TcpStream, backends: Arc<Backends>) -> std::io::Result<()> {
    while let Ok(length) = stream.read_u16().await {
        let mut query = vec![0; usize::from(length)];
        stream.read_exact(&mut query).await?;
        let Some(answer) = answer(&query, &backends) else {
            return Ok(());
        };
        stream
            .write_u16(u16::try_from(answer.len()).unwrap_or(u16::MAX))
            .await?;
        stream.write_all(&answer).await?;
    }
    Ok(())
}

/// The answer to a query; none to what is no query.
fn answer(bytes: &[u8], backends: &Backends) -> Option<Vec<u8>> {
    let query = Message::from_vec(bytes).ok()?;
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata.recursion_desired = query.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.metadata.authoritative = true;
    let [question] = query.queries.as_slice() else {
        response.metadata.response_code = ResponseCode::FormErr;
        return response.to_vec().ok();
    };
    response.add_query(question.clone());
    if query.metadata.op_code != OpCode::Query {
        response.metadata.response_code = ResponseCode::NotImp;
        return response.to_vec().ok();
    }
    let found = service(question.name())
        .and_then(|(service, namespace)| backends.addresses(&namespace, &service));
    match found {
        None => response.metadata.response_code = ResponseCode::NXDomain,
        Some(addresses) if question.query_type() == RecordType::A => {
            let records = addresses.into_iter().map(|ip| record(question.name(), ip));
            response.add_answers(records);
        }
        // The name exists and has nothing of this type.
        Some(_) => {}
    }
    response.to_vec().ok()
}

fn record(name: &Name, ip: Ipv4Addr) -> Record {
    Record::from_rdata(name.clone(), TTL, RData::A(A(ip)))
}

/// The service and the namespace that a name means.
fn service(name: &Name) -> Option<(String, String)> {
    let labels: Vec<String> = name
        .iter()
        .map(|label| String::from_utf8_lossy(label).to_ascii_lowercase())
        .collect();
    match labels.as_slice() {
        [service, namespace, rest @ ..] if *rest == DOMAIN => {
            Some((service.clone(), namespace.clone()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_clusters_domain_means_a_service() {
        for (name, expected) in [
            ("api.default.svc.cluster.local.", Some(("api", "default"))),
            ("API.Default.svc.cluster.local.", Some(("api", "default"))),
            ("api.default.svc.", None),
            ("default.svc.cluster.local.", None),
            ("x.api.default.svc.cluster.local.", None),
            ("example.org.", None),
        ] {
            let found = service(&Name::from_ascii(name).unwrap());
            let expected =
                expected.map(|(service, namespace)| (service.to_owned(), namespace.to_owned()));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_query_has_no_answer() {
        assert_eq!(answer(b"garbage", &Backends::default()), None);
        let response = Message::response(7, OpCode::Query).to_vec().unwrap();
        assert_eq!(answer(&response, &Backends::default()), None);
    }
}
