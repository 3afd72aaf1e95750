//! The sidecar as the first process of its container, which inherits what commands leave behind. Needs PID namespaces.

use std::process::Command;

use crate::rig::{Folder, Running};

/// The words that put a program into namespaces in which it is the first process; none, and a word about it, where that is
/// not allowed.
fn first_process() -> Option<Vec<&'static str>> {
    let ways = [&[][..], &["--user", "--map-root-user"]];
    let found = ways.into_iter().find_map(|own| {
        let mut words = vec!["unshare"];
        words.extend(own);
        words.extend(["--pid", "--mount-proc", "--fork", "--kill-child"]);
        let tried = Command::new(words[0])
            .args(&words[1..])
            .arg("true")
            .output();
        tried
            .is_ok_and(|tried| tried.status.success())
            .then_some(words)
    });
    if found.is_none() {
        eprintln!(
            "SKIPPED: this test needs PID namespaces (root, or a kernel that gives users theirs)"
        );
    }
    found
}

#[test]
fn as_the_first_process_it_reaps_what_a_command_leaves_behind() {
    let Some(words) = first_process() else {
        return;
    };
    // One is killed with what it has started, one leaves something behind that ends later.
    for command in ["sleep 1000 & wait", "sleep 0.1 > /dev/null 2>&1 &"] {
        let folder = Folder::new();
        let config = folder.config(&format!(
            "targets: [{{name: a, livenessProbe: {{exec: {{command: [sh, -c, '{command}']}}, beyond: {{timeoutMilliseconds: 200}}}}}}]"
        ));
        let mut running = Running::start_by(&words, &config, &["--log-level=debug"]);
        let line = running.logged("reaped what commands left behind");
        assert!(line.contains("\"orphans\":1"), "{line}");
        // Its own commands are still its own: their exit codes are known.
        let probes = running.get("/probes");
        assert!(!probes.contains("No child processes"), "{probes}");
    }
}
