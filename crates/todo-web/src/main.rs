//! The program `todo-web`.

use std::process::ExitCode;

/// A page of a hundred items is some hundred small pieces of memory, and the C library's allocator takes a fifth of the time
/// of the whole request for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    todo_web::program::main()
}
