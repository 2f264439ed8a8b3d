//! The calls of the token endpoint over time.

use std::{path::Path, time::Duration};

use dropbox_sign_oauth_benches::BoxError;
use plotters::prelude::*;

use crate::{options::Options, policy::NAMES, service::Service, tally::Tally};

const SIZE: (u32, u32) = (960, 420);
const COLORS: [RGBColor; 2] = [RGBColor(31, 119, 180), RGBColor(214, 120, 40)];
const OUTAGE: RGBColor = RGBColor(240, 200, 200);

/// How many minutes make a point: more than a pixel can show would be noise.
const MINUTES: usize = 10;

/// The same, in hours.
const POINT: f64 = 1.0 / 6.0;

pub(crate) fn draw(tallies: &[Tally; 2], options: &Options, path: &Path) -> Result<(), BoxError> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let peak = tallies.iter().map(Tally::peak).max().unwrap_or_default();
    let hours = f64::from(options.days * 24);
    let mut chart = ChartBuilder::on(&root)
        .caption(
            format!(
                "Calls of the token endpoint a minute, {} sessions",
                options.sessions
            ),
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..hours, 0.0..f64::from(peak))?;
    let outage = Service::outage();
    let hour = |second: u64| Duration::from_secs(second).as_secs_f64() / 3600.0;
    chart.draw_series([Rectangle::new(
        [
            (hour(outage.start), 0.0),
            (hour(outage.end), f64::from(peak)),
        ],
        OUTAGE.filled(),
    )])?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_desc("hours; the red hour is the outage")
        .draw()?;
    for ((tally, name), color) in tallies.iter().zip(NAMES).zip(COLORS).rev() {
        let points = tally
            .per_minute
            .chunks(MINUTES)
            .zip(0_u32..)
            .map(|(calls, at)| {
                // The highest, for a peak is what is looked for.
                let most = calls.iter().copied().max().unwrap_or_default();
                (f64::from(at) * POINT, f64::from(most))
            });
        chart
            .draw_series(LineSeries::new(points, color))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}
