//! Markdown tables.

/// Prints a table. `head` has the names of the columns, separated by ` | `; the first is aligned to
/// the left, the others to the right.
pub fn print<const N: usize>(title: &str, head: &str, rows: impl IntoIterator<Item = [String; N]>) {
    println!(
        "
### {title}

| {head} |"
    );
    println!("| ---{} |", " | --:".repeat(N - 1));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// Formats a number, or a dash if it is missing.
#[must_use]
pub fn number(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { "–".into() }
}

/// Returns the median; not a number if there are no values.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len => f64::midpoint(values[(len - 1) / 2], values[len / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_or_the_mean_of_two() {
        assert!(median([]).is_nan());
        for (values, expected) in [(&[3.0, 1.0, 2.0][..], 2.0), (&[4.0, 1.0], 2.5)] {
            assert!((median(values.iter().copied()) - expected).abs() < f64::EPSILON);
        }
    }
}
