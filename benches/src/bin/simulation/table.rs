//! What came of both weeks, side by side.

use std::fmt::Write as _;

use crate::{policy::NAMES, tally::Tally};

pub(crate) fn of(tallies: &[Tally; 2]) -> String {
    let whole = |of: fn(&Tally) -> u64| tallies.each_ref().map(|tally| of(tally).to_string());
    let fraction =
        |of: fn(&Tally) -> f64| tallies.each_ref().map(|tally| format!("{:.2}", of(tally)));
    let rows = [
        ("calls of the token endpoint", whole(Tally::calls)),
        ("- gave new tokens", whole(|it| it.refreshed)),
        ("- turned away (429)", whole(|it| it.throttled)),
        ("- failed (503)", whole(|it| it.server_fault)),
        ("- not sent (no connection)", whole(|it| it.not_sent)),
        ("- invalid_grant", whole(|it| it.invalid_grant)),
        ("calls a minute, mean", fraction(Tally::mean)),
        ("calls a minute, peak", whole(|it| it.peak().into())),
        (
            "peak to mean",
            fraction(|it| f64::from(it.peak()) / it.mean()),
        ),
        ("refreshed tokens that nobody used", whole(|it| it.unused)),
        ("uses of a session", whole(|it| it.uses)),
        ("- got a token at once", whole(|it| it.at_once)),
        ("- waited for one", whole(|it| it.waited)),
        ("- failed, to be tried later", whole(|it| it.failed)),
        ("wait, mean, seconds", fraction(Tally::mean_wait)),
        (
            "wait, longest, seconds",
            fraction(|it| it.longest_wait.as_secs_f64()),
        ),
        ("access tokens refused early (401)", whole(|it| it.refused)),
        (
            "authorized again: had taken the grant back",
            whole(|it| it.revoked),
        ),
        (
            "authorized again: refresh token still worked",
            whole(|it| it.lost_good_grants),
        ),
    ];
    let mut table = String::new();
    let mut line = |name: &str, [ours, naive]: [&str; 2]| {
        writeln!(table, "| {name:<44} | {ours:>14} | {naive:>14} |").expect("a string takes all");
    };
    line("", NAMES);
    line("---", ["--:", "--:"]);
    for (name, [ours, naive]) in &rows {
        line(name, [ours, naive]);
    }
    table
}
