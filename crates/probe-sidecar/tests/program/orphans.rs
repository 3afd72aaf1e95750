//! The sidecar as the first process of its container, which inherits what commands leave behind. Needs PID namespaces.

use test_support::{Requirement, namespaces, require};

use crate::rig::{Folder, Running};

#[test]
fn as_the_first_process_it_reaps_what_a_command_leaves_behind() {
    if !require(Requirement::Namespaces) {
        return;
    }
    let words = namespaces::first_process().unwrap();
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
