//! The report as pictures.

use std::path::Path;

use dropbox_sign_oauth_benches::{BoxError, by_hand, ours, peer, results::median, work};
use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::data::{self, BARE_HYPER, Data, HONEST, HYPER, OAUTH2_REQWEST, RAW, Setup};

/// Where the plots are, beside the report.
pub(crate) const CPU: &str = "plots/cpu.svg";
pub(crate) const GROWTH: &str = "plots/growth.svg";
pub(crate) const LOOPBACK: &str = "plots/loopback.svg";

const SIZE: (u32, u32) = (800, 400);
const FONT: (&str, u32) = ("sans-serif", 14);

/// Told apart without colour vision too (Okabe and Ito).
const COLOURS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(120, 120, 120),
];
const HOSTILE: RGBColor = RGBColor(213, 94, 0);

pub(crate) fn draw(data: &Data, plots: &Path) -> Result<(), BoxError> {
    let path = |name: &str| plots.with_file_name(name);
    cpu(data, &path(CPU))?;
    growth(data, &path(GROWTH))?;
    loopback(data, &path(LOOPBACK))
}

/// Bars in groups, one group for each piece of work.
fn cpu(data: &Data, path: &Path) -> Result<(), BoxError> {
    let highest = data.cpu.iter().map(|row| row.nanos).fold(0.0, f64::max);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let groups = u32::try_from(work::ALL.len())?;
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .set_label_area_size(LabelAreaPosition::Left, 60)
        .build_cartesian_2d(0.0..f64::from(groups), 0.0..highest * 1.2)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_desc("nanoseconds")
        .label_style(FONT)
        .draw()?;
    for ((subject, colour), place) in [ours::NAME, peer::NAME, by_hand::NAME]
        .into_iter()
        .zip(COLOURS)
        .zip([0.1, 0.37, 0.64])
    {
        let mut bars = Vec::new();
        for (work, left) in work::ALL.into_iter().zip(0_u32..) {
            let nanos = data.nanos(work, subject);
            if !nanos.is_nan() {
                let left = f64::from(left) + place;
                let corners = [(left, 0.0), (left + 0.25, nanos)];
                bars.push(Rectangle::new(corners, colour.filled()));
            }
        }
        chart
            .draw_series(bars)?
            .label(subject)
            .legend(move |at| square(at, colour));
    }
    let centred = Pos::new(HPos::Center, VPos::Center);
    let style = TextStyle::from(FONT.into_font()).pos(centred);
    chart.draw_series(work::ALL.into_iter().zip(0_u32..).map(|(work, left)| {
        let at = (f64::from(left) + 0.5, highest * 1.1);
        Text::new(work, at, style.clone())
    }))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .label_font(FONT)
        .draw()?;
    Ok(root.present()?)
}

/// A line for each kind of body, of which only the honest one and the worst are named.
fn growth(data: &Data, path: &Path) -> Result<(), BoxError> {
    let highest = data.growth.iter().map(data::per_byte).fold(0.0, f64::max);
    let longest = data.growth.iter().map(|row| row.len).max().unwrap_or(1);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .set_label_area_size(LabelAreaPosition::Left, 60)
        .set_label_area_size(LabelAreaPosition::Bottom, 45)
        .build_cartesian_2d((256..longest * 5 / 4).log_scale(), 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .x_desc("bytes of the body")
        .y_desc("nanoseconds for each byte")
        .label_style(FONT)
        .draw()?;
    let worst = data.worst_kind();
    for kind in data.kinds() {
        let colour = if kind == HONEST {
            COLOURS[0]
        } else if Some(kind) == worst {
            HOSTILE
        } else {
            COLOURS[3]
        };
        let rows = data.growth.iter().filter(|row| row.kind == kind);
        let points = rows.map(|row| (row.len, data::per_byte(row)));
        let drawn = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        if colour != COLOURS[3] {
            drawn.label(kind).legend(move |at| square(at, colour));
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .label_font(FONT)
        .draw()?;
    Ok(root.present()?)
}

/// A line for each async client on kept http connections.
fn loopback(data: &Data, path: &Path) -> Result<(), BoxError> {
    let levels: Vec<usize> = data
        .loopback
        .loads
        .iter()
        .filter(|load| load.subject == HYPER && load.scheme == "http" && load.connections == "kept")
        .map(|load| load.in_flight)
        .collect();
    let series: Vec<_> = [HYPER, OAUTH2_REQWEST, BARE_HYPER, RAW]
        .into_iter()
        .zip(COLOURS)
        .map(|(subject, colour)| {
            let point = |in_flight: &usize| {
                let setup = Setup::new("http", "kept", *in_flight);
                let load = data.load_of(&setup, subject)?;
                let rate = median(load.rounds.iter().map(|round| round.rate));
                Some((*in_flight, rate))
            };
            let points: Vec<(usize, f64)> = levels.iter().filter_map(point).collect();
            (subject, colour, points)
        })
        .collect();
    let rates = series.iter().flat_map(|(_, _, points)| points);
    let highest = rates.map(|(_, rate)| *rate).fold(0.0, f64::max);
    let most = levels.iter().max().copied().unwrap_or(1);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .set_label_area_size(LabelAreaPosition::Left, 75)
        .set_label_area_size(LabelAreaPosition::Bottom, 45)
        .build_cartesian_2d((1..most * 5 / 4).log_scale().base(2.0), 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .x_desc("exchanges in flight")
        .y_desc("exchanges per second")
        .label_style(FONT)
        .draw()?;
    for (subject, colour, points) in series {
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(3))?
            .label(subject)
            .legend(move |at| square(at, colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .label_font(FONT)
        .draw()?;
    Ok(root.present()?)
}

fn square((x, y): (i32, i32), colour: RGBColor) -> Rectangle<(i32, i32)> {
    Rectangle::new([(x, y - 6), (x + 12, y + 6)], colour.filled())
}
