//! Images of tutorials that the node runs with the program of the same name, if this host has it.

use std::path::{Path, PathBuf};

use container_runtime::ImageError;
use container_runtime::local::{
    FindHostSoftware, HostSoftware, ImageFiles, ImageMap, ImageProgram,
};

/// A program of the host that is run for the image of the same name.
struct HostProgram {
    name: &'static str,
    /// `CMD` of the image.
    cmd: &'static [&'static str],
    host_software: Option<FindHostSoftware>,
}

/// As the entry point, `busybox` runs its built-in commands: `kubectl run x --image busybox -- wget -qO- URL`.
const PROGRAMS: [HostProgram; 2] = [
    HostProgram {
        name: "busybox",
        cmd: &["sh"],
        host_software: None,
    },
    HostProgram {
        name: "nginx",
        cmd: &["-g", "daemon off;"],
        host_software: Some(nginx),
    },
];

/// Directories of administrators' programs, which are not in the PATH of every user.
const ADMIN_DIRS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Adds the images of the programs that `find` returns a path for.
pub(super) fn insert_found(images: &mut ImageMap, find: impl Fn(&str) -> Option<PathBuf>) {
    for program in &PROGRAMS {
        if let Some(file) = find(program.name) {
            images.insert(program.name, program.image_program(file));
        }
    }
}

/// Returns the path of a program in PATH or in a directory of administrators' programs.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(std::env::split_paths(ADMIN_DIRS))
        .map(|dir| dir.join(name))
        .find(|file| file.is_absolute() && file.is_file())
}

/// Returns the image's program for a file with the name of a known program.
pub(super) fn known(file: &Path) -> Option<ImageProgram> {
    let name = file.file_name()?;
    let program = PROGRAMS.iter().find(|program| name == program.name)?;
    Some(program.image_program(file.to_owned()))
}

impl HostProgram {
    fn image_program(&self, file: PathBuf) -> ImageProgram {
        ImageProgram {
            file,
            name: self.name.to_owned(),
            cmd: self
                .cmd
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
            host_software: self.host_software,
        }
    }
}

/// Paths and document root of the official image. Workers run as root because a user namespace with one user has no other;
/// the host's configuration is not used.
const NGINX_CONF: &str = "\
user root;
worker_processes auto;
error_log /dev/stderr notice;
pid /tmp/nginx.pid;
events {}
http {
  types {
    text/html html;
    text/css css;
    text/plain txt;
    application/javascript js;
    application/json json;
    image/svg+xml svg;
    image/png png;
  }
  access_log /dev/stdout;
  include /etc/nginx/conf.d/*.conf;
}
";

const NGINX_DEFAULT_CONF: &str = "\
server {
  listen 80;
  root /usr/share/nginx/html;
}
";

/// Returns the configuration of the official image, without its dependence on other users.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature of FindHostSoftware"
)]
fn nginx(_: &str) -> Result<HostSoftware, ImageError> {
    let text = |(path, content): (&str, &str)| (path.to_owned(), content.to_owned());
    Ok(HostSoftware {
        env: Vec::new(),
        stop_signal: Some("SIGQUIT".to_owned()),
        files: ImageFiles {
            files: [
                ("/etc/nginx/nginx.conf", NGINX_CONF),
                ("/etc/nginx/conf.d/default.conf", NGINX_DEFAULT_CONF),
            ]
            .map(text)
            .into(),
            // Temporary files of Debian's and of nginx.org's builds.
            writable_dirs: ["/var/log/nginx", "/var/lib/nginx", "/var/cache/nginx"]
                .map(str::to_owned)
                .into(),
            ..ImageFiles::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_of_a_tutorial_is_available_only_if_the_host_has_its_program() {
        let mut images = ImageMap::default();
        insert_found(&mut images, |name| {
            (name == "busybox").then(|| PathBuf::from("/usr/bin/busybox"))
        });
        for (reference, is_available) in [
            ("busybox", true),
            ("busybox:1.36", true),
            ("docker.io/library/busybox", true),
            ("nginx", false),
            ("alpine", false),
        ] {
            assert_eq!(images.check(reference).is_ok(), is_available, "{reference}");
        }
    }

    #[test]
    fn known_program_keeps_the_arguments_of_its_image() {
        let busybox = known(Path::new("/opt/busybox")).unwrap();
        assert_eq!(busybox.file, Path::new("/opt/busybox"));
        assert_eq!(busybox.cmd, ["sh"]);
        assert!(known(Path::new("/usr/bin/redis-server")).is_none());
    }
}
