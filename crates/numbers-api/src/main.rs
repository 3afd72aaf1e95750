//! The program `numbers-api`.

use std::process::ExitCode;

fn main() -> ExitCode {
    numbers_api::program::main()
}
