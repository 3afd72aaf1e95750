//! The pod network: a namespace for the node's side with a bridge in it, and one for each pod.

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

/// The node's own address in the pod network.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
const PREFIX: u8 = 16;
/// Service addresses: all of them are the node's.
const SERVICES: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 96, 0, 0), 16);
/// The kernel's table of local addresses.
const LOCAL_TABLE: u32 = 255;
const BRIDGE: &str = "selfheal0";

/// The network. Its runtime's threads live in the node's side of it: a socket that a task makes there belongs to it.
pub(crate) struct Network {
    runtime: Option<Runtime>,
    netlink: Handle,
    bridge: u32,
    folder: PathBuf,
    taken: Mutex<Addresses>,
}

#[derive(Default)]
struct Addresses {
    taken: BTreeSet<u32>,
    last: u32,
    links: u64,
}

/// A pod's place in the network.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ip: Ipv4Addr,
    /// Its namespace.
    pub(super) path: PathBuf,
    link: String,
}

/// A port on the same machine answers sooner, or not at all.
const CONNECT: Duration = Duration::from_secs(5);

impl Place {
    /// A connection to a port of the pod's own loopback addresses.
    pub(super) async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let path = self.path.clone();
        let connected = on_a_thread(move || {
            setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?;
            let connect =
                |ip| std::net::TcpStream::connect_timeout(&SocketAddr::new(ip, port), CONNECT);
            connect(Ipv4Addr::LOCALHOST.into())
                .or_else(|error| connect(Ipv6Addr::LOCALHOST.into()).map_err(|_| error))
        });
        let connected = connected.await?;
        connected.set_nonblocking(true)?;
        TcpStream::from_std(connected)
    }
}

fn failed(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}

impl Network {
    /// Makes the node's side. `folder` holds the namespaces' names.
    pub(crate) async fn start(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("node");
        let namespace = new_namespace(path).await?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("pod-network")
            .enable_all()
            .on_thread_start(move || {
                setns(&namespace, CloneFlags::CLONE_NEWNET)
                    .expect("whoever made a namespace may enter it");
            })
            .build()?;
        let (netlink, bridge) = runtime.spawn(set_up()).await.map_err(io::Error::other)??;
        Ok(Self {
            runtime: Some(runtime),
            netlink,
            bridge,
            folder: folder.to_owned(),
            taken: Mutex::default(),
        })
    }

    /// Where tasks run whose sockets are the node's in the pod network.
    pub(crate) fn handle(&self) -> tokio::runtime::Handle {
        let runtime = self.runtime.as_ref().expect("taken only by drop");
        runtime.handle().clone()
    }

    /// Makes a pod's namespace with an address.
    pub(super) async fn add(&self, uid: &str) -> io::Result<Place> {
        let (ip, number) = self.allocate()?;
        let place = Place {
            ip,
            path: self.folder.join(uid),
            link: format!("pod{number}"),
        };
        match self.connect(&place, number).await {
            Ok(()) => Ok(place),
            Err(error) => {
                self.remove(&place).await;
                Err(error)
            }
        }
    }

    async fn connect(&self, place: &Place, number: u64) -> io::Result<()> {
        let namespace = new_namespace(place.path.clone()).await?;
        let peer = format!("peer{number}");
        let links = || self.netlink.link();
        let pair = LinkVeth::new(&place.link, &peer).build();
        links().add(pair).execute().await.map_err(failed)?;
        let moved = LinkUnspec::new_with_name(&peer).setns_by_fd(namespace.as_raw_fd());
        links().set(moved.build()).execute().await.map_err(failed)?;
        let joined = LinkUnspec::new_with_name(&place.link)
            .controller(self.bridge)
            .up();
        links()
            .set(joined.build())
            .execute()
            .await
            .map_err(failed)?;
        let ip = place.ip;
        within(namespace, move || configure_pod(peer, ip)).await
    }

    /// Takes a pod's namespace away; the kernel ends it once nothing is in it.
    pub(super) async fn remove(&self, place: &Place) {
        let link = LinkUnspec::new_with_name(&place.link).build();
        let mut gone = self.netlink.link().del(0);
        *gone.message_mut() = link;
        if let Err(error) = gone.execute().await {
            tracing::debug!(%error, link = place.link, "a pod's link was gone");
        }
        let _ = umount2(&place.path, MntFlags::MNT_DETACH);
        let _ = std::fs::remove_file(&place.path);
        self.addresses().taken.remove(&place.ip.to_bits());
    }

    /// The next address that is free, so that one which was given up is not met again at once.
    fn allocate(&self) -> io::Result<(Ipv4Addr, u64)> {
        let mut addresses = self.addresses();
        let first = GATEWAY.to_bits() + 1;
        let room = (1 << (32 - PREFIX)) - 3;
        let next = (0..room)
            .map(|step| first + (addresses.last + step) % room)
            .find(|address| !addresses.taken.contains(address))
            .ok_or_else(|| io::Error::other("every address of the pod network is taken"))?;
        addresses.last = next - first + 1;
        addresses.taken.insert(next);
        addresses.links += 1;
        Ok((Ipv4Addr::from_bits(next), addresses.links))
    }

    fn addresses(&self) -> std::sync::MutexGuard<'_, Addresses> {
        self.taken
            .lock()
            .expect("nothing panics while it holds the addresses")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The node's side: loopback, the bridge with the gateway's address, and the services' addresses.
async fn set_up() -> io::Result<(Handle, u32)> {
    let (connection, netlink, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    let loopback = index(&netlink, "lo").await?;
    up(&netlink, loopback).await?;
    let bridge = LinkBridge::new(BRIDGE).build();
    netlink.link().add(bridge).execute().await.map_err(failed)?;
    let bridge = index(&netlink, BRIDGE).await?;
    let address = netlink.address().add(bridge, GATEWAY.into(), PREFIX);
    address.execute().await.map_err(failed)?;
    up(&netlink, bridge).await?;
    let services = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(SERVICES.0, SERVICES.1)
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
        .map_err(failed)?;
    Ok((netlink, bridge))
}

async fn configure_pod(peer: String, ip: Ipv4Addr) -> io::Result<()> {
    let (connection, netlink, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    let loopback = index(&netlink, "lo").await?;
    up(&netlink, loopback).await?;
    let link = index(&netlink, &peer).await?;
    let named = LinkUnspec::new_with_index(link).name("eth0").up().build();
    netlink.link().set(named).execute().await.map_err(failed)?;
    let address = netlink.address().add(link, ip.into(), PREFIX);
    address.execute().await.map_err(failed)?;
    let default = RouteMessageBuilder::<Ipv4Addr>::new()
        .gateway(GATEWAY)
        .build();
    netlink
        .route()
        .add(default)
        .execute()
        .await
        .map_err(failed)?;
    // Programs that are not root listen at port 80 as well, as in every container runtime.
    std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").or(Ok(()))
}

async fn index(netlink: &Handle, name: &str) -> io::Result<u32> {
    let mut links = netlink.link().get().match_name(name.to_owned()).execute();
    let link = links.try_next().await.map_err(failed)?;
    let link = link.ok_or_else(|| io::Error::other(format!("no network link {name}")))?;
    Ok(link.header.index)
}

async fn up(netlink: &Handle, index: u32) -> io::Result<()> {
    let link = LinkUnspec::new_with_index(index).up().build();
    netlink.link().set(link).execute().await.map_err(failed)
}

/// A new network namespace with a name in the file system, which keeps it.
async fn new_namespace(path: PathBuf) -> io::Result<File> {
    on_a_thread(move || {
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

/// Does something in a namespace, on a thread that ends with it.
async fn within<F>(namespace: File, work: impl FnOnce() -> F + Send + 'static) -> io::Result<()>
where
    F: Future<Output = io::Result<()>>,
{
    on_a_thread(move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work())
    })
    .await
}

/// A thread of its own: entering a namespace would follow a pooled one into its next task.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("namespace".to_owned())
        .spawn(move || drop(sender.send(work())))?;
    receiver.await.map_err(io::Error::other)?
}
