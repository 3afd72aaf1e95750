//! Log messages that a check causes on the server: measures the table of README.md.

use super::*;

/// Methods of `pg_hba.conf` for TCP, the columns of the table.
const METHODS: [&str; 3] = ["trust", "password", "scram-sha-256"];

#[test]
fn log_messages_are_documented_in_the_readme() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let measured = measure_table(&bin);
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for row in &measured {
        assert!(
            readme.contains(row),
            "README.md has to contain:\n{}",
            measured.join("\n")
        );
    }
}

fn measure_table(bin: &Path) -> Vec<String> {
    let pg_isready = bin.join("pg_isready").display().to_string();
    let pg_ready = env!("CARGO_BIN_EXE_pg-ready");
    let rows = [
        ("`pg_isready`, run by root", pg_isready.as_str(), ""),
        ("`pg-ready`, run by root", pg_ready, ""),
        ("`pg_isready -U app`", &pg_isready, "-U app -d postgres"),
        ("`pg-ready -U app`", pg_ready, "-U app -d postgres"),
        ("`pg_isready -U missing`", &pg_isready, "-U missing"),
        ("`pg-ready -U missing`", pg_ready, "-U missing"),
        (
            "`pg-ready -U app --check=login`",
            pg_ready,
            "-U app -d postgres --check=login",
        ),
        (
            "`pg-ready -U missing --check=login`",
            pg_ready,
            "-U missing -d postgres --check=login",
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
                .map(|server| logged_by(server, program, line))
                .collect();
            format!("| {name} | {} |", cells.join(" | "))
        })
        .collect()
}

/// Returns the messages that one run adds to the log.
fn logged_by(server: &Server, program: &str, line: &str) -> String {
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
    let start = ["FATAL:", "ERROR:", "LOG:"]
        .iter()
        .find_map(|kind| line.find(kind))?;
    Some(line[start..].replace(":  ", ": "))
}
