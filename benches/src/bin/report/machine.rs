//! What the figures were taken on, and with.

use std::{fs, process::Command, thread};

use serde::{Deserialize, Serialize};

/// A machine.
#[derive(Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
    pub(crate) rustc: String,
    /// What else was going on.
    pub(crate) load: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|info| {
            let line = info.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        let load = fs::read_to_string("/proc/loadavg").ok();
        let load = load.and_then(|load| Some(load.split_whitespace().next()?.to_owned()));
        Self {
            cpu: cpu.unwrap_or_else(|| "unknown CPU".into()),
            cores: thread::available_parallelism().map_or(0, usize::from),
            system: output("uname", &["-srm"]),
            rustc: output("rustc", &["--version"]),
            load: load.unwrap_or_else(|| "unknown".into()),
        }
    }
}

/// What a program prints; that it cannot be run is no reason to stop.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// The versions of a package in a lock file.
pub(crate) fn versions(lock: &str, package: &str) -> String {
    let name = format!("name = \"{package}\"");
    let lines: Vec<&str> = lock.lines().collect();
    let versions: Vec<&str> = lines
        .windows(2)
        .filter(|pair| pair[0] == name)
        .filter_map(|pair| pair[1].strip_prefix("version = \"")?.strip_suffix('"'))
        .collect();
    versions.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::versions;

    #[test]
    fn versions_are_read_from_a_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"a\"\nversion = \"2.1.0\"\n";
        assert_eq!(versions(lock, "a"), "1.0.0 and 2.1.0");
        assert_eq!(versions(lock, "b"), "");
    }
}
