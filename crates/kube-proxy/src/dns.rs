//! Names of services, as a cluster's DNS tells them: `SERVICE.NAMESPACE.svc.cluster.local`.
//!
//! Pods have no way out of the machine, so every other name does not exist.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use component_helpers::CLUSTER_DNS;
use component_helpers::supervisor::Component;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::backends::{Backends, Meaning};

const PORT: u16 = 53;

/// How long an answer counts, as a cluster's DNS has it.
const TTL: u32 = 5;

/// So many names one may lead to, in a ring as well.
const MOST_NAMES: usize = 8;

const DOMAIN: [&str; 3] = ["svc", "cluster", "local"];

/// The server.
pub(super) struct Dns {
    pub(super) backends: Arc<Backends>,
    pub(super) component: Component,
}

impl Dns {
    /// Serves on the network that this runs on, over UDP and TCP.
    pub(super) async fn serve(&mut self) {
        let address = SocketAddr::from((CLUSTER_DNS, PORT));
        let (udp, tcp) = tokio::join!(UdpSocket::bind(address), TcpListener::bind(address));
        match (udp, tcp) {
            (Ok(udp), Ok(tcp)) => self.serve_on(&udp, &tcp).await,
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%address, %error, "pods cannot look names up");
            }
        }
    }

    async fn serve_on(&self, udp: &UdpSocket, tcp: &TcpListener) {
        tokio::join!(self.serve_udp(udp), self.serve_tcp(tcp));
    }

    async fn serve_udp(&self, socket: &UdpSocket) {
        let mut buffer = vec![0; 4096];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                continue;
            };
            self.component.failpoint();
            if let Some(answer) = self.answer(&buffer[..length]) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    }

    async fn serve_tcp(&self, listener: &TcpListener) {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        let connection = Self {
                            backends: self.backends.clone(),
                            component: self.component.clone(),
                        };
                        connections.spawn(connection.serve_connection(stream));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn serve_connection(self, mut stream: TcpStream) -> std::io::Result<()> {
        while let Ok(length) = stream.read_u16().await {
            let mut query = vec![0; usize::from(length)];
            stream.read_exact(&mut query).await?;
            let Some(answer) = self.answer(&query) else {
                return Ok(());
            };
            stream
                .write_u16(u16::try_from(answer.len()).unwrap_or(u16::MAX))
                .await?;
            stream.write_all(&answer).await?;
        }
        Ok(())
    }

    /// Answers one query, of which a panic does not reach the others.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        self.component.call_once(|| answer(query, &self.backends))?
    }
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
    let wanted = question.query_type();
    match records(question.name(), &|namespace, service| {
        backends.meaning(namespace, service)
    }) {
        None => response.metadata.response_code = ResponseCode::NXDomain,
        // A name that exists may have nothing of this type.
        Some(records) => {
            let is_wanted =
                |record: &Record| [wanted, RecordType::CNAME].contains(&record.record_type());
            response.add_answers(records.into_iter().filter(is_wanted));
        }
    }
    response.to_vec().ok()
}

/// All that is known of a name, and of those that it leads to; none where there is no such name.
fn records(name: &Name, meaning: &dyn Fn(&str, &str) -> Option<Meaning>) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    let mut name = name.clone();
    for _ in 0..MOST_NAMES {
        let found = service(&name).and_then(|(service, namespace)| meaning(&namespace, &service));
        match found {
            // Of what another name leads to nothing need be known.
            None if records.is_empty() => return None,
            None => return Some(records),
            Some(Meaning::Addresses(addresses)) => {
                records.extend(addresses.into_iter().map(|ip| record(&name, ip)));
                return Some(records);
            }
            Some(Meaning::Name(text)) => {
                let Ok(mut other) = Name::from_ascii(text) else {
                    return Some(records);
                };
                other.set_fqdn(true);
                let leads = RData::CNAME(CNAME(other.clone()));
                records.push(Record::from_rdata(name, TTL, leads));
                name = other;
            }
        }
    }
    Some(records)
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
    use futures::FutureExt as _;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::tests::supervisor;

    #[tokio::test]
    async fn the_server_answers_again_after_a_panic() {
        let supervisor = supervisor();
        let component = supervisor.component("dns");
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = udp.local_addr().unwrap();
        let dns = Dns {
            backends: Arc::default(),
            component: component.clone(),
        };
        supervisor.arm("dns", 1);
        let _serving = AbortOnDropHandle::new(tokio::spawn(async move {
            component
                .run("", (dns, udp, tcp), |(dns, udp, tcp)| {
                    dns.serve_on(udp, tcp).boxed()
                })
                .await;
        }));
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(address).await.unwrap();
        let mut query = Message::query();
        let name = Name::from_ascii("none.").unwrap();
        query.add_query(hickory_proto::op::Query::query(name, RecordType::A));
        let query = query.to_vec().unwrap();
        // The first one is lost with the panic.
        client.send(&query).await.unwrap();
        client.send(&query).await.unwrap();
        let mut answer = [0; 512];
        let length = client.recv(&mut answer).await.unwrap();
        let answer = Message::from_vec(&answer[..length]).unwrap();
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        let health = supervisor.health().remove(0);
        assert_eq!((health.panics, health.failure), (1, None));
    }

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

    /// What is known of a name: `own` has an address, `other` leads to it, `far` leads away, `ring` to itself.
    fn told(name: &str) -> Option<Vec<String>> {
        let meaning = |_: &str, service: &str| match service {
            "own" => Some(Meaning::Addresses(vec![Ipv4Addr::new(10, 96, 0, 9)])),
            "none" => Some(Meaning::Addresses(Vec::new())),
            "other" => Some(Meaning::Name("own.n.svc.cluster.local".to_owned())),
            "far" => Some(Meaning::Name("example.org".to_owned())),
            "ring" => Some(Meaning::Name("ring.n.svc.cluster.local".to_owned())),
            _ => None,
        };
        let name = Name::from_ascii(format!("{name}.n.svc.cluster.local.")).unwrap();
        let records = records(&name, &meaning)?;
        let told = records.iter().map(|record| {
            let to = record.data.to_string();
            format!(
                "{} {to}",
                record
                    .name
                    .to_string()
                    .split('.')
                    .next()
                    .unwrap_or_default()
            )
        });
        Some(told.collect())
    }

    #[test]
    fn a_name_leads_to_addresses_or_by_way_of_another() {
        let lines = |lines: &[&str]| Some(lines.iter().map(|line| (*line).to_owned()).collect());
        assert_eq!(told("own"), lines(&["own 10.96.0.9"]));
        assert_eq!(told("none"), lines(&[]));
        assert_eq!(
            told("other"),
            lines(&["other own.n.svc.cluster.local.", "own 10.96.0.9"])
        );
        assert_eq!(told("far"), lines(&["far example.org."]));
        assert_eq!(told("missing"), None);
        assert_eq!(told("ring").map(|lines| lines.len()), Some(MOST_NAMES));
    }
}
