//! Markdown tables.

use std::collections::HashMap;

use crate::{by_hand, ours, peer, work};

/// A value of each piece of work and subject.
pub type Values = HashMap<(String, &'static str), f64>;

/// Prints a table. `head` has the names of the columns, separated by ` | `; the first is aligned to
/// the left, the others to the right.
pub fn print<R: AsRef<[String]>>(title: &str, head: &str, rows: impl IntoIterator<Item = R>) {
    println!("\n### {title}\n\n| {head} |");
    println!("| ---{} |", " | --:".repeat(head.matches('|').count()));
    for row in rows {
        println!("| {} |", row.as_ref().join(" | "));
    }
}

/// Prints the values of [`work::ALL`], with the ratios.
pub fn print_work(title: &str, values: &Values) {
    let rows = work::ALL.map(|work| {
        let value = |subject| *values.get(&(work.into(), subject)).unwrap_or(&f64::NAN);
        let [ours, oauth2, by_hand] = [ours::NAME, peer::NAME, by_hand::NAME].map(value);
        let [a, b, c] = [ours, oauth2, by_hand].map(|value| number(value, 0));
        [work.into(), a, b, c, number(ours / oauth2, 2), number(ours / by_hand, 2)]
    });
    print(title, "work | ours | oauth2 | by hand | ours / oauth2 | ours / by hand", rows);
}

/// Formats a number, or a dash if it is missing.
#[must_use]
pub fn number(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { "–".into() }
}

/// Returns the value that this share of the values is less than; not a number if there are none.
#[must_use]
pub fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index into a list"
    )]
    let index = (values.len() as f64 * share) as usize;
    values.get(index).or(values.last()).copied().unwrap_or(f64::NAN)
}
