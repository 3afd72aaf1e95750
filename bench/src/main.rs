//! Measures probes, PostgreSQL checks, the to-do list and the sidecar beside named peers.
//!
//! Only ratios within one run are meaningful; times are not. The probed server is a separate process, so that its work is not counted.

mod cost;
mod grpc;
mod many_probes;
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
            "unknown argument {other:?}: pg-ready, todo-web or sidecar measures one of them; without an argument everything is measured"
        ),
    }
    let health = grpc::start()?;
    let server = server::Server::start("serve")?;
    print_all(&cost::measure(server.address, health.address)?)?;
    print(&many_probes::measure_delays(server.address)?)?;
    print(&many_probes::measure_memory(server.address)?)?;
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
