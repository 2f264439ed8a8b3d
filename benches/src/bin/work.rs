//! Does one piece of work many times, so that `instructions.sh` can count its instructions.
//!
//! ```text
//! work                     prints the work and subject of every piece
//! work WORK SUBJECT TIMES  does one piece
//! ```

use std::{env, process::ExitCode};

use dropbox_sign_oauth_benches::work::{self, Meter};

/// Does the piece of work that is asked for, or prints the names of all.
struct Runner {
    wanted: Option<(String, String, u32)>,
    found: bool,
}

impl Meter for Runner {
    fn measure<I>(
        &mut self,
        work: &'static str,
        subject: &'static str,
        setup: impl Fn() -> I,
        routine: impl Fn(I),
    ) {
        let Some((wanted, by, times)) = &self.wanted else {
            println!("{work}\t{subject}");
            return;
        };
        if (wanted.as_str(), by.as_str()) != (work, subject) {
            return;
        }
        self.found = true;
        for _ in 0..*times {
            counted_by_callgrind(&routine, setup());
        }
    }
}

/// Runs `routine`. Callgrind counts the instructions between the call and the return.
#[inline(never)]
fn counted_by_callgrind<I>(routine: &impl Fn(I), input: I) {
    routine(input);
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let wanted = match &arguments[..] {
        [] => None,
        [work, subject, times] => {
            times.parse().ok().map(|times| (work.clone(), subject.clone(), times))
        }
        _ => return ExitCode::from(2),
    };
    let mut runner = Runner { found: wanted.is_none(), wanted };
    work::measure_all(&mut runner);
    work::measure_bodies(&mut runner);
    if runner.found { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
