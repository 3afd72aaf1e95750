//! Dependencies between the components: clients of the API do not depend on the API server.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

/// Returns the packages that `package` depends on without its dev-dependencies, from `cargo tree`.
fn dependencies(package: &str) -> String {
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
fn clients_of_the_api_do_not_depend_on_the_api_server() {
    let server = "selfheal-apiserver ";
    for client in [
        "selfheal-controller-manager",
        "selfheal-scheduler",
        "selfheal-kubelet",
        "selfheal-kube-proxy",
        "selfheal-component-helpers",
    ] {
        let packages = dependencies(client);
        assert!(packages.starts_with(client), "{packages}");
        assert!(!packages.contains(server), "{client} depends on {server}");
    }
    assert!(dependencies("selfheal-node").contains(server));
}
