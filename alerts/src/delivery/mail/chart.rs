//! Draws the chart of an alert from the rows that it was decided on.

use std::sync::Once;

use chrono_tz::Tz;
use marketlake_model::Direction;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;

use crate::error::AlertError;
use crate::rules::evidence::Evidence;
use crate::rules::rule::Rule;

/// Size, in pixels: twice what a mail shows, for dense screens.
const WIDTH: u32 = 1_200;
const HEIGHT: u32 = 480;
const BYTES_PER_PIXEL: usize = 3;

const PAPER: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(60, 68, 76);
const GRID: RGBColor = RGBColor(226, 230, 235);
const LINE: RGBColor = RGBColor(10, 102, 194);
const MEAN: RGBColor = RGBColor(120, 128, 136);
const LIMIT: RGBColor = RGBColor(202, 120, 20);
const JUMP: RGBColor = RGBColor(200, 32, 48);

const FONT: &[u8] = include_bytes!("../../../assets/DejaVuSans-subset.ttf");
const FONT_NAME: &str = "marketlake";

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Draws the samples of some evidence, their mean, the limit, and the sample that jumped; as PNG.
///
/// # Errors
/// [`AlertError::Chart`] where there is nothing to draw.
pub fn draw(evidence: &Evidence, mean: f64, rule: &Rule, zone: Tz) -> Result<Vec<u8>, AlertError> {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let _ = register_font(FONT_NAME, FontStyle::Normal, FONT);
    });
    let mut pixels = vec![0; WIDTH as usize * HEIGHT as usize * BYTES_PER_PIXEL];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (WIDTH, HEIGHT)).into_drawing_area();
        paint(&area, evidence, mean, rule, zone)
            .map_err(|error| AlertError::Chart(error.to_string().into()))?;
        area.present()
            .map_err(|error| AlertError::Chart(error.into()))?;
    }
    encode(&pixels).map_err(|error| AlertError::Chart(error.into()))
}

fn paint(
    area: &Area<'_>,
    evidence: &Evidence,
    mean: f64,
    rule: &Rule,
    zone: Tz,
) -> Result<(), Box<dyn std::error::Error>> {
    let points: Vec<(i64, f64)> = evidence
        .points
        .iter()
        .map(|point| (point.ts.number(), point.value.to_f64()))
        .filter(|(_, value)| value.is_finite())
        .collect();
    let last = *points.last().ok_or("there are no samples")?;
    let factor = rule.jump.factor.to_f64();
    let limit = match rule.jump.direction {
        Direction::Up => mean * factor,
        Direction::Down => mean / factor,
    };
    let values = points
        .iter()
        .map(|(_, value)| *value)
        .chain([limit, mean, 0.0]);
    let (low, high) = values.fold((0.0_f64, f64::MIN_POSITIVE), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let from = last.0 - i64::from(evidence.window);
    area.fill(&PAPER)?;
    let mut chart = ChartBuilder::on(area)
        .margin(20)
        .x_label_area_size(52)
        .y_label_area_size(150)
        .build_cartesian_2d(from..last.0 + 1, low..high * 1.08)?;
    let time = |minute: &i64| {
        let utc = marketlake_model::Minute::from_number(*minute)
            .start()
            .to_utc();
        utc.with_timezone(&zone).format("%H:%M").to_string()
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID)
        .x_labels(7)
        .y_labels(5)
        .x_label_formatter(&time)
        .y_label_formatter(&|value| short(*value))
        .label_style((FONT_NAME, 26).into_font().color(&INK))
        .draw()?;
    let level = |at: f64| [(from, at), (last.0 + 1, at)];
    chart.draw_series(LineSeries::new(level(mean), MEAN.stroke_width(2)))?;
    chart.draw_series(LineSeries::new(level(limit), LIMIT.stroke_width(3)))?;
    chart.draw_series(LineSeries::new(
        points.iter().copied(),
        LINE.stroke_width(4),
    ))?;
    chart.draw_series([Circle::new(last, 9, JUMP.filled())])?;
    // On paper of their own, above their lines: the samples would cross them.
    let line = high * 0.075;
    for (text, at, color) in [
        (format!("limit {}", short(limit)), limit, LIMIT),
        (format!("mean {}", short(mean)), mean, MEAN),
    ] {
        let style = (FONT_NAME, 24).into_font().color(&color);
        let width = i64::from(
            style
                .font
                .layout_box(&text)
                .map_or(200, |(_, (right, _))| right),
        );
        let minutes = (i64::from(evidence.window) + 1) * width / i64::from(WIDTH - 190) + 2;
        let paper = [
            (from + 1, at + line),
            (from + 1 + minutes.max(1), at + line * 0.1),
        ];
        chart.draw_series([Rectangle::new(paper, PAPER.filled())])?;
        chart.draw_series([Text::new(text, (from + 1, at + line), style)])?;
    }
    Ok(())
}

/// A number in few characters.
fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e7).contains(&size) {
        format!("{value:.2e}")
    } else if size >= 1_000.0 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.6}")
    }
}

fn encode(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}
