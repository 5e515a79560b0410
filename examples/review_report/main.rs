//! A month of a service's keys, reviewed: tables on the terminal, and one page to send around.
//!
//! `cargo run --example review_report --features sqlite,testing -- report.html`
//!
//! The month is simulated on a clock that the example moves, with a SQLite store and a JSON Lines trail in a temporary
//! folder. What the tables and the page say is read back from those two, as a report over your own would be: take
//! `figures.rs`, `page.rs` and `chart.rs`, and leave `month.rs` behind.
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

mod chart;
mod figures;
mod month;
mod page;
mod reviews;
mod table;
mod text;

use std::path::PathBuf;

use figures::Figures;
use keyward::BoxError;
use reviews::Reviews;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let page = std::env::args_os().nth(1);
    let page = page.map_or_else(|| PathBuf::from("review_report.html"), PathBuf::from);
    let folder = tempfile::tempdir()?;

    let month = month::simulate(folder.path()).await?;
    let figures = Figures::read(&month.trail)?;
    let reviews = Reviews::read(&month.service, &month.admin).await?;
    month.service.shutdown().await?;

    println!("{}", table::render(&figures, &reviews));
    println!("{}", month.happened);
    std::fs::write(&page, page::render(&figures, &reviews))?;
    println!("page: {}", page.display());
    Ok(())
}
