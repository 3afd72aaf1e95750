//! Programs of the exercises that this executable contains: which images each is run for, and the dispatch to it by name.
//!
//! In a container the node mounts this executable under the name of the image's program, so `argv[0]` names the workload.
//! A link with such a name works outside a container too.

mod host_programs;
mod postgres;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use container_runtime::local::{FindHostSoftware, ImageMap, ImageProgram};

/// Registry and namespace of this project's images.
const NAMESPACE: &str = "localhost/selfheal";

/// Tags of this project's images: there is one version of each, so a mistyped tag is unknown.
const TAGS: [&str; 2] = [env!("CARGO_PKG_VERSION"), "latest"];

/// A program that this executable contains.
struct Workload {
    /// File name of the program, and name of this project's image of it.
    name: &'static str,
    /// Images of others that the program is run for, with any tag.
    stands_for: &'static [&'static str],
    host_software: Option<FindHostSoftware>,
    main: fn() -> ExitCode,
}

const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "numbers-api",
        stands_for: &["kiamol/ch03-numbers-api"],
        host_software: None,
        main: numbers_api::program::main,
    },
    Workload {
        name: "todo-web",
        stands_for: &["kiamol/ch04-todo-list"],
        host_software: None,
        main: todo_web::program::main,
    },
    Workload {
        name: "probe-sidecar",
        stands_for: &[],
        host_software: None,
        main: probe_sidecar::program::main,
    },
    Workload {
        name: "todo-db",
        stands_for: &["postgres"],
        host_software: Some(postgres::find),
        main: todo_db::program::main,
    },
    Workload {
        name: "pg-ready",
        stands_for: &[],
        host_software: None,
        main: pg_ready::program::main,
    },
];

/// Names that stand for `pg-ready` too: it keeps the contract of `pg_isready` when it is called so.
const PG_ISREADY: &str = "pg_isready";

/// Runs the workload that `argv[0]` names; returns `None` for any other name. To be called first in `main`.
pub(crate) fn dispatch() -> Option<ExitCode> {
    let called = std::env::args_os().next()?;
    find(&called).map(|workload| (workload.main)())
}

fn find(called: &OsStr) -> Option<&'static Workload> {
    let name = Path::new(called).file_name()?;
    let name = if name == PG_ISREADY {
        OsStr::new("pg-ready")
    } else {
        name
    };
    WORKLOADS.iter().find(|workload| name == workload.name)
}

/// Returns the images that the node runs by default: those of `executable`, this one, and of programs of the host.
pub(crate) fn images(executable: &Path) -> ImageMap {
    let mut images = ImageMap::default();
    host_programs::insert_found(&mut images, host_programs::find);
    for workload in &WORKLOADS {
        let program = ImageProgram {
            file: executable.to_owned(),
            name: workload.name.to_owned(),
            cmd: Vec::new(),
            host_software: workload.host_software,
        };
        for name in image_names(workload) {
            images.insert(&name, program.clone());
        }
    }
    images
}

fn image_names(workload: &Workload) -> Vec<String> {
    let own = TAGS.iter();
    let own = own.map(|tag| format!("{NAMESPACE}/{}:{tag}", workload.name));
    let others = workload.stands_for.iter().map(|name| (*name).to_owned());
    own.chain(others).collect()
}

/// Returns the image's program for a file that the command line names: a separate build of a workload keeps its host
/// software, and a known program of the host its configuration.
pub(crate) fn program_of(file: &Path) -> ImageProgram {
    if let Some(program) = host_programs::known(file) {
        return program;
    }
    let name = file.file_name().unwrap_or_default();
    let known = WORKLOADS.iter().find(|workload| name == workload.name);
    ImageProgram {
        file: file.to_owned(),
        name: name.to_string_lossy().into_owned(),
        cmd: Vec::new(),
        host_software: known.and_then(|workload| workload.host_software),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_name_of_argv0_selects_the_workload() {
        for (called, expected) in [
            ("/numbers-api", Some("numbers-api")),
            ("numbers-api", Some("numbers-api")),
            ("./links/todo-web", Some("todo-web")),
            ("/app/probe-sidecar", Some("probe-sidecar")),
            ("/usr/local/bin/todo-db", Some("todo-db")),
            ("/usr/local/bin/pg_isready", Some("pg-ready")),
            ("pg-ready", Some("pg-ready")),
            ("selfheal", None),
            ("/opt/numbers-api/selfheal", None),
            ("numbers-api.old", None),
            ("", None),
            ("/", None),
        ] {
            let found = find(OsStr::new(called)).map(|workload| workload.name);
            assert_eq!(found, expected, "{called:?}");
        }
    }

    #[test]
    fn reference_without_the_registry_or_with_another_tag_is_unknown() {
        let file = std::env::current_exe().unwrap();
        let images = images(&file);
        let version = env!("CARGO_PKG_VERSION");
        for (reference, is_known) in [
            (format!("localhost/selfheal/numbers-api:{version}"), true),
            ("localhost/selfheal/numbers-api:latest".to_owned(), true),
            ("localhost/selfheal/numbers-api".to_owned(), true),
            ("kiamol/ch03-numbers-api".to_owned(), true),
            ("localhost/selfheal/numbers-api:0.0.0".to_owned(), false),
            // These are images of Docker Hub.
            (format!("selfheal/numbers-api:{version}"), false),
            ("selfheal/numbers-api".to_owned(), false),
            (format!("docker.io/selfheal/numbers-api:{version}"), false),
        ] {
            assert_eq!(images.check(&reference).is_ok(), is_known, "{reference}");
        }
    }

    #[test]
    fn separate_build_of_a_workload_keeps_its_host_software() {
        for (file, has_host_software) in [
            ("/elsewhere/todo-db", true),
            ("/elsewhere/numbers-api", false),
            ("/usr/sbin/redis-server", false),
        ] {
            let program = program_of(Path::new(file));
            assert_eq!(program.host_software.is_some(), has_host_software, "{file}");
            assert_eq!(program.file, Path::new(file));
        }
    }
}
