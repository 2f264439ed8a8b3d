//! Runs every bench, and writes `benches/REPORT.md` and its plots.
//!
//! ```text
//! cargo run --release -p dropbox-sign-oauth-benches --bin report [STEP…]
//! ```
//!
//! Without a step all are run; with `render`, none: the report is written from what was measured
//! before.

mod data;
mod goals;
mod machine;
mod markdown;
mod plots;
mod run;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use dropbox_sign_oauth_benches::BoxError;

use crate::data::Data;

fn main() -> Result<(), BoxError> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let results = results()?;
    fs::create_dir_all(&results)?;
    let steps: Vec<String> = env::args().skip(1).collect();
    run::steps(&steps, package, &results)?;

    let data = Data::load(&results)?;
    let plots = package.join("plots");
    fs::create_dir_all(&plots)?;
    plots::draw(&data, &plots)?;
    let report = markdown::report(&data, package)?;
    let path = package.join("REPORT.md");
    fs::write(&path, report)?;
    println!("{} is written", path.display());
    Ok(())
}

/// Where the benches leave their results: beside this program, in the build directory.
fn results() -> Result<PathBuf, BoxError> {
    Ok(env::current_exe()?.with_file_name("dropbox-sign-oauth-report"))
}
