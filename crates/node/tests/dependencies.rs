//! Dependencies between the components: those that are clients of the API have nothing of the API server.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

/// Returns the packages that `package` is linked with in a program.
fn linked(package: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--package", package])
        .args(["--edges", "normal", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{package}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn clients_of_the_api_are_not_linked_with_the_api_server() {
    let server = "selfheal-apiserver ";
    for client in [
        "selfheal-controller-manager",
        "selfheal-scheduler",
        "selfheal-kubelet",
        "selfheal-kube-proxy",
        "selfheal-component-helpers",
    ] {
        let packages = linked(client);
        assert!(packages.starts_with(client), "{packages}");
        assert!(!packages.contains(server), "{client} depends on {server}");
    }
    assert!(linked("selfheal-node").contains(server));
}
