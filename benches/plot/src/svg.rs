//! Drawing.

use std::fmt::Write;

use crate::axis::Span;
use crate::{Figure, Panel};

/// Told apart by people who see few colours, too; the marks help.
const COLOURS: [&str; 7] = [
    "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];

const IN_A_ROW: usize = 3;
const PANEL_WIDTH: f64 = 360.0;
const PANEL_HEIGHT: f64 = 290.0;
/// From a panel's edge to its axes.
const LEFT: f64 = 66.0;
const RIGHT: f64 = 14.0;
const ABOVE: f64 = 30.0;
const BELOW: f64 = 50.0;
const TITLE: f64 = 40.0;
const LEGEND: f64 = 36.0;

/// What a formatter for a string never does is fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{
        let _ = writeln!($out, $($arg)*);
    }};
}

pub(crate) fn draw(figure: &Figure) -> String {
    let in_a_row = figure.panels.len().clamp(1, IN_A_ROW);
    let rows = figure.panels.len().div_ceil(in_a_row).max(1);
    // The legend needs room even beside one panel.
    let width = in_a_row.max(2) as f64 * PANEL_WIDTH;
    let height = TITLE + rows as f64 * PANEL_HEIGHT + LEGEND;
    let mut out = String::new();
    put!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\">"
    );
    put!(out, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>");
    text(&mut out, (width / 2.0, 25.0), "middle", 15.0, &figure.title);
    let names = figure.names();
    for (n, panel) in figure.panels.iter().enumerate() {
        let x = (n % in_a_row) as f64 * PANEL_WIDTH;
        let y = TITLE + (n / in_a_row) as f64 * PANEL_HEIGHT;
        put!(out, "<g transform=\"translate({x} {y})\">");
        draw_panel(&mut out, panel, &names);
        put!(out, "</g>");
    }
    legend(&mut out, &names, width, height - LEGEND / 2.0);
    out.push_str("</svg>\n");
    out
}

fn draw_panel(out: &mut String, panel: &Panel, names: &[&str]) {
    let (left, right) = (LEFT, PANEL_WIDTH - RIGHT);
    let (top, bottom) = (ABOVE, PANEL_HEIGHT - BELOW);
    let middle = (left + right) / 2.0;
    text(out, (middle, ABOVE - 10.0), "middle", 12.0, &panel.title);
    let points = || panel.series.iter().flat_map(|series| &series.points);
    let mut xs: Vec<f64> = points().map(|point| point.0).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let ys: Vec<f64> = points().map(|point| point.1).collect();
    let across = Span::around(panel.x.scale, &xs);
    let up = Span::whole(panel.y.scale, panel.y.unit, &ys);
    let to_x = |value| Some(left + across.place(value)? * (right - left));
    let to_y = |value| Some(bottom - up.place(value)? * (bottom - top));
    for value in up.ticks(panel.y.unit) {
        let Some(y) = to_y(value) else { continue };
        put!(
            out,
            "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\" fill=\"none\"/>"
        );
        let written = panel.y.unit.text(value);
        text(out, (left - 6.0, y + 4.0), "end", 10.0, &written);
    }
    for &value in &xs {
        let Some(x) = to_x(value) else { continue };
        put!(
            out,
            "<path d=\"M{x:.1} {bottom}v5\" stroke=\"#333\" fill=\"none\"/>"
        );
        let written = panel.x.unit.text(value);
        text(out, (x, bottom + 17.0), "middle", 10.0, &written);
    }
    put!(
        out,
        "<path d=\"M{left} {top}V{bottom}H{right}\" stroke=\"#333\" fill=\"none\"/>"
    );
    text(out, (middle, bottom + 36.0), "middle", 11.0, &panel.x.label);
    let beside = (top + bottom) / 2.0;
    put!(
        out,
        "<text transform=\"translate(13 {beside}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        escaped(&panel.y.label)
    );
    for series in &panel.series {
        let look = names.iter().position(|name| *name == series.name);
        let look = look.unwrap_or_default();
        let places: Vec<(f64, f64)> = series
            .points
            .iter()
            .filter_map(|&(x, y)| Some((to_x(x)?, to_y(y)?)))
            .collect();
        let line: Vec<String> = places
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        put!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\"/>",
            line.join(" "),
            colour(look)
        );
        for place in places {
            mark(out, look, place);
        }
    }
}

fn legend(out: &mut String, names: &[&str], width: f64, y: f64) {
    const MARK: f64 = 22.0;
    const LETTER: f64 = 6.2;
    let room = |name: &str| MARK + name.chars().count() as f64 * LETTER + 20.0;
    let whole: f64 = names.iter().map(|name| room(name)).sum();
    let mut x = (width - whole).max(0.0) / 2.0;
    for (look, name) in names.iter().enumerate() {
        mark(out, look, (x + MARK / 2.0, y));
        text(out, (x + MARK, y + 4.0), "start", 11.0, name);
        x += room(name);
    }
}

fn mark(out: &mut String, look: usize, (x, y): (f64, f64)) {
    let fill = colour(look);
    match look % 4 {
        0 => put!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\" fill=\"{fill}\"/>"
        ),
        1 => put!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"6.4\" height=\"6.4\" fill=\"{fill}\"/>",
            x - 3.2,
            y - 3.2
        ),
        2 => put!(
            out,
            "<path d=\"M{x:.1} {:.1}l4.2 7.4h-8.4z\" fill=\"{fill}\"/>",
            y - 4.4
        ),
        _ => put!(
            out,
            "<path d=\"M{x:.1} {:.1}l4.2 4.2l-4.2 4.2l-4.2 -4.2z\" fill=\"{fill}\"/>",
            y - 4.2
        ),
    }
}

fn colour(look: usize) -> &'static str {
    COLOURS[look % COLOURS.len()]
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, size: f64, said: &str) {
    put!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{}</text>",
        escaped(said)
    );
}

fn escaped(said: &str) -> String {
    said.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
