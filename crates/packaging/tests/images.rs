//! Archives of the images: content, size, configuration, and that building again gives the same bytes.
//! `make test-images` builds the archives first and sets `IMAGE_ARCHIVES`.

use std::path::PathBuf;
use std::process::Command;

use selfheal_packaging::archive::Image;
use selfheal_packaging::{VERSION, repository};
use serde_json::json;
use test_support::{Requirement, image_archives, require};

const MIB: u64 = 1024 * 1024;
/// Images of one program each, with their maximum size in bytes.
const PROGRAMS: [(&str, u64); 4] = [
    ("numbers-api", 6 * MIB),
    ("todo-web", 6 * MIB),
    ("probe-sidecar", 6 * MIB),
    ("pg-ready", 2 * MIB),
];
/// Image of the database, with its maximum size in bytes.
const DATABASE: (&str, u64) = ("todo-db", 100 * MIB);

fn archives() -> Option<PathBuf> {
    if !require(Requirement::ImageArchives) {
        return None;
    }
    image_archives()
}

fn images() -> Vec<(&'static str, u64, Image)> {
    let Some(dir) = archives() else {
        return Vec::new();
    };
    let all = PROGRAMS.into_iter().chain([DATABASE]);
    all.map(|(name, limit)| (name, limit, Image::read(&dir.join(format!("{name}.tar")))))
        .collect()
}

/// Programs that stay within their budget only if they are built on musl.
const ON_MUSL: [&str; 2] = ["probe-sidecar", "pg-ready"];

fn check_sizes(is_checked: impl Fn(&str) -> bool) {
    for (name, limit, image) in images() {
        if is_checked(name) {
            assert!(image.size() <= limit, "{name}: {} > {limit}", image.size());
        }
    }
}

#[test]
fn no_image_is_larger_than_its_budget() {
    check_sizes(|name| !ON_MUSL.contains(&name));
}

#[test]
fn images_built_on_musl_are_not_larger_than_their_budget() {
    if require(Requirement::Musl) {
        check_sizes(|name| ON_MUSL.contains(&name));
    }
}

#[test]
fn program_image_holds_the_program_its_licences_and_nothing_else() {
    for (name, _, image) in images() {
        if name != DATABASE.0 {
            let licenses = ["LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-NOTICES.txt"];
            let mut expected: Vec<String> = licenses.map(|it| format!("licenses/{it}")).into();
            expected.push(name.to_owned());
            expected.sort();
            assert_eq!(image.paths(), expected);
            assert_eq!(image.files[name].mode & 0o777, 0o555);
        }
    }
}

fn check_licences(is_checked: impl Fn(&str) -> bool) {
    for (name, _, image) in images() {
        if is_checked(name) {
            let notices = &image.files["licenses/THIRD-PARTY-NOTICES.txt"].notice;
            let mut lines = notices.as_ref().expect("a notices file").lines();
            let listed = lines.find_map(|line| line.strip_prefix("Licences: "));
            let label = &image.config["Labels"]["org.opencontainers.image.licenses"];
            assert_eq!(label.as_str(), listed, "{name}");
        }
    }
}

#[test]
fn licence_label_of_a_program_image_is_what_its_notices_list() {
    check_licences(|name| name != DATABASE.0 && !ON_MUSL.contains(&name));
}

#[test]
fn licence_label_of_an_image_built_on_musl_is_what_its_notices_list() {
    if require(Requirement::Musl) {
        check_licences(|name| ON_MUSL.contains(&name));
    }
}

#[test]
fn database_image_has_the_copyright_file_of_every_package() {
    for (name, _, image) in images() {
        if name == DATABASE.0 {
            for package in [
                "postgresql-",
                "busybox-static",
                "tzdata",
                "libc6",
                "libssl",
                "todo-db",
                "pg-ready",
            ] {
                let found = image.paths().into_iter().any(|path| {
                    let doc = path.strip_prefix("usr/share/doc/");
                    doc.is_some_and(|it| it.starts_with(package) && it.contains('/'))
                });
                assert!(found, "{package}");
            }
            for text in ["Apache-2.0", "GPL-2", "GPL-3", "LGPL-2.1"] {
                let path = format!("usr/share/common-licenses/{text}");
                assert!(image.files.contains_key(&path), "{path}");
            }
        }
    }
}

#[test]
fn files_of_every_image_belong_to_root_and_have_no_setuid_bit() {
    for (name, _, image) in images() {
        for (path, entry) in &image.files {
            assert_eq!(entry.owner, (0, 0), "{name}: {path}");
            assert_eq!(
                entry.mode & 0o6000,
                0,
                "{name}: {path} has a setuid or setgid bit"
            );
            let is_open = entry.mode & 0o002 != 0 && entry.mode & 0o1000 == 0;
            let is_link = entry.mode & 0o777 == 0o777 && !entry.is_dir;
            assert!(
                !is_open || is_link,
                "{name}: {path} is writable for all users"
            );
        }
    }
}

#[test]
fn program_image_runs_its_program_as_an_unprivileged_user() {
    for (name, _, image) in images() {
        if name != DATABASE.0 {
            assert_eq!(image.config["User"], "65532:65532", "{name}");
            assert_eq!(image.config["Entrypoint"], json!([format!("/{name}")]));
        }
    }
}

#[test]
fn database_image_has_the_contract_of_the_official_image() {
    for (name, _, image) in images() {
        if name == DATABASE.0 {
            let config = image.config;
            assert_eq!(config["StopSignal"], "SIGINT");
            assert_eq!(config["Cmd"], json!(["postgres"]));
            assert_eq!(config["ExposedPorts"], json!({"5432/tcp": {}}));
            assert_eq!(config["Volumes"], json!({"/var/lib/postgresql/data": {}}));
            for program in ["usr/local/bin/pg_isready", "bin/sh", "usr/bin/psql"] {
                assert!(image.files.contains_key(program), "{program}");
            }
        }
    }
}

#[test]
fn labels_of_every_image_are_complete() {
    for (name, _, image) in images() {
        let label =
            |key: &str| image.config["Labels"][format!("org.opencontainers.image.{key}")].clone();
        assert_eq!(label("title"), name);
        assert_eq!(label("version"), VERSION);
        for key in ["description", "licenses", "revision", "created"] {
            let value = label(key);
            assert!(
                !value.as_str().unwrap_or_default().is_empty(),
                "{name}: {key}"
            );
            assert!(!value.to_string().contains('$'), "{name}: {value}");
        }
    }
}

#[test]
fn image_built_twice_has_the_same_bytes() {
    let Some(dir) = archives() else {
        return;
    };
    let rebuilt = tempfile::tempdir().unwrap();
    for (name, _) in PROGRAMS.into_iter().chain([DATABASE]) {
        let file = rebuilt.path().join(name);
        let status = Command::new(repository().join("docker/build-archive"))
            .args([name, &format!("localhost/selfheal/{name}:{VERSION}")])
            .arg(&file)
            .status();
        assert!(status.unwrap().success());
        let first = std::fs::read(dir.join(format!("{name}.tar"))).unwrap();
        assert!(first == std::fs::read(file).unwrap(), "{name} differs");
    }
}

/// Checks the Dockerfile parser of docker/build-archive against that of buildah.
#[test]
fn config_of_an_archive_is_that_of_buildah() {
    if archives().is_none() {
        return;
    }
    if !require(Requirement::Buildah) {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let buildah = |arguments: &[&str]| {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(store.path().join("root"));
        command.arg("--runroot").arg(store.path().join("run"));
        let output = command.args(["--storage-driver", "vfs"]).args(arguments);
        let output = output.current_dir(repository()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (name, _, image) in images() {
        let label = |key: &str| image.config["Labels"][key].as_str().unwrap().to_owned();
        let build_argument = |name: &str, key: &str| {
            format!(
                "{name}={}",
                label(&format!("org.opencontainers.image.{key}"))
            )
        };
        let arguments = [
            "TARGETARCH=amd64".to_owned(),
            build_argument("VERSION", "version"),
            build_argument("REVISION", "revision"),
            build_argument("CREATED", "created"),
        ];
        let mut command = vec![
            "build",
            "--quiet",
            "--file",
            "docker/Dockerfile",
            "--target",
            name,
        ];
        for argument in &arguments {
            command.extend(["--build-arg", argument]);
        }
        command.extend(["--tag", name, "."]);
        buildah(&command);
        let inspected: serde_json::Value =
            serde_json::from_str(&buildah(&["inspect", "--type", "image", name])).unwrap();
        let buildah_config = &inspected["Docker"]["config"];
        for field in [
            "User",
            "Entrypoint",
            "Cmd",
            "ExposedPorts",
            "Volumes",
            "StopSignal",
            "Env",
        ] {
            let is_absent = |value: &serde_json::Value| {
                value.is_null() || value == "" || *value == json!([]) || *value == json!({})
            };
            let (archive, expected) = (&image.config[field], &buildah_config[field]);
            assert!(
                archive == expected || is_absent(archive) && is_absent(expected),
                "{name} {field}: {archive} {expected}"
            );
        }
        for (key, value) in image.config["Labels"].as_object().unwrap() {
            assert_eq!(&buildah_config["Labels"][key], value, "{name}");
        }
    }
}
