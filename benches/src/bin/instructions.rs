//! Counts the instructions of each piece of work with callgrind, and prints the tables.
//!
//! ```text
//! cargo run --release -p dropbox-sign-oauth-benches --bin instructions
//! ```
//!
//! Needs valgrind, which runs this program again for each piece of work.

use std::{env, fs, hint::black_box, process::Command};

use dropbox_sign_oauth_benches::{
    BoxError,
    bodies::{Body, KINDS, LENGTHS},
    fixture, ours, peer,
    table::{self, Values, number},
    work::{self, Meter},
};

/// The times a piece of work is done before it is counted, which leaves out what is done only once.
const WARM_UP: u32 = 2;

/// The times it is counted.
const TIMES: u32 = 10;

/// Does one piece of work.
struct Runner {
    work: String,
    subject: String,
}

impl Meter for Runner {
    fn measure<I>(&mut self, work: &str, by: &'static str, new: impl Fn() -> I, run: impl Fn(I)) {
        if (self.work.as_str(), self.subject.as_str()) == (work, by) {
            (0..WARM_UP).for_each(|_| run(new()));
            (0..TIMES).for_each(|_| counted_by_callgrind(&run, new()));
        }
    }
}

/// Runs `routine`. Callgrind counts the instructions between the call and the return.
#[inline(never)]
fn counted_by_callgrind<I>(routine: &impl Fn(I), input: I) {
    black_box(routine)(input);
}

/// Counts each piece of work by a [`Runner`] in valgrind.
struct Counter(Values);

impl Meter for Counter {
    fn measure<I>(&mut self, work: &str, by: &'static str, _: impl Fn() -> I, _: impl Fn(I)) {
        let count = count(work, by).expect("valgrind counts");
        self.0.insert((work.into(), by), count / f64::from(TIMES));
    }
}

fn count(work: &str, subject: &str) -> Result<f64, BoxError> {
    let program = env::current_exe()?;
    let out = program.with_extension("callgrind");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--toggle-collect=*counted_by_callgrind*"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    let status = valgrind.arg(program).args([work, subject]).status()?;
    let counts = fs::read_to_string(out)?;
    let totals = counts.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.filter(|_| status.success()).ok_or("no totals")?.trim().parse().map_err(Into::into)
}

fn main() {
    if let [work, subject] = &env::args().skip(1).collect::<Vec<_>>()[..] {
        let mut runner = Runner { work: work.clone(), subject: subject.clone() };
        work::measure_all(&mut runner);
        return work::measure_bodies(&mut runner);
    }
    let mut counter = Counter(Values::new());
    work::measure_all(&mut counter);
    work::measure_bodies(&mut counter);
    let counts = counter.0;
    table::print_work("Instructions", &counts);

    let count = |work: &str, subject| counts[&(work.into(), subject)];
    #[expect(clippy::cast_precision_loss, reason = "a body is short")]
    let per_byte = |count: f64, size: usize| number(count / size as f64, 1);
    // `oauth2` builds its request as well.
    let build = count(work::BUILD, peer::NAME);
    let rows = KINDS.map(|(kind, _)| {
        let per_byte = |subject, built| {
            LENGTHS.map(|len| {
                let body = Body::new(kind, len);
                per_byte(count(body.name(), subject) - built, body.size())
            })
        };
        let [ours, oauth2] = [per_byte(ours::NAME, 0.0), per_byte(peer::NAME, build)];
        [vec![kind.into()], ours.into(), oauth2.into()].concat()
    });
    let head = "body | ours, 300 bytes | 4 KiB | 64 KiB | oauth2, 300 bytes | 4 KiB | 64 KiB";
    table::print("Instructions for a byte of the body", head, rows);
    let documented = per_byte(count(work::PARSE, ours::NAME), fixture::TOKENS.len());
    println!("\nThe documented response takes {documented} instructions for a byte.");
}
