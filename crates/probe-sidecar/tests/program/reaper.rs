//! The sidecar as PID 1, which reaps orphans of commands. Needs PID namespaces.

use test_support::{Requirement, namespaces, require};

use crate::harness::{Running, TestDir};

#[test]
fn sidecar_as_pid_1_reaps_orphans() {
    if !require(Requirement::Namespaces) {
        return;
    }
    let prefix = namespaces::first_process().unwrap();
    // The first command is killed with its child; the second one leaves an orphan that exits later.
    for command in ["sleep 1000 & wait", "sleep 0.1 > /dev/null 2>&1 &"] {
        let dir = TestDir::new();
        let config = dir.config(&format!(
            "targets: [{{name: a, livenessProbe: {{exec: {{command: [sh, -c, '{command}']}}, extensions: {{timeoutMilliseconds: 200}}}}}}]"
        ));
        let mut running = Running::start_by(&prefix, &config, &["--log-level=debug"]);
        let line = running.wait_for_log("reaped orphans");
        assert!(line.contains("\"orphans\":1"), "{line}");
        // The reaper does not take the exit codes of commands.
        let probes = running.get("/probes");
        assert!(!probes.contains("No child processes"), "{probes}");
    }
}
