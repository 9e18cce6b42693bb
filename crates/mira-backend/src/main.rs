//! `mira-backend`: see `mira_backend::cli` for the commands.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    mira_backend::cli::main()
}
