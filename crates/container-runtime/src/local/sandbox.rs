//! A pod on the node: its network, its volumes, and its `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use super::atomic_writer;
use super::network::{Network, PodNetwork};
use super::shared_pid_ns::SharedPidNamespace;
use super::spec::BindMount;
use super::system;
use super::volumes::{self, join_below};
use crate::{DnsConfig, Mount, RuntimeError, SandboxConfig, Volume, VolumeSource};

pub(super) struct PodSandbox {
    pub(super) network: PodNetwork,
    pub(super) hostname: String,
    pub(super) dir: PathBuf,
    /// `None` unless `shareProcessNamespace` is set.
    pub(super) shared_pid_ns: Option<SharedPidNamespace>,
    /// `true` for volumes that are writable, by name.
    volumes: HashMap<String, bool>,
    /// Group that owns the volumes.
    fs_group: Option<u32>,
}

impl PodSandbox {
    pub(super) async fn create(
        network: &Network,
        pods_dir: &Path,
        config: &SandboxConfig,
    ) -> Result<Self, RuntimeError> {
        let pod_network = network.add_pod(&config.uid).await;
        let pod_network = pod_network.map_err(system("creating the pod's network"))?;
        let is_writable = |volume: &Volume| matches!(volume.source, VolumeSource::EmptyDir { .. });
        let mut pod = Self {
            network: pod_network,
            hostname: config.hostname.clone(),
            dir: pods_dir.join(&config.uid),
            shared_pid_ns: None,
            volumes: config
                .volumes
                .iter()
                .map(|volume| (volume.name.clone(), is_writable(volume)))
                .collect(),
            fs_group: config.fs_group,
        };
        if let Err(error) = pod.create_files(config) {
            pod.remove(network).await;
            return Err(system("creating the pod's volumes")(error));
        }
        if config.share_process_namespace {
            match SharedPidNamespace::create(&pod.dir.join("processes")).await {
                Ok(namespace) => pod.shared_pid_ns = Some(namespace),
                Err(error) => {
                    pod.remove(network).await;
                    return Err(system("creating the pod's process namespace")(error));
                }
            }
        }
        Ok(pod)
    }

    pub(super) fn ip(&self) -> Ipv4Addr {
        self.network.ip
    }

    fn volume_dir(&self, name: &str) -> PathBuf {
        self.dir.join("volumes").join(name)
    }

    fn create_files(&self, config: &SandboxConfig) -> io::Result<()> {
        fs::create_dir_all(self.dir.join("volumes"))?;
        fs::create_dir_all(self.dir.join("containers"))?;
        for volume in &config.volumes {
            let dir = self.volume_dir(&volume.name);
            volumes::create(&dir, &volume.source, config.fs_group)?;
        }
        self.write_etc_files(config)
    }

    /// Replaces the content of the pod's volumes of files.
    pub(super) fn update_volumes(&self, volumes: &[Volume]) -> io::Result<()> {
        for volume in volumes {
            if let VolumeSource::Files(files) = &volume.source
                && self.volumes.contains_key(&volume.name)
            {
                atomic_writer::write(&self.volume_dir(&volume.name), files, self.fs_group)?;
            }
        }
        Ok(())
    }

    fn write_etc_files(&self, config: &SandboxConfig) -> io::Result<()> {
        let mut hosts = format!(
            "127.0.0.1\tlocalhost\n{}\t{}\n",
            self.network.ip, self.hostname
        );
        for (ip, names) in &config.host_aliases {
            hosts.push_str(&format!("{ip}\t{}\n", names.join("\t")));
        }
        fs::write(self.dir.join("hosts"), hosts)?;
        fs::write(self.dir.join("hostname"), format!("{}\n", self.hostname))?;
        fs::write(self.dir.join("resolv.conf"), resolv_conf(&config.dns))
    }

    /// Returns the mounts of a container: the files in `/etc` and its volume mounts.
    pub(super) fn bind_mounts(&self, mounts: &[Mount]) -> io::Result<Vec<BindMount>> {
        let mut bind_mounts: Vec<BindMount> = ["hosts", "hostname", "resolv.conf"]
            .iter()
            .map(|name| BindMount {
                source: self.dir.join(name),
                target: format!("/etc/{name}"),
                read_only: false,
            })
            .collect();
        for mount in mounts {
            let writable = self.volumes.get(&mount.volume).copied();
            let writable = writable
                .ok_or_else(|| io::Error::other(format!("no volume named {:?}", mount.volume)))?;
            let dir = self.volume_dir(&mount.volume);
            let source = match mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
                None => dir,
                Some(path) if writable => resolve_sub_path(&dir, path, Missing::Create)?,
                // A subPath mount keeps the current content when the volume is updated.
                Some(path) => {
                    resolve_sub_path(&atomic_writer::current(&dir)?, path, Missing::Reject)?
                }
            };
            bind_mounts.push(BindMount {
                source,
                target: mount.path.clone(),
                read_only: mount.read_only || !writable,
            });
        }
        Ok(bind_mounts)
    }

    pub(super) async fn remove(&self, network: &Network) {
        if let Some(namespace) = &self.shared_pid_ns {
            namespace.kill();
        }
        for name in self.volumes.keys() {
            let _ = umount2(&self.volume_dir(name), MntFlags::MNT_DETACH);
        }
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::debug!(%error, dir = %self.dir.display(), "cannot remove the pod's directory");
        }
        network.remove_pod(&self.network).await;
    }
}

fn resolv_conf(dns: &DnsConfig) -> String {
    let mut text = String::new();
    for server in &dns.nameservers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    for (keyword, list) in [("search", &dns.searches), ("options", &dns.options)] {
        if !list.is_empty() {
            text.push_str(&format!("{keyword} {}\n", list.join(" ")));
        }
    }
    text
}

/// Treatment of a `subPath` that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Create,
    Reject,
}

/// Returns the path of `sub_path` in a volume. Symbolic links, which a container may have created, are not followed.
fn resolve_sub_path(volume: &Path, sub_path: &str, missing: Missing) -> io::Result<PathBuf> {
    let target = join_below(volume, sub_path)?;
    let mut reached = volume.to_owned();
    for component in target
        .strip_prefix(volume)
        .map_err(io::Error::other)?
        .components()
    {
        reached.push(component);
        match fs::symlink_metadata(&reached) {
            Ok(metadata) if metadata.is_symlink() => {
                return Err(io::Error::other(format!(
                    "subPath {sub_path:?} goes through a symbolic link"
                )));
            }
            Ok(_) => {}
            Err(_) if missing == Missing::Create => {
                fs::create_dir(&reached)?;
                fs::set_permissions(&reached, fs::Permissions::from_mode(0o777))?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_has_lines_for_the_fields_that_are_set() {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let dns = DnsConfig {
            nameservers: list(&["10.96.0.10", "1.1.1.1"]),
            searches: list(&["a", "b"]),
            options: list(&["ndots:5"]),
        };
        let expected = "nameserver 10.96.0.10\nnameserver 1.1.1.1\nsearch a b\noptions ndots:5\n";
        assert_eq!(resolv_conf(&dns), expected);
        assert_eq!(resolv_conf(&DnsConfig::default()), "");
    }

    #[test]
    fn sub_path_outside_its_volume_is_an_error() {
        let outside = tempfile::tempdir().unwrap();
        let volume = tempfile::tempdir().unwrap();
        let dir = volume.path();
        std::os::unix::fs::symlink(outside.path(), dir.join("link")).unwrap();
        let created = resolve_sub_path(dir, "a/./b", Missing::Create).unwrap();
        assert_eq!(created, dir.join("a/b"));
        assert!(created.is_dir());
        for path in ["../x", "/etc", "a/../../x", "link", "link/x"] {
            let resolved = resolve_sub_path(dir, path, Missing::Create);
            assert!(resolved.is_err(), "{path}");
        }
        assert!(resolve_sub_path(dir, "missing", Missing::Reject).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
