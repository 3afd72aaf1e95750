//! What a check leaves in the server's log: the README's table, measured.

use super::*;

/// How a server lets people in over TCP, and what is run against it.
const METHODS: [&str; 3] = ["trust", "password", "scram-sha-256"];

#[test]
fn the_readme_tells_what_each_mode_leaves_in_the_servers_log() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let measured = table(&bin);
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for row in &measured {
        assert!(
            readme.contains(row),
            "README.md is to say:\n{}",
            measured.join("\n")
        );
    }
}

fn table(bin: &Path) -> Vec<String> {
    let isready = bin.join("pg_isready").display().to_string();
    let ours = env!("CARGO_BIN_EXE_pg-ready");
    let rows = [
        ("`pg_isready`, run by root", isready.as_str(), ""),
        ("`pg-ready`, run by root", ours, ""),
        ("`pg_isready -U app`", &isready, "-U app -d postgres"),
        ("`pg-ready -U app`", ours, "-U app -d postgres"),
        ("`pg_isready -U nobody`", &isready, "-U nobody"),
        ("`pg-ready -U nobody`", ours, "-U nobody"),
        (
            "`pg-ready -U app --check=login`",
            ours,
            "-U app -d postgres --check=login",
        ),
        (
            "`pg-ready -U nobody --check=login`",
            ours,
            "-U nobody -d postgres --check=login",
        ),
    ];
    let servers = METHODS.map(|method| {
        let hba = format!("local all all trust\nhost all all 127.0.0.1/32 {method}\n");
        let server = Server::start_with_hba(bin, &hba);
        server.sql("CREATE ROLE app LOGIN PASSWORD 's3cret'");
        server
    });
    rows.iter()
        .filter(|(name, ..)| !name.contains("root") || nix::unistd::Uid::effective().is_root())
        .map(|(name, program, line)| {
            let cells: Vec<_> = servers
                .iter()
                .map(|server| left(server, program, line))
                .collect();
            format!("| {name} | {} |", cells.join(" | "))
        })
        .collect()
}

/// The lines that one run adds to the log.
fn left(server: &Server, program: &str, line: &str) -> String {
    let (before, background) = (server.log().len(), server.children());
    let status = Command::new(program)
        .args(["-h", "127.0.0.1", "-p", &server.port.to_string()])
        .args(line.split_whitespace())
        .env_clear()
        .env("PGPASSWORD", "s3cret")
        .output()
        .unwrap()
        .status;
    assert!(status.code().is_some());
    // A backend logs before it exits.
    server.wait_for_backends(&background);
    let lines: Vec<_> = server.log()[before..].lines().filter_map(message).collect();
    if lines.is_empty() {
        return "nothing".to_owned();
    }
    lines.join("; ")
}

fn message(line: &str) -> Option<String> {
    let at = ["FATAL:", "ERROR:", "LOG:"]
        .iter()
        .find_map(|kind| line.find(kind))?;
    Some(line[at..].replace(":  ", ": "))
}
