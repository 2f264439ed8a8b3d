//! Runs the examples.

use std::{env, path::PathBuf, process::Command};

fn run(name: &str) {
    let test = env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    let mut example: PathBuf = folder.join("examples").join(name);
    example.set_extension(env::consts::EXE_EXTENSION);
    if !example.exists() {
        // Built by `cargo test`, but not by `cargo test --test examples`.
        let build = Command::new(env!("CARGO"))
            .args(["build", "--example", name])
            .status();
        assert!(build.unwrap().success());
    }
    let output = Command::new(example).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn exchange_succeeds() {
    run("exchange");
}

#[test]
fn middleware_succeeds() {
    run("middleware");
}
