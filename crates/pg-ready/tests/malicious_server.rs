//! A malicious server cannot exceed the timeout, nor make a check allocate more than 64 KiB.
//!
//! A single test, because it measures the allocations of the whole process.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use peak_alloc::PeakAlloc;
use pg_ready::check::Check;
use pg_ready::{Request, State, check};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MAX_ALLOCATED_BYTES: usize = 64 * 1024;
/// Long enough for each reply of the scripts.
const TIMEOUT: Duration = Duration::from_millis(700);

/// Behavior of a listener for each connection.
struct Script {
    name: &'static str,
    /// `true` if it reads the startup packet before it writes.
    reads: bool,
    first: &'static [u8],
    /// Sent repeatedly until the client closes the connection.
    repeated: &'static [u8],
    /// Expected states without and with a check.
    states: [State; 2],
    /// Expected part of the reason with a check, which proves that the limit failed and not tokio-postgres, later.
    reason: &'static str,
}

const AUTHENTICATION_OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const SCRAM: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";

const SCRIPTS: &[Script] = &[
    Script {
        name: "sends nothing",
        reads: false,
        first: b"",
        repeated: b"",
        states: [State::Timeout, State::Timeout],
        reason: "",
    },
    Script {
        name: "speaks HTTP",
        reads: true,
        first: b"HTTP/1.1 400 Bad Request\r\n\r\n",
        repeated: b"",
        states: [State::Protocol, State::Protocol],
        reason: "",
    },
    Script {
        name: "sends zeros endlessly",
        reads: true,
        first: b"",
        repeated: &[0; 4096],
        states: [State::Protocol, State::Protocol],
        reason: "",
    },
    Script {
        name: "announces an error of 2 GiB",
        reads: true,
        first: b"E\x7f\xff\xff\xff",
        repeated: &[b'x'; 4096],
        states: [State::Protocol, State::Protocol],
        reason: "invalid length 2147483647",
    },
    Script {
        name: "sends an error that never ends",
        reads: true,
        first: b"E\0\0\x75\x30",
        repeated: &[b'x'; 4096],
        states: [State::Protocol, State::Protocol],
        reason: "",
    },
    Script {
        name: "announces a row of 2 GiB",
        reads: true,
        first: b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05ID\x7f\xff\xff\xff",
        repeated: &[b'x'; 4096],
        states: [State::Accepting, State::Protocol],
        reason: "invalid length 2147483647",
    },
    Script {
        name: "sends nothing after AuthenticationOk",
        reads: true,
        first: AUTHENTICATION_OK,
        repeated: b"",
        states: [State::Accepting, State::Timeout],
        reason: "",
    },
    Script {
        name: "reports parameters endlessly",
        reads: true,
        first: AUTHENTICATION_OK,
        repeated: b"S\0\0\0\x08a\0b\0S\0\0\0\x08c\0d\0",
        states: [State::Accepting, State::Protocol],
        reason: "messages other than rows",
    },
    Script {
        name: "sends notices endlessly",
        reads: true,
        first: AUTHENTICATION_OK,
        repeated: b"N\0\0\0\x0eSWARN\0Mx\0\0",
        states: [State::Accepting, State::Protocol],
        reason: "messages other than rows",
    },
    Script {
        name: "sends AuthenticationOk endlessly",
        reads: true,
        first: b"",
        repeated: AUTHENTICATION_OK,
        states: [State::Accepting, State::Protocol],
        reason: "",
    },
    Script {
        name: "requests two billion SCRAM iterations",
        reads: true,
        first: SCRAM,
        // The nonce is wrong as well, but the limit is checked first.
        repeated: b"R\0\0\0\x28\0\0\0\x0br=abcdef,s=c2FsdA==,i=2147483647",
        states: [State::Accepting, State::Protocol],
        reason: "2147483647 SCRAM iterations",
    },
];

fn serve(script: &'static Script) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            run_script(script, stream.unwrap());
        }
    });
    port
}

/// Serves one connection until the client closes it.
fn run_script(script: &Script, mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    if script.reads && stream.read(&mut buffer).unwrap_or(0) == 0 {
        return;
    }
    let mut closed = stream.write_all(script.first).is_err();
    while !closed && !script.repeated.is_empty() {
        closed = stream.write_all(script.repeated).is_err();
    }
    // Keeps the connection open until the client closes it.
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
}

#[test]
fn malicious_server_exceeds_neither_timeout_nor_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for script in SCRIPTS {
        let port = serve(script);
        for (checks, expected) in [
            Vec::new(),
            vec![Check::Login, Check::Query("SELECT 1".to_owned())],
        ]
        .into_iter()
        .zip(script.states)
        {
            let conninfo = format!("host=127.0.0.1 port={port} user=a password=b sslmode=disable");
            let request = Request::parse(&conninfo)
                .unwrap()
                .with_timeout(Some(TIMEOUT));
            let request = request.with_checks(checks.clone());
            ALLOCATOR.reset_peak_usage();
            let before = ALLOCATOR.current_usage();
            let report = runtime.block_on(check(&request));
            let allocated = ALLOCATOR.peak_usage() - before;
            assert_eq!(
                report.state, expected,
                "{} {checks:?}: {report:?}",
                script.name
            );
            if !checks.is_empty() {
                let reason = report.reason.as_deref().unwrap_or_default();
                assert!(reason.contains(script.reason), "{}: {reason}", script.name);
            }
            assert!(
                allocated <= MAX_ALLOCATED_BYTES,
                "{} {checks:?}: {allocated} bytes",
                script.name
            );
        }
    }
}
