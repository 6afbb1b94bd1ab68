//! The run as a picture: latencies of each kind over time, and how many good answers a second.

use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Outcome;
use super::figures::{Figures, Percentiles, Second};
use super::kind::Kind;
use super::report::Report;

/// Width of the picture.
const WIDTH: u32 = 960;
/// Height of one panel.
const PANEL: u32 = 270;
/// Height of the line above all panels.
const TITLE: u32 = 36;
/// Width of the names of curves.
const LEGEND: u32 = 110;
/// A curve of more points has no dots on them.
const DOTS: usize = 120;
/// What is drawn of latencies, and how. The palette is Okabe and Ito's, which the color-blind can
/// tell apart.
const CURVES: [(&str, RGBColor, Latency); 4] = [
    ("max", RGBColor(0x99, 0x99, 0x99), |ms| ms.max),
    ("p99", RGBColor(0xd5, 0x5e, 0x00), |ms| ms.p99),
    ("p90", RGBColor(0xe6, 0x9f, 0x00), |ms| ms.p90),
    ("p50", RGBColor(0x00, 0x72, 0xb2), |ms| ms.p50),
];
/// Colors of the kinds, by their place.
const KINDS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x99, 0x99, 0x99),
];
/// The color of what had no good answer.
const FAULTS: RGBColor = RGBColor(0xd5, 0x5e, 0x00);

type Latency = fn(&Percentiles) -> f64;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// A curve with its name and color.
struct Curve {
    name: String,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Draws `report`.
///
/// # Errors
/// None but a defect of the library.
pub(crate) fn svg(report: &Report) -> Outcome<String> {
    let mut text = String::new();
    let panels = u32::try_from(report.kinds.len())? + 1;
    draw(
        report,
        SVGBackend::with_string(&mut text, (WIDTH, TITLE + PANEL * panels)),
    )
    .map_err(|error| error.to_string())?;
    Ok(text)
}

fn draw(report: &Report, backend: SVGBackend<'_>) -> Result<(), Box<dyn Error>> {
    let whole = backend.into_drawing_area();
    whole.fill(&WHITE)?;
    let (title, rest) = whole.split_vertically(TITLE);
    let style = ("sans-serif", 15).into_font().color(&BLACK);
    let center = style.pos(Pos::new(HPos::Center, VPos::Center));
    let middle = (i32::try_from(WIDTH / 2)?, i32::try_from(TITLE / 2)?);
    title.draw_text(&report.configuration.summary(), &center, middle)?;
    let panels = rest.split_evenly((report.kinds.len() + 1, 1));
    for (panel, kind) in panels.iter().zip(report.kinds.keys()) {
        draw_latencies(report, panel, *kind)?;
    }
    if let Some(panel) = panels.last() {
        draw_throughput(report, panel)?;
    }
    whole.present()?;
    Ok(())
}

fn draw_latencies(report: &Report, area: &Area<'_>, kind: Kind) -> Result<(), Box<dyn Error>> {
    let curves = CURVES.map(|(name, color, value)| Curve {
        name: name.to_owned(),
        color,
        points: points(report, |second| {
            let figures = second.kinds.get(&kind)?;
            figures.latency_ms.as_ref().map(value)
        }),
    });
    let values = || curves.iter().flat_map(|curve| &curve.points);
    let least = values().map(|point| point.1).fold(1.0, f64::min);
    let most = values().map(|point| point.1).fold(0.0, f64::max);
    // Whole decades, so that the axis has labels; one at least.
    let low = 10_f64.powf(least.max(1e-3).log10().floor());
    let high = 10_f64.powf(most.max(low * 10.0).log10().ceil());
    let (left, right) = area.split_horizontally(WIDTH - LEGEND);
    let mut chart = chart(&left, &format!("{}: latency, ms", kind.name()))
        .build_cartesian_2d(time(report), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("s")
        .x_label_formatter(&|second| format!("{second:.0}"))
        .y_label_formatter(&|ms| format!("{ms}"))
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(BLACK.mix(0.05))
        .draw()?;
    for curve in &curves {
        chart.draw_series(curve.line())?;
    }
    draw_legend(&right, &curves)
}

fn draw_throughput(report: &Report, area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let mut curves = vec![Curve {
        name: "all".to_owned(),
        color: BLACK,
        points: points(report, |second| Some(second.all.per_second)),
    }];
    for (kind, color) in report.kinds.keys().zip(KINDS.iter().cycle()) {
        curves.push(Curve {
            name: kind.name().to_owned(),
            color: *color,
            points: points(report, |second| Some(second.kinds.get(kind)?.per_second)),
        });
    }
    curves.push(Curve {
        name: "not good".to_owned(),
        color: FAULTS,
        points: points(report, |second| Some(faults_per_second(&second.all))),
    });
    let values = curves.iter().flat_map(|curve| &curve.points);
    let most = values.map(|point| point.1).fold(1.0, f64::max);
    let (left, right) = area.split_horizontally(WIDTH - LEGEND);
    let mut chart = chart(&left, "good answers, and those that are not, per second")
        .build_cartesian_2d(time(report), 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .x_desc("s")
        .x_label_formatter(&|second| format!("{second:.0}"))
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(BLACK.mix(0.05))
        .draw()?;
    for curve in &curves {
        chart.draw_series(curve.line())?;
    }
    draw_legend(&right, &curves)
}

// Beside the chart, where it hides nothing.
fn draw_legend(area: &Area<'_>, curves: &[Curve]) -> Result<(), Box<dyn Error>> {
    let style = ("sans-serif", 13).into_font().color(&BLACK);
    let style = style.pos(Pos::new(HPos::Left, VPos::Center));
    for (curve, y) in curves.iter().zip((44..).step_by(20)) {
        let line = vec![(0, y), (20, y)];
        area.draw(&PathElement::new(line, curve.color.stroke_width(2)))?;
        area.draw_text(&curve.name, &style, (26, y))?;
    }
    Ok(())
}

impl Curve {
    fn line<'b>(&self) -> LineSeries<SVGBackend<'b>, (f64, f64)> {
        // A few may be far apart; many are a line anyway.
        let dot = if self.points.len() > DOTS { 0 } else { 2 };
        LineSeries::new(self.points.iter().copied(), self.color.stroke_width(2)).point_size(dot)
    }
}

fn chart<'a, 'b>(area: &'a Area<'b>, caption: &str) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart
        .caption(caption, ("sans-serif", 14))
        .margin(8)
        .x_label_area_size(30)
        .y_label_area_size(60);
    chart
}

fn time(report: &Report) -> std::ops::Range<f64> {
    0.0..f64::from(report.configuration.seconds)
}

// A second without such a figure has no point.
fn points(report: &Report, value: impl Fn(&Second) -> Option<f64>) -> Vec<(f64, f64)> {
    let seconds = report.seconds.iter();
    seconds
        .filter_map(|second| Some((f64::from(second.number), value(second)?)))
        .collect()
}

fn faults_per_second(figures: &Figures) -> f64 {
    let faults = figures.errors + figures.unavailable;
    u32::try_from(faults).map_or(f64::INFINITY, f64::from)
}
