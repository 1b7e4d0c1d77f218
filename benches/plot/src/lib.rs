//! Line charts as SVG: panels with axes side by side, and one legend.
//!
//! A figure is data; [`Figure::svg`] draws it. Colours and marks of a series
//! follow its place in the legend, so that a carrier looks the same in every
//! panel.
#![forbid(unsafe_code)]

mod axis;
mod svg;

pub use axis::{Axis, Scale, Unit};

/// What is drawn into one file.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Stands above everything.
    pub title: String,
    /// From left to right, then top to bottom.
    pub panels: Vec<Panel>,
}

/// One pair of axes and what lies between them.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Stands above the axes.
    pub title: String,
    /// The horizontal axis; its ticks are where the points are.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
}

/// Points joined by a line.
#[derive(Clone, Debug)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Where its points are, from left to right. A logarithmic axis leaves out
    /// what is not above zero.
    pub points: Vec<(f64, f64)>,
}

impl Figure {
    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    /// The names of all series, each once, in order of appearance.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if !names.contains(&series.name.as_str()) {
                names.push(&series.name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(y: Scale, points: &[(f64, f64)]) -> Figure {
        let axis = |scale, unit| Axis {
            label: "a < b".into(),
            scale,
            unit,
        };
        Figure {
            title: "all & sundry".into(),
            panels: vec![Panel {
                title: "one".into(),
                x: axis(Scale::Linear, Unit::Number),
                y: axis(y, Unit::Time),
                series: vec![Series {
                    name: "refs".into(),
                    points: points.to_vec(),
                }],
            }],
        }
    }

    fn heights(svg: &str) -> Vec<f64> {
        let marks = svg.split("<circle ").skip(1);
        let height = |mark: &str| mark.split("cy=\"").nth(1)?.split('"').next()?.parse().ok();
        marks.filter_map(height).collect()
    }

    #[test]
    fn a_decade_is_as_high_as_the_next() {
        let points = [(1.0, 1e3), (2.0, 1e4), (3.0, 1e5)];
        let svg = figure(Scale::Logarithmic, &points).svg();
        // The last mark is the legend's.
        let [low, middle, high, _] = heights(&svg)[..] else {
            panic!("{svg}");
        };
        assert!(low > middle && middle > high, "{low} {middle} {high}");
        assert!(((low - middle) - (middle - high)).abs() < 0.2, "{svg}");
    }

    #[test]
    fn text_cannot_end_an_element() {
        let svg = figure(Scale::Linear, &[(1.0, 1.0)]).svg();
        assert!(svg.contains("all &amp; sundry") && svg.contains("a &lt; b"));
        assert!(!svg.contains("a < b"));
    }

    #[test]
    fn what_a_logarithm_cannot_show_is_left_out() {
        let svg = figure(Scale::Logarithmic, &[(1.0, 0.0), (2.0, 5.0)]).svg();
        assert_eq!(heights(&svg).len(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_figure_without_points_is_still_a_document() {
        let svg = figure(Scale::Logarithmic, &[]).svg();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
