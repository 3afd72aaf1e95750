//! Log messages that a check causes on the server: measures the table of README.md.

use super::*;

/// Rules of `pg_hba.conf` for TCP, the columns of the table: kind, method, and the server's settings.
const RULES: [(&str, &str, &str); 5] = [
    ("host", "trust", ""),
    ("host", "password", ""),
    ("host", "scram-sha-256", ""),
    ("hostssl", "scram-sha-256", "ssl = on\n"),
    (
        "hostssl",
        "cert clientcert=verify-full",
        "ssl = on\nssl_ca_file = 'server.crt'\n",
    ),
];

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
        (
            "`pg-ready -U app --output=json`",
            pg_ready,
            "-U app -d postgres --output=json",
        ),
        (
            "`pg_isready -U app -d missing`",
            &pg_isready,
            "-U app -d missing",
        ),
        (
            "`pg-ready -U app -d missing`",
            pg_ready,
            "-U app -d missing",
        ),
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
    let authority = tls::Authority::new();
    let (certificate, key) = authority.issue("localhost");
    let servers = RULES.map(|(kind, method, settings)| {
        let hba = format!("local all all trust\n{kind} all all 127.0.0.1/32 {method}\n");
        let server = Server::prepare(bin, settings).with_hba(&hba);
        let server = server
            .with_file("server.crt", &certificate)
            .with_file("server.key", &key)
            .started();
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
