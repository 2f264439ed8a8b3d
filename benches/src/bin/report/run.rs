//! Builds the benches, and runs each as a program of its own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dropbox_sign_oauth_benches::BoxError;
use serde::Deserialize;

use crate::{data, machine::Machine};

/// Writes the report from what there is.
const RENDER: &str = "render";
const WEIGHT: &str = "weight";
/// Criterion's, which saves by itself.
const CPU: &str = "cpu";
const BENCHES: [&str; 4] = [CPU, "allocations", "growth", "loopback"];

/// Runs the named steps, or all.
pub(crate) fn steps(names: &[String], package: &Path, results: &Path) -> Result<(), BoxError> {
    let known = BENCHES.iter().chain([&WEIGHT, &RENDER]);
    if let Some(unknown) = names
        .iter()
        .find(|name| !known.clone().any(|it| it == name))
    {
        let known: Vec<&str> = known.copied().collect();
        return Err(format!("no step is called {unknown}: {}", known.join(", ")).into());
    }
    let wanted = |step: &str| names.is_empty() || names.iter().any(|name| name == step);
    let machine = Machine::this();
    let benches: Vec<&str> = BENCHES.into_iter().filter(|bench| wanted(bench)).collect();
    if !benches.is_empty() {
        // Built before anything is measured.
        let programs = programs(package)?;
        for bench in benches {
            run_bench(bench, &programs, package, results)?;
        }
    }
    if wanted(WEIGHT) {
        println!("weight: cold builds, which take minutes");
        let output = Command::new("bash")
            .arg(package.join("weight.sh"))
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("weight.sh: {}", output.status).into());
        }
        fs::write(results.join(data::WEIGHT), output.stdout)?;
    }
    if !wanted(RENDER) || names.is_empty() {
        let machine = serde_json::to_vec_pretty(&machine)?;
        fs::write(results.join(data::MACHINE), machine)?;
    }
    Ok(())
}

/// A line of cargo's messages, as far as it is read.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds the benches: their names and programs.
fn programs(package: &Path) -> Result<Vec<(String, PathBuf)>, BoxError> {
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .current_dir(package)
        .args(["bench", "--package", env!("CARGO_PKG_NAME"), "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the benches were not built: {}", output.status).into());
    }
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let programs = messages.filter_map(|line| {
        let message: Message = serde_json::from_slice(line).ok()?;
        let target = message.target?;
        let is_bench = target.kind.iter().any(|kind| kind == "bench");
        is_bench.then_some((target.name, message.executable?))
    });
    Ok(programs.collect())
}

fn run_bench(
    bench: &str,
    programs: &[(String, PathBuf)],
    package: &Path,
    results: &Path,
) -> Result<(), BoxError> {
    let (_, program) = programs
        .iter()
        .find(|(name, _)| name == bench)
        .ok_or_else(|| format!("cargo built no bench {bench}"))?;
    println!("{bench}:");
    let mut command = Command::new(program);
    command
        .current_dir(package)
        .arg("--bench")
        .env("CRITERION_HOME", results.join(data::CRITERION));
    if bench != CPU {
        let path = results.join(format!("{bench}.json"));
        command.arg("--save").arg(path);
    }
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("bench {bench}: {status}").into())
    }
}
