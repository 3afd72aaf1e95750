//! The program `todo-db`.

use std::process::ExitCode;

fn main() -> ExitCode {
    todo_db::program::main()
}
