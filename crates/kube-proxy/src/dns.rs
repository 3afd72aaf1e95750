//! DNS server of the cluster: resolves `SERVICE.NAMESPACE.svc.cluster.local`.
//!
//! Pods have no route out of the host, so every other name is answered with NXDOMAIN.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use component_helpers::CLUSTER_DNS;
use component_helpers::supervisor::Component;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::endpoints::{DnsTarget, EndpointTable};

const PORT: u16 = 53;

/// Time to live of a record in seconds, as in CoreDNS.
const TTL_SECONDS: u32 = 5;

/// Maximum length of a chain of `ExternalName` services, which may be a cycle.
const MAX_CNAME_CHAIN: usize = 8;

const CLUSTER_DOMAIN_LABELS: [&str; 3] = ["svc", "cluster", "local"];

/// DNS server over UDP and TCP.
pub(super) struct Dns {
    pub(super) endpoints: Arc<EndpointTable>,
    pub(super) component: Component,
}

impl Dns {
    /// Serves on the cluster's DNS address. Must run on the pod network.
    pub(super) async fn serve(&mut self) {
        let address = SocketAddr::from((CLUSTER_DNS, PORT));
        let (udp, tcp) = tokio::join!(UdpSocket::bind(address), TcpListener::bind(address));
        match (udp, tcp) {
            (Ok(udp), Ok(tcp)) => self.serve_on(&udp, &tcp).await,
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%address, %error, "cannot bind cluster DNS; names will not resolve in pods");
            }
        }
    }

    async fn serve_on(&self, udp: &UdpSocket, tcp: &TcpListener) {
        tokio::join!(self.serve_udp(udp), self.serve_tcp(tcp));
    }

    async fn serve_udp(&self, socket: &UdpSocket) {
        let mut buffer = vec![0; 4096];
        loop {
            let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
                continue;
            };
            self.component.failpoint();
            if let Some(response) = self.respond(&buffer[..length]) {
                let _ = socket.send_to(&response, client).await;
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
                            endpoints: self.endpoints.clone(),
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
            let Some(response) = self.respond(&query) else {
                return Ok(());
            };
            stream
                .write_u16(u16::try_from(response.len()).unwrap_or(u16::MAX))
                .await?;
            stream.write_all(&response).await?;
        }
        Ok(())
    }

    /// Answers one query. A panic is counted and does not affect other queries.
    fn respond(&self, query: &[u8]) -> Option<Vec<u8>> {
        self.component
            .call_once(|| build_response(query, &self.endpoints))?
    }
}

/// Builds the response to a query; `None` if `bytes` is not a query.
fn build_response(bytes: &[u8], endpoints: &EndpointTable) -> Option<Vec<u8>> {
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
    let query_type = question.query_type();
    match records(question.name(), &|namespace, service| {
        endpoints.resolve_name(namespace, service)
    }) {
        None => response.metadata.response_code = ResponseCode::NXDomain,
        // An existing name without a record of this type has an empty answer.
        Some(records) => {
            let has_type =
                |record: &Record| [query_type, RecordType::CNAME].contains(&record.record_type());
            response.add_answers(records.into_iter().filter(has_type));
        }
    }
    response.to_vec().ok()
}

/// Returns the records of a name and of the names that its CNAME chain contains; `None` if the name does not exist.
fn records(name: &Name, resolve: &dyn Fn(&str, &str) -> Option<DnsTarget>) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    let mut name = name.clone();
    for _ in 0..MAX_CNAME_CHAIN {
        let found = parse_service_name(&name)
            .and_then(|(service, namespace)| resolve(&namespace, &service));
        match found {
            // The target of an alias may be outside the cluster's domain.
            None if records.is_empty() => return None,
            None => return Some(records),
            Some(DnsTarget::Addresses(addresses)) => {
                records.extend(addresses.into_iter().map(|ip| a_record(&name, ip)));
                return Some(records);
            }
            Some(DnsTarget::ExternalName(text)) => {
                let Ok(mut target) = Name::from_ascii(text) else {
                    return Some(records);
                };
                target.set_fqdn(true);
                let cname = RData::CNAME(CNAME(target.clone()));
                records.push(Record::from_rdata(name, TTL_SECONDS, cname));
                name = target;
            }
        }
    }
    Some(records)
}

fn a_record(name: &Name, ip: Ipv4Addr) -> Record {
    Record::from_rdata(name.clone(), TTL_SECONDS, RData::A(A(ip)))
}

/// Returns service and namespace of a name in the cluster's domain.
fn parse_service_name(name: &Name) -> Option<(String, String)> {
    let labels: Vec<String> = name
        .iter()
        .map(|label| String::from_utf8_lossy(label).to_ascii_lowercase())
        .collect();
    match labels.as_slice() {
        [service, namespace, rest @ ..] if *rest == CLUSTER_DOMAIN_LABELS => {
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
    async fn dns_server_responds_after_a_panic() {
        let supervisor = supervisor();
        let component = supervisor.component("dns");
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = udp.local_addr().unwrap();
        let dns = Dns {
            endpoints: Arc::default(),
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
        // The panic loses the first query.
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
    fn names_in_the_cluster_domain_are_services() {
        for (name, expected) in [
            ("api.default.svc.cluster.local.", Some(("api", "default"))),
            ("API.Default.svc.cluster.local.", Some(("api", "default"))),
            ("api.default.svc.", None),
            ("default.svc.cluster.local.", None),
            ("x.api.default.svc.cluster.local.", None),
            ("example.org.", None),
        ] {
            let found = parse_service_name(&Name::from_ascii(name).unwrap());
            let expected =
                expected.map(|(service, namespace)| (service.to_owned(), namespace.to_owned()));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn messages_that_are_not_queries_get_no_response() {
        assert_eq!(build_response(b"garbage", &EndpointTable::default()), None);
        let response = Message::response(7, OpCode::Query).to_vec().unwrap();
        assert_eq!(build_response(&response, &EndpointTable::default()), None);
    }

    /// Returns the records of a name as text. `own` has an address, `other` is an alias of it, `far` is an alias of a name outside
    /// the cluster, `ring` of itself.
    fn record_lines(name: &str) -> Option<Vec<String>> {
        let resolve = |_: &str, service: &str| match service {
            "own" => Some(DnsTarget::Addresses(vec![Ipv4Addr::new(10, 96, 0, 9)])),
            "none" => Some(DnsTarget::Addresses(Vec::new())),
            "other" => Some(DnsTarget::ExternalName(
                "own.n.svc.cluster.local".to_owned(),
            )),
            "far" => Some(DnsTarget::ExternalName("example.org".to_owned())),
            "ring" => Some(DnsTarget::ExternalName(
                "ring.n.svc.cluster.local".to_owned(),
            )),
            _ => None,
        };
        let name = Name::from_ascii(format!("{name}.n.svc.cluster.local.")).unwrap();
        let records = records(&name, &resolve)?;
        let lines = records.iter().map(|record| {
            let data = record.data.to_string();
            format!(
                "{} {data}",
                record
                    .name
                    .to_string()
                    .split('.')
                    .next()
                    .unwrap_or_default()
            )
        });
        Some(lines.collect())
    }

    #[test]
    fn names_resolve_to_addresses_directly_or_through_aliases() {
        let lines = |lines: &[&str]| Some(lines.iter().map(|line| (*line).to_owned()).collect());
        assert_eq!(record_lines("own"), lines(&["own 10.96.0.9"]));
        assert_eq!(record_lines("none"), lines(&[]));
        assert_eq!(
            record_lines("other"),
            lines(&["other own.n.svc.cluster.local.", "own 10.96.0.9"])
        );
        assert_eq!(record_lines("far"), lines(&["far example.org."]));
        assert_eq!(record_lines("missing"), None);
        assert_eq!(
            record_lines("ring").map(|lines| lines.len()),
            Some(MAX_CNAME_CHAIN)
        );
    }
}
