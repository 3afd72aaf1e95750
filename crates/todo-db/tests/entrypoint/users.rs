//! Users: root, namespaces with one user, user ids without a name.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use test_support::Requirement;

use crate::container::{Container, Db, as_ordinary_user};

/// User id of a process.
fn user_of_process(pid: u32) -> u32 {
    fs::metadata(Path::new("/proc").join(pid.to_string()))
        .unwrap()
        .uid()
}

#[test]
fn root_changes_to_the_servers_user_and_gives_it_the_data_directory() {
    let Some(container) = Container::new() else {
        return;
    };
    let Some(user) = test_support::postgres::ordinary_user() else {
        test_support::skip(Requirement::Root, "the user is not root");
        return;
    };
    let data = container.path("data");
    chown(&data, Some(0), Some(0)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
    let db = Db::start(&mut container.server(&[("POSTGRES_PASSWORD", "p")]));
    let metadata = fs::metadata(&data).unwrap();
    assert_eq!(
        (metadata.uid(), metadata.mode() & 0o777),
        (user.uid.as_raw(), 0o700)
    );
    assert_eq!(user_of_process(db.child.id()), user.uid.as_raw());
}
#[test]
fn root_of_a_namespace_without_other_users_is_renamed() {
    let Some(container) = Container::new() else {
        return;
    };
    let namespace = ["--user", "--map-root-user"];
    let probe = as_ordinary_user(Command::new("unshare").args(namespace).arg("true")).status();
    if !probe.is_ok_and(|status| status.success()) {
        test_support::skip(Requirement::Namespaces, "unshare --user is not allowed");
        return;
    }
    let server = container.server(&[("POSTGRES_PASSWORD", "p")]);
    let mut unshare = Command::new("unshare");
    unshare.args(namespace);
    let _db = Db::start(as_ordinary_user(container.wrap(&server, &mut unshare)));
    let one = container.psql("postgres", "p", "postgres", "select 1");
    assert_eq!(one.unwrap(), "1");
}

#[test]
fn server_of_root_has_the_groups_of_its_user() {
    let Some(container) = Container::new() else {
        return;
    };
    let Some(user) = test_support::postgres::ordinary_user() else {
        test_support::skip(Requirement::Root, "the user is not root");
        return;
    };
    let groups = Command::new("id")
        .arg("-G")
        .arg(&user.name)
        .output()
        .unwrap();
    let mut expected: Vec<u32> = numbers(std::str::from_utf8(&groups.stdout).unwrap());
    let db = Db::start(&mut container.server(&[("POSTGRES_PASSWORD", "p")]));
    let status = fs::read_to_string(format!("/proc/{}/status", db.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:"));
    let mut groups = numbers(line.unwrap());
    groups.push(user.gid.as_raw());
    for groups in [&mut groups, &mut expected] {
        groups.sort_unstable();
        groups.dedup();
    }
    assert_eq!(groups, expected);
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect()
}

#[test]
fn user_id_without_a_name_can_initialize_a_database() {
    /// Id of no user, as OpenShift assigns them.
    const ID: u32 = 1_000_650_000;
    let Some(container) = Container::new() else {
        return;
    };
    if test_support::postgres::ordinary_user().is_none() {
        test_support::skip(Requirement::Root, "the user is not root");
        return;
    }
    for dir in ["data", "socket"] {
        chown(container.path(dir), Some(ID), Some(0)).unwrap();
    }
    let mut server = container.server(&[("POSTGRES_PASSWORD", "p")]);
    let db = Db::start(server.uid(ID).gid(0));
    assert_eq!(user_of_process(db.child.id()), ID);
    let one = container.psql("postgres", "p", "postgres", "select 1");
    assert_eq!(one.unwrap(), "1");
}
