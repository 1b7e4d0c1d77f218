//! The figures of DmRPC's paper, as this run has them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nowire_bench_harness::cell::{Carrier, Case};
use nowire_bench_plot::{Axis, Figure, Panel, Scale, Series, Unit};

use super::args::Place;
use super::hop::Load;
use super::plan::MANY;
use super::report::sizes;
use crate::row::Row;
use crate::table::size;

const CARRIERS: [(Carrier, &str); 8] = [
    (Carrier::Unix, "by value, Unix socket"),
    (Carrier::Plain, "by value, Nowire, a field of bytes"),
    (Carrier::Nowire, "by value, Nowire"),
    (Carrier::Refs, "by reference"),
    (Carrier::Fresh, "by reference, segments used once"),
    (Carrier::Memcpy, "copied"),
    (Carrier::Ray, "Ray"),
    (Carrier::Floor, "waking the processes only"),
];

/// Draws what these rows have a figure of.
pub(crate) fn draw(rows: &[Row], dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    for (name, figure) in figures(rows) {
        let path = dir.join(format!("{name}.svg"));
        fs::write(&path, figure.svg()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn figures(rows: &[Row]) -> Vec<(&'static str, Figure)> {
    let figures = [
        ("refs-fig5-nested", nested(rows)),
        ("refs-fig6-balancer", balancer(rows)),
        ("refs-fig7-share", shared(rows)),
        ("refs-fig8-change", changed(rows)),
        (
            "refs-fig9-image-throughput",
            images(
                rows,
                "throughput",
                axis("images/s", Scale::Logarithmic, Unit::Number),
                |row| row.calls_per_s,
            ),
        ),
        (
            "refs-fig10-image-p99",
            images(
                rows,
                "p99",
                axis("time of an image", Scale::Logarithmic, Unit::Time),
                |row| row.p99_ns as f64,
            ),
        ),
    ];
    figures
        .into_iter()
        .filter(|(_, figure)| figure.panels.iter().any(|panel| !panel.series.is_empty()))
        .collect()
}

fn nested(rows: &[Row]) -> Figure {
    let mut panels: Vec<Panel> = sizes(rows, Case::Nested)
        .into_iter()
        .filter(|&bytes| bytes > 0)
        .map(|bytes| Panel {
            title: format!("{}, {MANY} in flight", size(bytes as u64)),
            x: axis("services", Scale::Linear, Unit::Number),
            y: axis("calls/s", Scale::Logarithmic, Unit::Number),
            series: lines(rows, |row| {
                let wanted = row.case == Case::Nested && row.bytes == bytes;
                let services = row.passing.services.filter(|_| wanted)?;
                (row.in_flight == MANY).then_some((services as f64, row.calls_per_s))
            }),
        })
        .collect();
    let hop = |carrier: Carrier| {
        let point = |bytes| {
            let ns = Load::of(Place::Apart, carrier, bytes).hop_ns(rows)?;
            Some((bytes as f64, ns))
        };
        let sizes = sizes(rows, Case::Hop).into_iter();
        sizes.filter(|&bytes| bytes > 0).filter_map(point).collect()
    };
    panels.push(Panel {
        title: "what a service between adds".into(),
        x: axis("bytes", Scale::Logarithmic, Unit::Bytes),
        y: axis("time", Scale::Logarithmic, Unit::Time),
        series: named(hop),
    });
    Figure {
        title: "Nested calls (the paper's figure 5)".into(),
        panels,
    }
}

fn balancer(rows: &[Row]) -> Figure {
    let panel = |title: &str, y, figure: fn(&Row) -> Option<f64>| Panel {
        title: title.into(),
        x: axis("bytes", Scale::Logarithmic, Unit::Bytes),
        y,
        series: lines(rows, |row| {
            let bytes = Some(row.bytes as f64).filter(|_| row.case == Case::Balance)?;
            Some((bytes, figure(row)?))
        }),
    };
    Figure {
        title: "Load balancer (the paper's figure 6)".into(),
        panels: vec![
            panel(
                "throughput",
                axis("calls/s", Scale::Linear, Unit::Number),
                |row| Some(row.calls_per_s),
            ),
            panel(
                "data through the balancer",
                axis("bytes of a call", Scale::Logarithmic, Unit::Bytes),
                |row| row.passing.forwarded_bytes_per_call,
            ),
            panel(
                "processor time of the balancer",
                axis("time of a call", Scale::Linear, Unit::Time),
                |row| row.passing.forwarder_cpu_ns_per_call,
            ),
        ],
    }
}

fn shared(rows: &[Row]) -> Figure {
    let panel = |title: &str, y, figure: fn(&Row) -> f64| Panel {
        title: title.into(),
        x: axis("bytes", Scale::Logarithmic, Unit::Bytes),
        y,
        series: lines(rows, |row| {
            (row.case == Case::Share).then(|| (row.bytes as f64, figure(row)))
        }),
    };
    Figure {
        title: "Sharing against copying (the paper's figure 7)".into(),
        panels: vec![
            panel(
                "time of one",
                axis("time", Scale::Logarithmic, Unit::Time),
                |row| row.p50_ns as f64,
            ),
            panel(
                "rate, memory taken and given back included",
                axis("a second", Scale::Logarithmic, Unit::Number),
                |row| row.calls_per_s,
            ),
        ],
    }
}

fn changed(rows: &[Row]) -> Figure {
    let panel = |title: &str, y: Axis, wanted: fn(Carrier) -> bool| Panel {
        title: title.into(),
        x: axis("part that is changed", Scale::Linear, Unit::Percent),
        y,
        series: lines(rows, |row| {
            let percent = row.passing.changed_percent?;
            (row.case == Case::Change && wanted(row.carrier))
                .then_some((f64::from(percent), row.p50_ns as f64))
        }),
    };
    let mut panels = vec![panel(
        "without Ray",
        axis("time of a call", Scale::Linear, Unit::Time),
        |carrier| carrier != Carrier::Ray,
    )];
    if rows.iter().any(|row| row.carrier == Carrier::Ray) {
        panels.push(panel(
            "with Ray",
            axis("time of a call", Scale::Logarithmic, Unit::Time),
            |_| true,
        ));
    }
    Figure {
        title: "A callee changes a part of 32 KiB (the paper's figure 8)".into(),
        panels,
    }
}

fn images(rows: &[Row], what: &str, y: Axis, figure: fn(&Row) -> f64) -> Figure {
    let mut parts: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row.case == Case::Image) {
        let part = row.passing.part.as_deref().unwrap_or_default();
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let panel = |part: &&str| Panel {
        title: format!("{part}, {MANY} in flight"),
        x: axis("bytes of an image", Scale::Logarithmic, Unit::Bytes),
        y: y.clone(),
        series: lines(rows, |row| {
            let of_part = row.passing.part.as_deref() == Some(part);
            (row.case == Case::Image && of_part && row.in_flight == MANY)
                .then(|| (row.bytes as f64, figure(row)))
        }),
    };
    let number = if what == "p99" { 10 } else { 9 };
    Figure {
        title: format!("Cloud image processing, {what} (the paper's figure {number})"),
        panels: parts.iter().map(panel).collect(),
    }
}

/// A line for each carrier that has points.
fn lines(rows: &[Row], point: impl Fn(&Row) -> Option<(f64, f64)>) -> Vec<Series> {
    named(|carrier| {
        let rows = rows.iter().filter(|row| row.carrier == carrier);
        rows.filter_map(&point).collect()
    })
}

fn named(points: impl Fn(Carrier) -> Vec<(f64, f64)>) -> Vec<Series> {
    let series = CARRIERS.iter().map(|&(carrier, name)| Series {
        name: name.into(),
        points: points(carrier),
    });
    series.filter(|series| !series.points.is_empty()).collect()
}

fn axis(label: &str, scale: Scale, unit: Unit) -> Axis {
    Axis {
        label: label.into(),
        scale,
        unit,
    }
}
