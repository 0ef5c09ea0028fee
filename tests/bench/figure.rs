//! Draws the results table as an SVG chart: one panel per workload, one bar per server.

use std::fmt::Write;

use crate::results::{Figure, Results};
use crate::servers::Kind;
use crate::table::{Better, ROWS, Row};

/// Draws the chart as SVG.
pub(crate) fn draw(results: &Results, caption: &str) -> String {
    let shown = |figure: &Figure| ROWS.iter().find(|row| row.figure == *figure);
    let height = TOP + SHOWN.len().div_ceil(COLUMNS) * PANEL_HEIGHT + BOTTOM;
    let width = COLUMNS * PANEL_WIDTH + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text(
        &mut svg,
        MARGIN,
        30,
        "fill=\"#1f2328\" font-size=\"18\" font-weight=\"bold\"",
        "Server to server, two of a kind",
    );
    for (number, row) in SHOWN.iter().filter_map(shown).enumerate() {
        let left = MARGIN + number % COLUMNS * PANEL_WIDTH;
        let top = TOP + number / COLUMNS * PANEL_HEIGHT;
        panel(&mut svg, results, row, left, top);
    }
    for (line, part) in lines(caption).iter().enumerate() {
        let y = height - BOTTOM + CAPTION_PITCH * (line + 1);
        text(&mut svg, MARGIN, y, "fill=\"#59636e\" font-size=\"11\"", part);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, results: &Results, row: &Row, left: usize, top: usize) {
    text(svg, left, top, "fill=\"#1f2328\" font-weight=\"bold\"", row.title);
    let direction = if row.better == Better::More { "more is better" } else { "less is better" };
    text(svg, left, top + 16, "fill=\"#59636e\" font-size=\"11\"", direction);
    let values = Kind::SERVERS.map(|kind| results.median(row.figure, kind));
    let largest = values.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    for (line, (kind, value)) in Kind::SERVERS.into_iter().zip(values).enumerate() {
        let y = top + 28 + line * BAR_PITCH;
        let Some(value) = value else { continue };
        let length = (value / largest * BAR_LONGEST).max(1.5);
        text(svg, left, y + 14, "fill=\"#1f2328\"", label(kind));
        let x = left + LABEL_WIDTH;
        let colour = colour(kind);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\" fill=\"{colour}\"/>"
        );
        let beside = x + length.ceil() as usize + 6;
        text(svg, beside, y + 14, "fill=\"#1f2328\" font-size=\"12\"", &row.show(value));
    }
}

/// Splits a caption at its semicolons into lines of up to `CAPTION_LONGEST` bytes.
fn lines(caption: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for part in caption.split_inclusive("; ") {
        match lines.last_mut() {
            Some(line) if line.len() + part.len() <= CAPTION_LONGEST => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

fn text(svg: &mut String, x: usize, y: usize, style: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" {style}>{content}</text>");
}

fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::Nuncio | Kind::Lifted | Kind::WithoutAcks | Kind::Journaled => "Nuncio",
        Kind::Ejabberd => "ejabberd",
        Kind::Prosody | Kind::Acknowledging => "Prosody",
        Kind::Bare => "bare",
    }
}

/// Bar colours: one dark and two light, so that they differ in print and for colour-blind readers.
fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Nuncio | Kind::Lifted | Kind::WithoutAcks | Kind::Journaled => "#0a5cad",
        Kind::Ejabberd => "#b3bac2",
        Kind::Prosody | Kind::Acknowledging | Kind::Bare => "#d9c9a5",
    }
}

/// The figures of the chart; the others do not fit.
const SHOWN: [Figure; 8] = [
    Figure::FloodRate,
    Figure::FloodCost,
    Figure::PairsRate,
    Figure::MixCost,
    Figure::ThousandTail,
    Figure::ColdTime,
    Figure::DomainsTime,
    Figure::DomainsMemory,
];

const COLUMNS: usize = 2;
const MARGIN: usize = 24;
const TOP: usize = 64;
/// Space for the caption, which has four lines after a quick run on a busy machine.
const BOTTOM: usize = 76;
const CAPTION_PITCH: usize = 15;
const CAPTION_LONGEST: usize = 120;
const PANEL_WIDTH: usize = 430;
const PANEL_HEIGHT: usize = 128;
const LABEL_WIDTH: usize = 70;
const BAR_LONGEST: f64 = 240.0;
const BAR_HEIGHT: usize = 18;
const BAR_PITCH: usize = 25;
