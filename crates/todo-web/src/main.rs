//! The program `todo-web`.

use std::process::ExitCode;

/// A page of a hundred items needs some hundred small allocations, for which the C library's allocator takes a fifth of the
/// request's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    todo_web::program::main()
}
