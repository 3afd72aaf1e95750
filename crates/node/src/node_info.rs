//! System information of the node (`status.nodeInfo`), read from the files of the host that the kubelet's cAdvisor reads.
//! A value whose file does not exist is empty.

use std::path::Path;

use component_helpers::VERSION;
use k8s_openapi::api::core::v1::NodeSystemInfo;

/// Files with the host's name and version; the first that exists is used (os-release(5)).
const OS_RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
const KERNEL_RELEASE: [&str; 1] = ["proc/sys/kernel/osrelease"];
const BOOT_ID: [&str; 1] = ["proc/sys/kernel/random/boot_id"];
const MACHINE_ID: [&str; 2] = ["etc/machine-id", "var/lib/dbus/machine-id"];
/// The firmware's UUID, which only root can read; the fallbacks are cAdvisor's.
const SYSTEM_UUID: [&str; 3] = [
    "sys/class/dmi/id/product_uuid",
    "proc/device-tree/system-id",
    "etc/machine-id",
];

/// Returns the information about this host.
pub(super) fn node_info() -> NodeSystemInfo {
    node_info_below(Path::new("/"))
}

/// Returns the information from the files below `root`.
fn node_info_below(root: &Path) -> NodeSystemInfo {
    let read = |files: &[&str]| read_first(root, files).unwrap_or_default();
    let os_release = read(&OS_RELEASE);
    NodeSystemInfo {
        architecture: go_architecture().to_owned(),
        boot_id: read(&BOOT_ID),
        container_runtime_version: concat!("selfheal://", env!("CARGO_PKG_VERSION")).to_owned(),
        kernel_version: read(&KERNEL_RELEASE),
        kubelet_version: VERSION.to_owned(),
        machine_id: read(&MACHINE_ID),
        operating_system: "linux".to_owned(),
        os_image: pretty_name(&os_release).unwrap_or_default(),
        system_uuid: read(&SYSTEM_UUID),
        ..NodeSystemInfo::default()
    }
}

/// Returns the trimmed text of the first file that can be read and is not empty.
fn read_first(root: &Path, files: &[&str]) -> Option<String> {
    files.iter().find_map(|file| {
        let text = std::fs::read_to_string(root.join(file)).ok()?;
        // The device tree's strings end with a NUL.
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    })
}

/// Returns `PRETTY_NAME`, a value with the quotes of a shell.
fn pretty_name(os_release: &str) -> Option<String> {
    let mut lines = os_release.lines();
    let value = lines.find_map(|line| line.trim_start().strip_prefix("PRETTY_NAME="))?;
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = quoted('\'') {
        return Some(literal.to_owned());
    }
    let mut unescaped = String::new();
    let mut characters = quoted('"').unwrap_or(value).chars();
    while let Some(character) = characters.next() {
        unescaped.extend(if character == '\\' {
            characters.next()
        } else {
            Some(character)
        });
    }
    Some(unescaped)
}

/// Returns the name that Go, and therefore Kubernetes, has for the processor architecture (`GOARCH`).
pub(super) fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pretty_name_is_unquoted_as_by_a_shell() {
        for (os_release, expected) in [
            (
                "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
                Some("Debian GNU/Linux 12 (bookworm)"),
            ),
            ("PRETTY_NAME=Alpine\n", Some("Alpine")),
            ("PRETTY_NAME='a \\ b'", Some("a \\ b")),
            (r#"PRETTY_NAME="a \"b\" \$c""#, Some("a \"b\" $c")),
            ("NAME=x\n", None),
        ] {
            assert_eq!(pretty_name(os_release).as_deref(), expected, "{os_release}");
        }
    }

    #[test]
    fn values_are_read_from_the_files_of_the_host() {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("usr/lib/os-release", "PRETTY_NAME=\"Some Linux 1\"\n"),
            ("proc/sys/kernel/osrelease", "6.1.0-1-amd64\n"),
            ("proc/sys/kernel/random/boot_id", "boot\n"),
            ("etc/machine-id", "machine\n"),
            ("sys/class/dmi/id/product_uuid", "uuid\n"),
        ] {
            let file = root.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let info = node_info_below(root.path());
        assert_eq!(info.os_image, "Some Linux 1");
        assert_eq!(info.kernel_version, "6.1.0-1-amd64");
        assert_eq!(info.boot_id, "boot");
        assert_eq!(info.machine_id, "machine");
        assert_eq!(info.system_uuid, "uuid");
        std::fs::remove_file(root.path().join("sys/class/dmi/id/product_uuid")).unwrap();
        assert_eq!(node_info_below(root.path()).system_uuid, "machine");
    }

    #[test]
    fn values_without_a_file_are_empty() {
        let root = tempfile::tempdir().unwrap();
        let info = node_info_below(root.path());
        let values = [info.os_image, info.kernel_version, info.boot_id];
        assert_eq!(values, ["", "", ""]);
        assert_eq!([info.machine_id, info.system_uuid], ["", ""]);
    }
}
