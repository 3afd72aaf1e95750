//! Programs of the exercises in this executable: the images of each, and the dispatch by name.
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

/// Tags of this project's images. There is one version of each, so that any other tag is an error.
const TAGS: [&str; 2] = [env!("CARGO_PKG_VERSION"), "latest"];

/// A program in this executable.
struct Workload {
    /// File name of the program, and name of this project's image of it.
    name: &'static str,
    /// Images of others that the program is run for, with any tag.
    replaced_images: &'static [&'static str],
    host_software: Option<FindHostSoftware>,
    main: fn() -> ExitCode,
}

const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "numbers-api",
        replaced_images: &["kiamol/ch03-numbers-api"],
        host_software: None,
        main: numbers_api::program::main,
    },
    Workload {
        name: "todo-web",
        replaced_images: &["kiamol/ch04-todo-list"],
        host_software: None,
        main: todo_web::program::main,
    },
    Workload {
        name: "probe-sidecar",
        replaced_images: &[],
        host_software: None,
        main: probe_sidecar::program::main,
    },
    Workload {
        name: "todo-db",
        replaced_images: &["postgres"],
        host_software: Some(postgres::find),
        main: todo_db::program::main,
    },
    Workload {
        name: "pg-ready",
        replaced_images: &[],
        host_software: None,
        main: pg_ready::program::main,
    },
];

/// Second name of `pg-ready`: with it, the program has the interface of PostgreSQL's `pg_isready`.
const PG_ISREADY: &str = "pg_isready";

/// Runs the workload that `argv[0]` names; returns `None` for any other name. To be called first in `main`.
pub(crate) fn dispatch() -> Option<ExitCode> {
    let argv0 = std::env::args_os().next()?;
    find_workload(&argv0).map(|workload| (workload.main)())
}

fn find_workload(argv0: &OsStr) -> Option<&'static Workload> {
    let name = Path::new(argv0).file_name()?;
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
    let own = TAGS.map(|tag| format!("{NAMESPACE}/{}:{tag}", workload.name));
    let others = workload
        .replaced_images
        .iter()
        .map(|name| (*name).to_owned());
    own.into_iter().chain(others).collect()
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
    fn workload_is_selected_by_the_file_name_of_argv0() {
        for (argv0, expected) in [
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
            let found = find_workload(OsStr::new(argv0)).map(|workload| workload.name);
            assert_eq!(found, expected, "{argv0:?}");
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
