//! What a probe costs: beside a bare connect-write-read loop, many at a time, and while it waits.
//!
//! Ratios within one run mean something; times do not. The server is a process of its own, so that its work is not counted.

mod cost;
mod crowd;
mod grpc;
mod pg_ready;
mod server;

use std::io::Write as _;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => return server::serve(false),
        Some("serve-grpc") => return server::serve(true),
        None => {}
        Some(other) => anyhow::bail!("no argument {other:?}: it takes none"),
    }
    let health = grpc::start()?;
    let server = server::Server::start("serve")?;
    let mut out = std::io::stdout();
    for line in cost::measure(server.address, health.address)? {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{}", crowd::lateness(server.address)?)?;
    writeln!(out, "{}", crowd::memory(server.address)?)?;
    for line in pg_ready::measure()? {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
