//! A terminal for administrators: a second factor is enrolled, and keys that can manage keys are issued with its codes.
//!
//! ```sh
//! cargo run --example admin_console --features sqlite,totp -- --demo
//! KEYWARD_PEPPER=… cargo run --example admin_console --features sqlite,totp -- ana
//! ```
//!
//! The first shows everything in a second, in memory, with an authenticator app and a clock of its own. The second takes commands for the
//! administrator named, with a real app; `KEYWARD_PEPPER` is at least 32 random characters that seal the seed, and
//! `KEYWARD_DB` the file (`keyward.sqlite`).
#![allow(clippy::print_stdout, reason = "a terminal programme prints")]

mod console;
mod demo;
mod desk;

use std::error::Error;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let outcome = match argument.as_deref() {
        Some("--demo") => demo::run().await,
        Some(name) if !name.starts_with('-') => console::run(name).await,
        Some(_) | None => Err("usage: admin_console --demo | admin_console NAME".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", desk::with_causes(&*error as &dyn Error));
            ExitCode::FAILURE
        }
    }
}
