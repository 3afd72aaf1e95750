//! The program `probe-sidecar`.

use std::process::ExitCode;

fn main() -> ExitCode {
    probe_sidecar::program::main()
}
