//! What a probe costs: beside a bare connect-write-read loop, many at a time, and while it waits. What the to-do list costs
//! on top of its database.
//!
//! Ratios within one run mean something; times do not. The server is a process of its own, so that its work is not counted.

mod cost;
mod crowd;
mod grpc;
mod pg_ready;
mod server;
mod sidecar;
mod todo;

use std::io::Write as _;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => return server::serve(false),
        Some("serve-grpc") => return server::serve(true),
        Some("pg-ready") => return print_all(&pg_ready::measure()?),
        Some("todo-web") => return print_all(&todo::measure()?),
        Some("sidecar") => return sidecar::measure(&mut print),
        None => {}
        Some(other) => anyhow::bail!(
            "no argument {other:?}: it takes none, or pg-ready, todo-web or sidecar for that alone"
        ),
    }
    let health = grpc::start()?;
    let server = server::Server::start("serve")?;
    print_all(&cost::measure(server.address, health.address)?)?;
    print(&crowd::lateness(server.address)?)?;
    print(&crowd::memory(server.address)?)?;
    print_all(&pg_ready::measure()?)?;
    print_all(&todo::measure()?)?;
    sidecar::measure(&mut print)
}

fn print_all(lines: &[String]) -> anyhow::Result<()> {
    lines.iter().try_for_each(|line| print(line))
}

fn print(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
