//! States of the cache, and transitions between them.

use super::*;

mod repository;

/// Creates a tree in the cache whose programs exit with this code.
fn create_fake(cache: &Path, major: u32, code: u8) {
    let bin = installation::cached_tree(cache, major).join("bin");
    fs::create_dir_all(&bin).unwrap();
    for name in ["postgres", "initdb", "pg_ctl", "psql"] {
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/sh\nexit {code}\n")).unwrap();
        files::set_mode(&path, 0o755).unwrap();
    }
}

#[test]
fn cached_installation_whose_programs_do_not_run_is_not_used() {
    let cache = tempfile::tempdir().unwrap();
    assert_eq!(find_usable(cache.path()), None);
    create_fake(cache.path(), 15, 0);
    create_fake(cache.path(), 17, 1);
    let found = find_usable(cache.path()).unwrap();
    assert_eq!(found.major, Some(15));
}

#[test]
fn leftovers_of_interrupted_runs_and_broken_installations_are_removed() {
    let cache = tempfile::tempdir().unwrap();
    create_fake(cache.path(), 15, 1);
    create_fake(cache.path(), 17, 0);
    let leftover = cache.path().join(".work-abc");
    fs::create_dir(&leftover).unwrap();
    remove_leftovers(cache.path()).unwrap();
    assert!(!leftover.exists());
    let majors: Vec<_> = installation::cached(cache.path());
    let majors: Vec<_> = majors.iter().map(|it| it.major).collect();
    assert_eq!(majors, [Some(17)]);
}

#[test]
fn published_tree_replaces_the_one_that_is_there() {
    let cache = tempfile::tempdir().unwrap();
    create_fake(cache.path(), 15, 0);
    let work = TempDir::with_prefix_in(WORK_PREFIX, cache.path()).unwrap();
    let tree = work.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("new"), "").unwrap();
    let target = installation::cached_tree(cache.path(), 15);
    publish(&tree, &target, work.path()).unwrap();
    assert!(target.join("new").is_file());
    assert!(!target.join("bin").exists());
}

#[test]
fn second_run_waits_for_the_lock_of_the_first() {
    let cache = tempfile::tempdir().unwrap();
    let first = lock(cache.path(), &mut io::sink()).unwrap();
    let path = cache.path().to_owned();
    let (mut reader, writer) = io::pipe().unwrap();
    let second = std::thread::spawn(move || lock(&path, &mut { writer }).map(drop));
    let mut byte = [0];
    io::Read::read_exact(&mut reader, &mut byte).unwrap();
    assert!(!second.is_finished());
    drop(first);
    second.join().unwrap().unwrap();
}
