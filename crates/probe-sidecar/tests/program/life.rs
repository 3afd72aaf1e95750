//! From its start to its end.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::rig::{Folder, Running, program, tcp};

#[test]
fn it_probes_answers_and_ends_on_sigterm_with_0() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::new();
    let config = folder.config(&tcp(listener.local_addr().unwrap().port()));
    let mut running = Running::start(&config, &[]);
    running.logged("\"healthy\"");
    assert!(running.get("/livez").starts_with("HTTP/1.1 200 "));
    drop(listener);
    running.logged("\"unhealthy\"");
    assert!(running.get("/livez").starts_with("HTTP/1.1 503 "));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn a_second_one_on_the_same_port_says_so() {
    let folder = Folder::new();
    let config = folder.config(&tcp(1));
    let running = Running::start(&config, &[]);
    let second = program(&config)
        .args(["--listen", &running.address])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let words = String::from_utf8_lossy(&second.stderr);
    assert!(
        words.contains("is another probe-sidecar at 127.0.0.1:"),
        "{words}"
    );
}

#[test]
fn a_bad_configuration_is_refused_with_file_line_and_field() {
    let folder = Folder::new();
    let config = folder.config("targets:\n- name: a\n  livenessProbe: {}\n");
    for flags in [&["--check-config"][..], &[]] {
        let output = program(&config).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let words = String::from_utf8_lossy(&output.stderr);
        let expected = format!(
            "{}:3: targets[0].livenessProbe: Required value: must specify a handler type",
            config.display()
        );
        assert!(words.contains(&expected), "{words}");
    }
    let output = program(&config)
        .args(["--check-config", "--output=json"])
        .output()
        .unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["problems"][0]["line"], 3);
}

#[test]
fn a_reload_is_all_or_nothing_and_a_link_that_is_swapped_is_seen() {
    let folder = Folder::new();
    for (name, text) in [("1", tcp(1)), ("2", tcp(2))] {
        fs::create_dir(folder.path(name)).unwrap();
        fs::write(folder.path(name).join("probes.yaml"), text).unwrap();
    }
    let link = |to: &str| {
        std::os::unix::fs::symlink(to, folder.path("..tmp")).unwrap();
        fs::rename(folder.path("..tmp"), folder.path("..data")).unwrap();
    };
    link("1");
    std::os::unix::fs::symlink("..data/probes.yaml", folder.path("probes.yaml")).unwrap();
    let mut running = Running::start(&folder.path("probes.yaml"), &[]);
    running.logged("unhealthy");
    link("2");
    running.logged("configuration reloaded");
    assert!(running.get("/probes").contains("connect to 127.0.0.1:2"));
    fs::write(folder.path("2").join("probes.yaml"), "targets: [").unwrap();
    running.signal(Signal::SIGHUP);
    let line = running.logged("not reloaded");
    assert!(line.contains("probes.yaml:1"), "{line}");
    assert!(running.get("/probes").contains("connect to 127.0.0.1:2"));
}

#[test]
fn a_hung_command_dies_with_its_children_at_the_end() {
    let folder = Folder::new();
    let fifo = folder.path("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let config = folder.config(&format!(
        "targets: [{{name: a, livenessProbe: {{timeoutSeconds: 600, exec: {{command: [sh, -c, 'exec >{}; sleep 1000 & echo here; wait']}}}}}}]",
        fifo.display()
    ));
    let mut running = Running::start(&config, &[]);
    let mut reader = BufReader::new(fs::File::open(&fifo).unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "here\n");
    running.signal(Signal::SIGTERM);
    // The shell and its child both hold the other end: it closes when both are gone.
    assert_eq!(reader.read_to_string(&mut line).unwrap(), 0);
    assert_eq!(running.exit_code(), Some(0));
}
