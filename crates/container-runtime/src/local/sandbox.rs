//! A pod's part of the node: its network, its volumes, and the files that tell its containers where they are.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use super::files;
use super::network::{Network, Place};
use super::processes::Processes;
use super::spec::Bind;
use super::system;
use super::volumes::{self, below};
use crate::{Dns, Mount, RuntimeError, SandboxConfig, Volume, VolumeSource};

pub(super) struct Pod {
    pub(super) place: Place,
    pub(super) hostname: String,
    pub(super) folder: PathBuf,
    /// What its containers share, if they do.
    pub(super) processes: Option<Processes>,
    /// Which volumes there are, and whether they may be written to.
    volumes: HashMap<String, bool>,
    /// The group that may use them.
    group: Option<u32>,
}

impl Pod {
    pub(super) async fn make(
        network: &Network,
        pods: &Path,
        config: &SandboxConfig,
    ) -> Result<Self, RuntimeError> {
        let place = network.add(&config.uid).await;
        let place = place.map_err(system("making the pod's network"))?;
        let folder = pods.join(&config.uid);
        let mut pod = Self {
            place,
            hostname: config.hostname.clone(),
            folder,
            processes: None,
            volumes: config
                .volumes
                .iter()
                .map(|volume| {
                    (
                        volume.name.clone(),
                        matches!(volume.source, VolumeSource::EmptyDir { .. }),
                    )
                })
                .collect(),
            group: config.fs_group,
        };
        if let Err(error) = pod.fill(config) {
            pod.remove(network).await;
            return Err(system("making the pod's volumes")(error));
        }
        if config.share_processes {
            match Processes::start(&pod.folder.join("processes")).await {
                Ok(processes) => pod.processes = Some(processes),
                Err(error) => {
                    pod.remove(network).await;
                    return Err(system("making the pod's process namespace")(error));
                }
            }
        }
        Ok(pod)
    }

    pub(super) fn ip(&self) -> Ipv4Addr {
        self.place.ip
    }

    fn fill(&self, config: &SandboxConfig) -> io::Result<()> {
        fs::create_dir_all(self.folder.join("volumes"))?;
        fs::create_dir_all(self.folder.join("containers"))?;
        for volume in &config.volumes {
            let folder = self.folder.join("volumes").join(&volume.name);
            volumes::make(&folder, &volume.source, config.fs_group)?;
        }
        self.names(config)
    }

    /// Gives the volumes of files that it has what these have.
    pub(super) fn update(&self, volumes: &[Volume]) -> io::Result<()> {
        for volume in volumes {
            if let VolumeSource::Files(files) = &volume.source
                && self.volumes.contains_key(&volume.name)
            {
                let folder = self.folder.join("volumes").join(&volume.name);
                files::write(&folder, files, self.group)?;
            }
        }
        Ok(())
    }

    /// `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.
    fn names(&self, config: &SandboxConfig) -> io::Result<()> {
        let mut hosts = format!(
            "127.0.0.1\tlocalhost\n{}\t{}\n",
            self.place.ip, self.hostname
        );
        for (ip, names) in &config.host_aliases {
            hosts.push_str(&format!("{ip}\t{}\n", names.join("\t")));
        }
        fs::write(self.folder.join("hosts"), hosts)?;
        fs::write(self.folder.join("hostname"), format!("{}\n", self.hostname))?;
        fs::write(self.folder.join("resolv.conf"), resolv_conf(&config.dns))
    }

    /// What a container sees of all this.
    pub(super) fn binds(&self, mounts: &[Mount]) -> io::Result<Vec<Bind>> {
        let mut binds: Vec<Bind> = ["hosts", "hostname", "resolv.conf"]
            .iter()
            .map(|name| Bind {
                source: self.folder.join(name),
                target: format!("/etc/{name}"),
                read_only: false,
            })
            .collect();
        for mount in mounts {
            let writable = self.volumes.get(&mount.volume).copied();
            let writable = writable
                .ok_or_else(|| io::Error::other(format!("no volume named {:?}", mount.volume)))?;
            let folder = self.folder.join("volumes").join(&mount.volume);
            let source = match mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
                None => folder,
                Some(path) if writable => sub_path(&folder, path, true)?,
                // Of the state that there is now, whatever comes later.
                Some(path) => sub_path(&files::newest(&folder)?, path, false)?,
            };
            binds.push(Bind {
                source,
                target: mount.path.clone(),
                read_only: mount.read_only || !writable,
            });
        }
        Ok(binds)
    }

    pub(super) async fn remove(&self, network: &Network) {
        if let Some(processes) = &self.processes {
            processes.end();
        }
        for name in self.volumes.keys() {
            let _ = umount2(
                &self.folder.join("volumes").join(name),
                MntFlags::MNT_DETACH,
            );
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, folder = %self.folder.display(), "a pod's folder stays");
        }
        network.remove(&self.place).await;
    }
}

fn resolv_conf(dns: &Dns) -> String {
    let mut text = String::new();
    for server in &dns.nameservers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    for (word, list) in [("search", &dns.searches), ("options", &dns.options)] {
        if !list.is_empty() {
            text.push_str(&format!("{word} {}\n", list.join(" ")));
        }
    }
    text
}

/// A folder in a volume. A container may have put links there that lead elsewhere: none is followed.
fn sub_path(volume: &Path, path: &str, writable: bool) -> io::Result<PathBuf> {
    let wanted = below(volume, path)?;
    let mut reached = volume.to_owned();
    for component in wanted
        .strip_prefix(volume)
        .map_err(io::Error::other)?
        .components()
    {
        reached.push(component);
        match fs::symlink_metadata(&reached) {
            Ok(metadata) if metadata.is_symlink() => {
                return Err(io::Error::other(format!(
                    "subPath {path:?} goes through a link"
                )));
            }
            Ok(_) => {}
            Err(_) if writable => {
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
    fn a_resolv_conf_has_a_line_for_what_there_is() {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let dns = Dns {
            nameservers: list(&["10.96.0.10", "1.1.1.1"]),
            searches: list(&["a", "b"]),
            options: list(&["ndots:5"]),
        };
        let expected = "nameserver 10.96.0.10\nnameserver 1.1.1.1\nsearch a b\noptions ndots:5\n";
        assert_eq!(resolv_conf(&dns), expected);
        assert_eq!(resolv_conf(&Dns::default()), "");
    }

    #[test]
    fn a_sub_path_stays_in_its_volume() {
        let outside = tempfile::tempdir().unwrap();
        let volume = tempfile::tempdir().unwrap();
        let at = volume.path();
        std::os::unix::fs::symlink(outside.path(), at.join("link")).unwrap();
        assert_eq!(sub_path(at, "a/./b", true).unwrap(), at.join("a/b"));
        assert!(at.join("a/b").is_dir());
        for path in ["../x", "/etc", "a/../../x", "link", "link/x"] {
            assert!(sub_path(at, path, true).is_err(), "{path}");
        }
        assert!(sub_path(at, "missing", false).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
