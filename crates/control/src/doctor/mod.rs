//! `nowire doctor`: what this machine offers, and what Nowire uses of it.

mod call;
mod cgroup;
mod finding;
mod limit;
mod need;
mod offer;
mod read;
mod runtime_dir;
mod table;

use clap::Args;
use serde::Serialize;

pub use self::finding::{Finding, Status};
use crate::terminal::{self, Terminal};

/// What `nowire doctor` can be told.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Whether Nowire can work here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has all it needs.
    Fit,
    /// Something it needs is missing.
    Unfit,
}

/// All findings, in the order of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Examination {
    /// Whether Nowire has all it needs.
    pub fit: bool,
    /// Version of this program.
    pub version: &'static str,
    /// What Nowire needs.
    pub needs: Vec<Finding>,
    /// What bounds it.
    pub limits: Vec<Finding>,
    /// What else there is.
    pub offers: Vec<Finding>,
}

impl Examination {
    /// Examines this machine as it is now; changes nothing that outlasts it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn now() -> Self {
        let mut needs = need::findings();
        needs.push(runtime_dir::finding());
        needs.push(call::finding().await);
        let fit = needs.iter().all(|need| need.status != Status::Missing);
        Self {
            fit,
            version: env!("CARGO_PKG_VERSION"),
            needs,
            limits: limit::findings(),
            offers: offer::findings(),
        }
    }
}

/// Examines this machine and prints what was found.
///
/// # Errors
/// If it cannot be printed.
pub async fn run(args: &DoctorArgs) -> anyhow::Result<Verdict> {
    let examination = Examination::now().await;
    let text = if args.json {
        serde_json::to_string_pretty(&examination)? + "\n"
    } else {
        table::render(&examination, &Terminal::detect(false))
    };
    terminal::print(&text)?;
    Ok(if examination.fit {
        Verdict::Fit
    } else {
        Verdict::Unfit
    })
}
