//! Runs the benches, and prints their tables in Markdown.
//!
//! ```text
//! cargo run --release -p dropbox-sign-oauth-benches --bin report [STEP…] >report.md
//! ```
//!
//! The steps are `instructions`, `cpu`, `allocations`, `growth`, `loopback`, `simulation` and
//! `weight`, by default all of them.

use std::{
    collections::HashMap,
    env, fs,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use dropbox_sign_oauth_benches::{
    BoxError, bodies, fixture, ours, peer,
    table::{self, number},
    work::{self, SUBJECTS},
};
use serde_json::Value;

/// A value of each piece of work and subject.
type Values = HashMap<(String, String), f64>;

/// The name of a step, and the function that prints its tables.
type Step = (&'static str, fn() -> Result<(), BoxError>);

const STEPS: [Step; 7] = [
    ("instructions", instructions),
    ("cpu", cpu),
    ("allocations", || bench("allocations")),
    ("growth", || bench("growth")),
    ("loopback", || bench("loopback")),
    ("simulation", simulation),
    ("weight", || run(Command::new(package().join("weight.sh")))),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|wanted| STEPS.iter().all(|(name, _)| name != wanted))
    {
        eprintln!("error: no step is named {unknown}");
        return ExitCode::from(2);
    }
    println!("{}", machine());
    for (name, step) in STEPS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("{name}");
            if let Err(error) = step() {
                eprintln!("error: {name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Returns the machine, the compiler and the load.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let mut lines = info.lines();
    let cpu = lines.find_map(|line| line.strip_prefix("model name	: "));
    let cpu = cpu.unwrap_or("unknown CPU");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = text(Command::new("rustc").arg("--version")).unwrap_or_default();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let rustc = rustc.trim();
    format!("{cpu}, {cores} cores, {rustc}, load average {load}")
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command whose output is a table.
fn run(mut command: Command) -> Result<(), BoxError> {
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(status.to_string().into()),
    }
}

/// Returns the output of a command.
fn text(command: &mut Command) -> Result<String, BoxError> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(output.status.to_string().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn cargo_bench(name: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(package()).args(["bench", "--quiet", "--bench", name]);
    command
}

fn bench(name: &str) -> Result<(), BoxError> {
    run(cargo_bench(name))
}

fn simulation() -> Result<(), BoxError> {
    run(Command::new(env::current_exe()?.with_file_name("simulation")))
}

fn instructions() -> Result<(), BoxError> {
    let lines = text(&mut Command::new(package().join("instructions.sh")))?;
    let mut counts = Values::new();
    for line in lines.lines() {
        let [work, subject, count] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("not a count: {line}").into());
        };
        counts.insert((work.into(), subject.into()), count.parse()?);
    }
    print_work("Instructions", &counts);
    let count = |work: &str, subject: &str| {
        let count = counts.get(&(work.into(), subject.into()));
        count.copied().unwrap_or(f64::NAN)
    };
    #[expect(clippy::cast_precision_loss, reason = "a body is short")]
    let per_byte = |count: f64, size: usize| number(count / size as f64, 1);
    let documented = per_byte(count(work::PARSE, ours::NAME), fixture::TOKENS.len());
    let build = count(work::BUILD, peer::NAME);
    let rows = bodies::KINDS.map(|(kind, _)| {
        let size = work::body(kind).size();
        [
            kind.into(),
            per_byte(count(kind, ours::NAME), size),
            per_byte(count(kind, peer::NAME) - build, size),
        ]
    });
    let documented = ["documented response".into(), documented, "–".into()];
    let title = "Instructions for a byte of a body of 64 KiB";
    let head = "body | ours | oauth2";
    table::print(title, head, [documented].into_iter().chain(rows));
    Ok(())
}

fn cpu() -> Result<(), BoxError> {
    let home = env::current_exe()?.with_file_name("criterion");
    text(cargo_bench("cpu").env("CRITERION_HOME", &home))?;
    let mut times = Values::new();
    for work in work::ALL {
        for subject in SUBJECTS {
            let path = home.join(work).join(subject).join("new/estimates.json");
            // A subject may lack a piece of work.
            if let Ok(json) = fs::read(path) {
                let estimates: Value = serde_json::from_slice(&json)?;
                let median = estimates["median"]["point_estimate"].as_f64();
                times.insert((work.into(), subject.into()), median.ok_or("no median")?);
            }
        }
    }
    print_work("Time in nanoseconds", &times);
    Ok(())
}

/// Prints the values of [`work::ALL`], with the ratios.
fn print_work(title: &str, values: &Values) {
    let rows = work::ALL.map(|work| {
        let value = |subject: &str| values.get(&(work.into(), subject.into()));
        let [ours, oauth2, by_hand] =
            SUBJECTS.map(|subject| value(subject).copied().unwrap_or(f64::NAN));
        let ratios = [oauth2, by_hand].map(|value| number(ours / value, 2));
        let [ours, oauth2, by_hand] = [ours, oauth2, by_hand].map(|value| number(value, 0));
        let [to_oauth2, to_by_hand] = ratios;
        [work.into(), ours, oauth2, by_hand, to_oauth2, to_by_hand]
    });
    let head = "work | ours | oauth2 | by hand | ours / oauth2 | ours / by hand";
    table::print(title, head, rows);
}
