//! The pod network: a bridge in a network namespace of the node, and a network namespace for each pod.

use std::collections::BTreeSet;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use futures::TryStreamExt as _;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::{Handle, LinkBridge, LinkUnspec, LinkVeth, RouteMessageBuilder};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// IP address of the node in the pod network, and gateway of the pods.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// Prefix length of the pod CIDR.
const PREFIX_LEN: u8 = 16;
/// Service CIDR. The node's network namespace treats every address of it as local, for the service proxy.
const SERVICE_CIDR: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 96, 0, 0), 16);
/// Number of the kernel's `local` routing table.
const LOCAL_TABLE: u32 = 255;
const BRIDGE: &str = "selfheal0";

/// The pod network. The threads of its tokio runtime are in the node's namespace, and so are the sockets that its tasks
/// open.
pub(crate) struct Network {
    runtime: Option<Runtime>,
    netlink: Handle,
    bridge: u32,
    /// Directory of the files on which the network namespaces are mounted.
    dir: PathBuf,
    allocator: Mutex<AddressAllocator>,
}

#[derive(Default)]
struct AddressAllocator {
    taken: BTreeSet<u32>,
    /// Offset of the last allocated address from the first one, plus 1.
    last: u32,
    /// Number of links created so far, which numbers their names.
    links: u64,
}

/// Network of a pod: IP address, network namespace and veth link.
#[derive(Debug)]
pub(super) struct PodNetwork {
    pub(super) ip: Ipv4Addr,
    /// File on which the network namespace is mounted.
    pub(super) namespace: PathBuf,
    link: String,
}

/// Timeout of a connection to a port of a pod, which is on the same host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl PodNetwork {
    /// Connects to a port of the pod's loopback address: IPv4, else IPv6.
    pub(super) async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let namespace = self.namespace.clone();
        let connected = on_new_thread(move || {
            setns(File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
            let connect = |ip| {
                std::net::TcpStream::connect_timeout(&SocketAddr::new(ip, port), CONNECT_TIMEOUT)
            };
            connect(Ipv4Addr::LOCALHOST.into())
                .or_else(|error| connect(Ipv6Addr::LOCALHOST.into()).map_err(|_| error))
        });
        let connected = connected.await?;
        connected.set_nonblocking(true)?;
        TcpStream::from_std(connected)
    }
}

fn netlink_error(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}

impl Network {
    /// Creates the node's side of the network. Mounts network namespaces on files in `dir`.
    pub(crate) async fn start(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("node");
        let namespace = new_namespace(path).await?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("pod-network")
            .enable_all()
            .on_thread_start(move || {
                setns(&namespace, CloneFlags::CLONE_NEWNET)
                    .expect("the process may enter a namespace that it created");
            })
            .build()?;
        let (netlink, bridge) = runtime
            .spawn(set_up_node())
            .await
            .map_err(io::Error::other)??;
        Ok(Self {
            runtime: Some(runtime),
            netlink,
            bridge,
            dir: dir.to_owned(),
            allocator: Mutex::default(),
        })
    }

    /// Returns the handle of the runtime whose threads are in the node's network namespace.
    pub(crate) fn handle(&self) -> tokio::runtime::Handle {
        let runtime = self.runtime.as_ref().expect("taken only by drop");
        runtime.handle().clone()
    }

    /// Creates a pod's network namespace and allocates its IP address.
    pub(super) async fn add_pod(&self, uid: &str) -> io::Result<PodNetwork> {
        let (ip, number) = self.allocate()?;
        let pod = PodNetwork {
            ip,
            namespace: self.dir.join(uid),
            link: format!("pod{number}"),
        };
        match self.connect_pod(&pod, number).await {
            Ok(()) => Ok(pod),
            Err(error) => {
                self.remove_pod(&pod).await;
                Err(error)
            }
        }
    }

    async fn connect_pod(&self, pod: &PodNetwork, number: u64) -> io::Result<()> {
        let namespace = new_namespace(pod.namespace.clone()).await?;
        let peer = format!("peer{number}");
        let links = || self.netlink.link();
        let pair = LinkVeth::new(&pod.link, &peer).build();
        links().add(pair).execute().await.map_err(netlink_error)?;
        let moved = LinkUnspec::new_with_name(&peer).setns_by_fd(namespace.as_raw_fd());
        links()
            .set(moved.build())
            .execute()
            .await
            .map_err(netlink_error)?;
        let joined = LinkUnspec::new_with_name(&pod.link)
            .controller(self.bridge)
            .up();
        links()
            .set(joined.build())
            .execute()
            .await
            .map_err(netlink_error)?;
        let ip = pod.ip;
        run_in_namespace(namespace, move || configure_pod(peer, ip)).await
    }

    /// Removes a pod's link and the mount of its namespace, which the kernel deletes with its last process.
    pub(super) async fn remove_pod(&self, pod: &PodNetwork) {
        let link = LinkUnspec::new_with_name(&pod.link).build();
        let mut deletion = self.netlink.link().del(0);
        *deletion.message_mut() = link;
        if let Err(error) = deletion.execute().await {
            tracing::debug!(%error, link = pod.link, "cannot delete the pod's link");
        }
        let _ = umount2(&pod.namespace, MntFlags::MNT_DETACH);
        let _ = std::fs::remove_file(&pod.namespace);
        self.lock_allocator().taken.remove(&pod.ip.to_bits());
    }

    /// Allocates the next free address, in ascending order: a released address is not reused immediately. Also returns the
    /// number of the link.
    fn allocate(&self) -> io::Result<(Ipv4Addr, u64)> {
        let mut allocator = self.lock_allocator();
        let first = GATEWAY.to_bits() + 1;
        let capacity = (1 << (32 - PREFIX_LEN)) - 3;
        let next = (0..capacity)
            .map(|step| first + (allocator.last + step) % capacity)
            .find(|address| !allocator.taken.contains(address))
            .ok_or_else(|| io::Error::other("no free IP address in the pod network"))?;
        allocator.last = next - first + 1;
        allocator.taken.insert(next);
        allocator.links += 1;
        Ok((Ipv4Addr::from_bits(next), allocator.links))
    }

    fn lock_allocator(&self) -> std::sync::MutexGuard<'_, AddressAllocator> {
        self.allocator
            .lock()
            .expect("no code panics while it holds the addresses")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Configures the node's namespace: loopback, the bridge with the gateway's address, and a local route to the service CIDR.
/// Returns the index of the bridge.
async fn set_up_node() -> io::Result<(Handle, u32)> {
    let (connection, netlink, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    let loopback = link_index(&netlink, "lo").await?;
    set_up_link(&netlink, loopback).await?;
    let bridge = LinkBridge::new(BRIDGE).build();
    netlink
        .link()
        .add(bridge)
        .execute()
        .await
        .map_err(netlink_error)?;
    let bridge = link_index(&netlink, BRIDGE).await?;
    let address = netlink.address().add(bridge, GATEWAY.into(), PREFIX_LEN);
    address.execute().await.map_err(netlink_error)?;
    set_up_link(&netlink, bridge).await?;
    let services = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(SERVICE_CIDR.0, SERVICE_CIDR.1)
        .output_interface(loopback)
        .kind(RouteType::Local)
        .scope(RouteScope::Host)
        .table_id(LOCAL_TABLE)
        .build();
    netlink
        .route()
        .add(services)
        .execute()
        .await
        .map_err(netlink_error)?;
    Ok((netlink, bridge))
}

async fn configure_pod(peer: String, ip: Ipv4Addr) -> io::Result<()> {
    let (connection, netlink, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    let loopback = link_index(&netlink, "lo").await?;
    set_up_link(&netlink, loopback).await?;
    let link = link_index(&netlink, &peer).await?;
    let named = LinkUnspec::new_with_index(link).name("eth0").up().build();
    netlink
        .link()
        .set(named)
        .execute()
        .await
        .map_err(netlink_error)?;
    let address = netlink.address().add(link, ip.into(), PREFIX_LEN);
    address.execute().await.map_err(netlink_error)?;
    let default = RouteMessageBuilder::<Ipv4Addr>::new()
        .gateway(GATEWAY)
        .build();
    netlink
        .route()
        .add(default)
        .execute()
        .await
        .map_err(netlink_error)?;
    // Programs without root may bind port 80, as in every container runtime.
    std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").or(Ok(()))
}

async fn link_index(netlink: &Handle, name: &str) -> io::Result<u32> {
    let mut links = netlink.link().get().match_name(name.to_owned()).execute();
    let link = links.try_next().await.map_err(netlink_error)?;
    let link = link.ok_or_else(|| io::Error::other(format!("no network link {name}")))?;
    Ok(link.header.index)
}

async fn set_up_link(netlink: &Handle, index: u32) -> io::Result<()> {
    let link = LinkUnspec::new_with_index(index).up().build();
    netlink
        .link()
        .set(link)
        .execute()
        .await
        .map_err(netlink_error)
}

/// Creates a network namespace and mounts it on `path`, which keeps it alive.
async fn new_namespace(path: PathBuf) -> io::Result<File> {
    on_new_thread(move || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        File::create(&path)?;
        let none: Option<&str> = None;
        mount(
            Some("/proc/thread-self/ns/net"),
            &path,
            none,
            MsFlags::MS_BIND,
            none,
        )?;
        File::open(&path)
    })
    .await
}

/// Runs `work` in a network namespace, on a new thread.
async fn run_in_namespace<F>(
    namespace: File,
    work: impl FnOnce() -> F + Send + 'static,
) -> io::Result<()>
where
    F: Future<Output = io::Result<()>>,
{
    on_new_thread(move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work())
    })
    .await
}

/// Runs `work` on a new thread: a thread of a pool would stay in the namespace for its next task.
async fn on_new_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("namespace".to_owned())
        .spawn(move || drop(sender.send(work())))?;
    receiver.await.map_err(io::Error::other)?
}
