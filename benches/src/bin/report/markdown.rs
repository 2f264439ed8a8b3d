//! The report as text.

use std::{
    fmt::{self, Write as _},
    fs,
    path::Path,
};

use dropbox_sign_oauth_benches::{
    BoxError, by_hand, ours, peer,
    results::{Load, Round, median},
    work,
};

use crate::{
    data::{self, Data, HONEST, Setup},
    goals::{self, Bound},
    machine, plots,
};

/// The packages whose versions are told.
const PACKAGES: [&str; 11] = [
    "dropbox-sign-oauth",
    "oauth2",
    "reqwest",
    "hyper",
    "hyper-util",
    "ureq",
    "rustls",
    "tokio",
    "serde_json",
    "base64",
    "criterion",
];

pub(crate) fn report(data: &Data, package: &Path) -> Result<String, BoxError> {
    let mut out = String::new();
    let lock = fs::read_to_string(package.join("../Cargo.lock")).unwrap_or_default();
    introduction(&mut out, data, &lock)?;
    goals(&mut out, data)?;
    cpu(&mut out, data)?;
    growth(&mut out, data)?;
    loopback(&mut out, data)?;
    weight(&mut out, data)?;
    Ok(out)
}

fn introduction(out: &mut String, data: &Data, lock: &str) -> fmt::Result {
    let machine = &data.machine;
    writeln!(
        out,
        "# What it costs\n\n\
         Made by `cargo run --release -p dropbox-sign-oauth-benches --bin report`; do not edit it. \
         The figures of a section are of one run on one machine: the ratios carry over to others, \
         the times do not.\n\n\
         Machine: {}, {} cores, {}. {}. Load average when the run began: {}.",
        machine.cpu, machine.cores, machine.system, machine.rustc, machine.load
    )?;
    let versions: Vec<String> = PACKAGES
        .iter()
        .map(|package| format!("{package} {}", machine::versions(lock, package)))
        .collect();
    writeln!(out, "\nVersions: {}.\n", versions.join(", "))
}

fn goals(out: &mut String, data: &Data) -> fmt::Result {
    let goals = goals::all(data);
    let met = goals.iter().filter(|goal| goal.is_met()).count();
    writeln!(out, "## Goals\n\n{met} of {} are met.\n", goals.len())?;
    writeln!(out, "| work | against | goal | measured | |")?;
    writeln!(out, "| --- | --- | --- | --- | --- |")?;
    for goal in &goals {
        let bound = match goal.bound {
            Bound::AtMost(bound) => format!("{bound} or less"),
            Bound::AtLeast(bound) => format!("{bound} or more"),
        };
        let verdict = if goal.is_met() { "met" } else { "**missed**" };
        let measured = if goal.measured.fract() == 0.0 {
            format!("{}", goal.measured)
        } else {
            format!("{:.2}", goal.measured)
        };
        writeln!(
            out,
            "| {} | {} | {bound} | {measured} | {verdict} |",
            goal.work, goal.against
        )?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "The two rows of the hostile body are two readings of one goal. The first asks what a hostile \
         server can cost for each byte that it sends, beside one that answers as documented. The \
         second asks for the same against a body as long as the limit whose length is that of its \
         tokens: those are read eight bytes at a time, and names and values of a few bytes cannot \
         be. Any body is read once where it has tokens. A 200 without one is read again for an \
         error in their place, and for its reasons, and an error that is an object by itself: what \
         that costs is the price of reading without building anything, and it is paid where there \
         are no tokens to be had.\n\n\
         Times swing with the machine: how far the rounds of one load lie apart stands in brackets \
         below, and criterion measures one subject after another, so that a slow minute falls on \
         one of them.\n"
    )?;
    Ok(())
}

fn cpu(out: &mut String, data: &Data) -> fmt::Result {
    writeln!(
        out,
        "## CPU and allocations\n\n\
         No IO: a request is built, and a ready response parsed. oauth2 has a client that only \
         hands that response out, and is given the parameters that the service asks for; *by hand* \
         is `serde_json` and `base64` without the checks, as people write it. Making the response \
         and the code is left out, dropping what comes of them is not. oauth2's parsing is not to \
         be had without its building, and it keeps no tokens that could be polled for.\n\n\
         ![Time of each piece of work]({})\n",
        plots::CPU
    )?;
    writeln!(
        out,
        "| work | ours, ns | oauth2, ns | by hand, ns | ours / oauth2 | ours / by hand | \
         allocations: ours | oauth2 | by hand |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: |"
    )?;
    for work in work::ALL {
        let [ours, oauth2, by_hand] =
            [ours::NAME, peer::NAME, by_hand::NAME].map(|subject| data.nanos(work, subject));
        let count = |subject| {
            data.allocations(work, subject)
                .map_or_else(|| "–".into(), |row| row.count.to_string())
        };
        writeln!(
            out,
            "| {work} | {} | {} | {} | {} | {} | {} | {} | {} |",
            number(ours, 0),
            number(oauth2, 0),
            number(by_hand, 0),
            number(ours / oauth2, 2),
            number(ours / by_hand, 2),
            count(ours::NAME),
            count(peer::NAME),
            count(by_hand::NAME),
        )?;
    }
    writeln!(out)
}

fn growth(out: &mut String, data: &Data) -> fmt::Result {
    writeln!(
        out,
        "## Growth\n\n\
         Nanoseconds to parse each byte of a response, from an honest length to the limit. Linear \
         is a line of numbers that do not rise. The honest body is long by its tokens \
         alone.\n\n\
         ![Time for each byte]({})\n",
        plots::GROWTH
    )?;
    let lengths: Vec<usize> = data
        .growth
        .iter()
        .filter(|row| row.kind == HONEST)
        .map(|row| row.len)
        .collect();
    write!(out, "| body |")?;
    for len in &lengths {
        write!(out, " {len} bytes |")?;
    }
    writeln!(out, " to the honest one at the limit |")?;
    writeln!(out, "| --- |{}", " --: |".repeat(lengths.len() + 1))?;
    for kind in data.kinds() {
        write!(out, "| {kind} |")?;
        for row in data.growth.iter().filter(|row| row.kind == kind) {
            write!(out, " {:.2} |", data::per_byte(row))?;
        }
        let ratio = data.per_byte_at_limit(kind) / data.per_byte_at_limit(HONEST);
        writeln!(out, " {ratio:.2} |")?;
    }
    writeln!(out)
}

fn loopback(out: &mut String, data: &Data) -> fmt::Result {
    writeln!(
        out,
        "## Loopback\n\n\
         One server for all, in a process of its own, that does as little as HTTP allows. The \
         async clients share one thread, so that of two cores the server has the other. Clients \
         take turns in rounds; a ratio is the median of the rounds' ratios, and in brackets are the \
         lowest and the highest. On kept connections everybody refreshes, on fresh ones everybody \
         exchanges a code: our adapters let no code ride on a kept connection. The bare clients \
         have no deadline (but for the one that says so), no limit for the body and no checks.\n\n\
         ![Exchanges per second]({})\n",
        plots::LOOPBACK
    )?;
    let setups = data.setups();
    for (title, ours, theirs) in [
        (
            "Async",
            data::HYPER,
            &[data::BARE_HYPER, data::OAUTH2_REQWEST, data::RAW][..],
        ),
        (
            "Blocking",
            data::UREQ,
            &[data::BARE_UREQ, data::BARE_UREQ_DEADLINE],
        ),
    ] {
        writeln!(
            out,
            "### {title}\n\n\
             | | in flight | client | per second | median, µs | p99, µs | rate: ours to it | p99: \
             ours to it |\n\
             | --- | --: | --- | --: | --: | --: | --: | --: |"
        )?;
        for setup in &setups {
            for subject in [ours].iter().chain(theirs) {
                let Some(load) = data.load_of(setup, subject) else {
                    continue;
                };
                let of_round = |of: fn(&Round) -> f64| median(load.rounds.iter().map(of));
                let [rate, p99]: [fn(&Round) -> f64; 2] = [|round| round.rate, |round| round.p99];
                let (rates, p99s) = if *subject == ours {
                    (String::new(), String::new())
                } else {
                    (
                        spread(&data.ratios(setup, ours, subject, rate)),
                        spread(&data.ratios(setup, ours, subject, p99)),
                    )
                };
                writeln!(
                    out,
                    "| {}, {} | {} | {subject} | {:.0} | {:.0} | {:.0} | {rates} | {p99s} |",
                    setup.scheme,
                    setup.connections,
                    setup.in_flight,
                    of_round(rate),
                    of_round(|round| round.median),
                    of_round(p99),
                )?;
            }
        }
        writeln!(out)?;
    }
    ceiling(out, data, &setups)?;
    memory(out, data)
}

/// Whether the server is what was measured.
fn ceiling(out: &mut String, data: &Data, setups: &[Setup]) -> fmt::Result {
    let shares = setups.iter().filter_map(|setup| {
        let rate = |load: &Load| median(load.rounds.iter().map(|round| round.rate));
        let raw = rate(data.load_of(setup, data::RAW)?);
        let fastest = [data::HYPER, data::BARE_HYPER, data::OAUTH2_REQWEST]
            .into_iter()
            .filter_map(|subject| data.load_of(setup, subject))
            .map(rate)
            .fold(0.0, f64::max);
        Some((setup, fastest / raw))
    });
    writeln!(
        out,
        "The raw socket writes bytes that are ready and reads an answer: what the server can do at \
         most. The fastest async client reaches this share of it:\n\n\
         | | in flight | share |\n| --- | --: | --: |"
    )?;
    for (setup, share) in shares {
        writeln!(
            out,
            "| {}, {} | {} | {share:.2} |",
            setup.scheme, setup.connections, setup.in_flight
        )?;
    }
    writeln!(out)
}

fn memory(out: &mut String, data: &Data) -> fmt::Result {
    let Some(first) = data.loopback.memory.first() else {
        return Ok(());
    };
    writeln!(
        out,
        "### Memory\n\n\
         Resident memory of the client for each exchange in flight, of {}, each on a fresh http \
         connection.\n\n\
         | client | bytes | ours to it |\n| --- | --: | --: |",
        first.in_flight
    )?;
    for row in &data.loopback.memory {
        let ratio = first.bytes / row.bytes;
        writeln!(out, "| {} | {:.0} | {ratio:.2} |", row.subject, row.bytes)?;
    }
    writeln!(out)
}

fn weight(out: &mut String, data: &Data) -> fmt::Result {
    writeln!(
        out,
        "## Weight\n\n\
         A tiny program on each, made by `benches/weight.sh`: the packages in its tree, a cold \
         release build, and its size, stripped.\n\n\
         | | packages | build, user seconds | to oauth2 | program, KiB | to oauth2 |\n\
         | --- | --: | --: | --: | --: | --: |"
    )?;
    let Some(oauth2) = data.weight(peer::NAME) else {
        return Ok(());
    };
    for row in &data.weight {
        writeln!(
            out,
            "| {} | {} | {:.1} | {:.2} | {:.0} | {:.2} |",
            row.subject,
            row.packages,
            row.seconds,
            row.seconds / oauth2.seconds,
            row.bytes / 1024.0,
            row.bytes / oauth2.bytes,
        )?;
    }
    Ok(())
}

/// A number, or a dash where there is none.
fn number(value: f64, digits: usize) -> String {
    if value.is_nan() {
        "–".into()
    } else {
        format!("{value:.digits$}")
    }
}

/// The median of sorted values, and between what they lie.
fn spread(sorted: &[f64]) -> String {
    let (Some(lowest), Some(highest)) = (sorted.first(), sorted.last()) else {
        return "–".into();
    };
    let middle = median(sorted.iter().copied());
    format!("{middle:.2} ({lowest:.2}–{highest:.2})")
}
