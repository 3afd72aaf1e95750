//! The images as archives: what is in them and what is not, how large they are, that they come out the same twice.
//! `make test-images` makes the archives first and says where they are.

use std::path::PathBuf;
use std::process::Command;

use packaging::archive::Image;
use packaging::{VERSION, repository};
use serde_json::json;
use test_support::{Requirement, image_archives, require};

const MIB: u64 = 1024 * 1024;
/// The programs of the workspace that are images, and the most bytes that each may have.
const PROGRAMS: [(&str, u64); 4] = [
    ("numbers-api", 6 * MIB),
    ("todo-web", 6 * MIB),
    ("probe-sidecar", 6 * MIB),
    ("pg-ready", 2 * MIB),
];
const DATABASE: (&str, u64) = ("todo-db", 100 * MIB);

fn archives() -> Option<PathBuf> {
    if !require(Requirement::ImageArchives) {
        return None;
    }
    image_archives()
}

fn images() -> Vec<(&'static str, u64, Image)> {
    let Some(folder) = archives() else {
        return Vec::new();
    };
    let all = PROGRAMS.into_iter().chain([DATABASE]);
    all.map(|(name, limit)| {
        (
            name,
            limit,
            Image::read(&folder.join(format!("{name}.tar"))),
        )
    })
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
fn a_programs_image_holds_the_program_and_nothing_else() {
    for (name, _, image) in images() {
        if name != DATABASE.0 {
            assert_eq!(image.paths(), [name]);
            assert_eq!(image.files[name].mode & 0o777, 0o555);
        }
    }
}

#[test]
fn no_file_of_an_image_has_anothers_rights_or_owner() {
    for (name, _, image) in images() {
        for (path, entry) in &image.files {
            assert_eq!(entry.owner, (0, 0), "{name}: {path}");
            assert_eq!(
                entry.mode & 0o6000,
                0,
                "{name}: {path} has its owner's rights"
            );
            let open = entry.mode & 0o002 != 0 && entry.mode & 0o1000 == 0;
            let link = entry.mode & 0o777 == 0o777 && !entry.folder;
            assert!(!open || link, "{name}: {path} can be written by everybody");
        }
    }
}

#[test]
fn a_programs_container_is_nobodys_in_particular_and_starts_the_program() {
    for (name, _, image) in images() {
        if name != DATABASE.0 {
            assert_eq!(image.config["User"], "65532:65532", "{name}");
            assert_eq!(image.config["Entrypoint"], json!([format!("/{name}")]));
        }
    }
}

#[test]
fn the_databases_container_keeps_the_official_images_contract() {
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
fn every_image_says_what_it_is() {
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
fn an_image_made_twice_is_the_same_to_the_byte() {
    let Some(folder) = archives() else {
        return;
    };
    let again = tempfile::tempdir().unwrap();
    for (name, _) in PROGRAMS.into_iter().chain([DATABASE]) {
        let file = again.path().join(name);
        let made = Command::new(repository().join("docker/archive"))
            .args([name, &format!("selfheal/{name}:{VERSION}")])
            .arg(&file)
            .status();
        assert!(made.unwrap().success());
        let first = std::fs::read(folder.join(format!("{name}.tar"))).unwrap();
        assert!(first == std::fs::read(file).unwrap(), "{name} differs");
    }
}

/// docker/archive reads the Dockerfile by itself, so somebody else's reading of it is the judge.
#[test]
fn an_archive_has_the_config_that_buildah_makes_of_the_same_dockerfile() {
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
        let given = |name: &str, key: &str| {
            format!(
                "{name}={}",
                label(&format!("org.opencontainers.image.{key}"))
            )
        };
        let arguments = [
            "TARGETARCH=amd64".to_owned(),
            given("VERSION", "version"),
            given("REVISION", "revision"),
            given("CREATED", "created"),
        ];
        let mut words = vec![
            "build",
            "--quiet",
            "--file",
            "docker/Dockerfile",
            "--target",
            name,
        ];
        for argument in &arguments {
            words.extend(["--build-arg", argument]);
        }
        words.extend(["--tag", name, "."]);
        buildah(&words);
        let told: serde_json::Value =
            serde_json::from_str(&buildah(&["inspect", "--type", "image", name])).unwrap();
        let theirs = &told["Docker"]["config"];
        for field in [
            "User",
            "Entrypoint",
            "Cmd",
            "ExposedPorts",
            "Volumes",
            "StopSignal",
            "Env",
        ] {
            let absent = |value: &serde_json::Value| {
                value.is_null() || value == "" || *value == json!([]) || *value == json!({})
            };
            let (ours, theirs) = (&image.config[field], &theirs[field]);
            assert!(
                ours == theirs || absent(ours) && absent(theirs),
                "{name} {field}: {ours} {theirs}"
            );
        }
        for (key, value) in image.config["Labels"].as_object().unwrap() {
            assert_eq!(&theirs["Labels"][key], value, "{name}");
        }
    }
}
