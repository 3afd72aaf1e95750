//! What answers may be anything: it is given no more than its time, and no more than 64 KiB.
//!
//! One test, for it measures what the whole process holds.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use peak_alloc::PeakAlloc;
use pg_ready::check::Check;
use pg_ready::state::State;
use pg_ready::{Request, probe};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MOST: usize = 64 * 1024;
/// Long enough for every answer that comes at all.
const TIME: Duration = Duration::from_millis(700);

/// What a listener does with everyone who comes.
struct Script {
    name: &'static str,
    /// Whether it waits for a hello.
    reads: bool,
    first: &'static [u8],
    /// Again and again, until nobody takes it any more.
    then: &'static [u8],
    /// Without a check, and with one.
    states: [State; 2],
    /// Part of the reason with a check: who stopped it, where a library would have failed for another reason, later.
    says: &'static str,
}

const ENTER: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const SCRAM: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";

const SCRIPTS: &[Script] = &[
    Script {
        name: "never answers",
        reads: false,
        first: b"",
        then: b"",
        states: [State::Timeout, State::Timeout],
        says: "",
    },
    Script {
        name: "speaks another protocol",
        reads: true,
        first: b"HTTP/1.1 400 Bad Request\r\n\r\n",
        then: b"",
        states: [State::Protocol, State::Protocol],
        says: "",
    },
    Script {
        name: "sends zeros for ever",
        reads: true,
        first: b"",
        then: &[0; 4096],
        states: [State::Protocol, State::Protocol],
        says: "",
    },
    Script {
        name: "announces an error of two gigabytes",
        reads: true,
        first: b"E\x7f\xff\xff\xff",
        then: &[b'x'; 4096],
        states: [State::Protocol, State::Protocol],
        says: "impossible length of 2147483647",
    },
    Script {
        name: "never ends its error",
        reads: true,
        first: b"E\0\0\x75\x30",
        then: &[b'x'; 4096],
        states: [State::Protocol, State::Protocol],
        says: "",
    },
    Script {
        name: "announces a row of two gigabytes",
        reads: true,
        first: b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05ID\x7f\xff\xff\xff",
        then: &[b'x'; 4096],
        states: [State::Accepting, State::Protocol],
        says: "impossible length of 2147483647",
    },
    Script {
        name: "lets in and says no more",
        reads: true,
        first: ENTER,
        then: b"",
        states: [State::Accepting, State::Timeout],
        says: "",
    },
    Script {
        name: "reports parameters for ever",
        reads: true,
        first: ENTER,
        then: b"S\0\0\0\x08a\0b\0S\0\0\0\x08c\0d\0",
        states: [State::Accepting, State::Protocol],
        says: "messages besides rows",
    },
    Script {
        name: "sends notices for ever",
        reads: true,
        first: ENTER,
        then: b"N\0\0\0\x0eSWARN\0Mx\0\0",
        states: [State::Accepting, State::Protocol],
        says: "messages besides rows",
    },
    Script {
        name: "lets in for ever",
        reads: true,
        first: b"",
        then: ENTER,
        states: [State::Accepting, State::Protocol],
        says: "",
    },
    Script {
        name: "wants a password hashed two billion times",
        reads: true,
        first: SCRAM,
        // The challenge is no continuation of our nonce, and the count is looked at first.
        then: b"R\0\0\0\x28\0\0\0\x0br=abcdef,s=c2FsdA==,i=2147483647",
        states: [State::Accepting, State::Protocol],
        says: "a password hash of 2147483647 rounds",
    },
];

fn serve(script: &'static Script) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            play(script, stream.unwrap());
        }
    });
    port
}

/// The listener plays to one visitor at a time, until that one leaves.
fn play(script: &Script, mut stream: TcpStream) {
    let mut hello = [0; 1024];
    if script.reads && stream.read(&mut hello).unwrap_or(0) == 0 {
        return;
    }
    let mut left = stream.write_all(script.first).is_err();
    while !left && !script.then.is_empty() {
        left = stream.write_all(script.then).is_err();
    }
    // Whoever sends no more waits for the other to leave.
    while stream.read(&mut hello).is_ok_and(|count| count > 0) {}
}

#[test]
fn a_hostile_server_gets_neither_more_time_nor_more_memory() {
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
            let request = Request::parse(&conninfo).unwrap().with_timeout(Some(TIME));
            let request = request.with_checks(checks.clone());
            ALLOCATOR.reset_peak_usage();
            let before = ALLOCATOR.current_usage();
            let report = runtime.block_on(probe(&request));
            let held = ALLOCATOR.peak_usage() - before;
            assert_eq!(
                report.state, expected,
                "{} {checks:?}: {report:?}",
                script.name
            );
            if !checks.is_empty() {
                let reason = report.reason.as_deref().unwrap_or_default();
                assert!(reason.contains(script.says), "{}: {reason}", script.name);
            }
            assert!(held <= MOST, "{} {checks:?}: {held} bytes", script.name);
        }
    }
}
