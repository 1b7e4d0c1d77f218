//! From values to places, and which values get a tick.

/// One direction of a panel.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it measures.
    pub label: String,
    /// How values are spread.
    pub scale: Scale,
    /// How values are written.
    pub unit: Unit,
}

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Each tenfold as long as the next.
    Logarithmic,
}

/// How a value is written at its tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As it is, with k and M.
    Number,
    /// In ns.
    Time,
    /// In bytes.
    Bytes,
    /// In hundredths.
    Percent,
}

impl Unit {
    /// What the values of ticks are powers of, on a logarithmic axis.
    fn base(self) -> f64 {
        match self {
            Self::Bytes => 16.0,
            Self::Number | Self::Time | Self::Percent => 10.0,
        }
    }

    pub(crate) fn text(self, value: f64) -> String {
        let steps: &[(f64, &str)] = match self {
            Self::Number => &[(1e6, " M"), (1e3, " k"), (1.0, "")],
            Self::Time => &[(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")],
            Self::Bytes => &[(1048576.0, " MiB"), (1024.0, " KiB"), (1.0, " B")],
            Self::Percent => &[(1.0, " %")],
        };
        let (step, name) = steps
            .iter()
            .find(|(step, _)| value >= *step)
            .copied()
            .unwrap_or(match self {
                Self::Number => (1.0, ""),
                Self::Time => (1.0, " ns"),
                Self::Bytes => (1.0, " B"),
                Self::Percent => (1.0, " %"),
            });
        let scaled = (value / step * 100.0).round() / 100.0;
        format!("{scaled}{name}")
    }
}

/// The part of an axis that is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Span {
    /// Just what the values need, with a little room at the ends.
    pub(crate) fn around(scale: Scale, values: &[f64]) -> Self {
        let (low, high) = ends(scale, values);
        let (low, high) = match scale {
            Scale::Linear => {
                let room = ((high - low) * 0.05).max(f64::MIN_POSITIVE);
                (low - room, high + room)
            }
            Scale::Logarithmic => {
                let room = (high / low).powf(0.05).max(1.05);
                (low / room, high * room)
            }
        };
        Self { scale, low, high }
    }

    /// From zero, or from a whole power to another.
    pub(crate) fn whole(scale: Scale, unit: Unit, values: &[f64]) -> Self {
        let (low, high) = ends(scale, values);
        let base = unit.base();
        let (low, high) = match scale {
            Scale::Linear => (0.0, high.max(f64::MIN_POSITIVE) * 1.08),
            Scale::Logarithmic => {
                let low = base.powf(low.log(base).floor());
                (low, base.powf(high.log(base).ceil()).max(low * base))
            }
        };
        Self { scale, low, high }
    }

    /// How far along the axis, from 0 to 1; nothing for what it cannot show.
    pub(crate) fn place(&self, value: f64) -> Option<f64> {
        let part = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic if value > 0.0 => {
                (value / self.low).ln() / (self.high / self.low).ln()
            }
            Scale::Logarithmic => return None,
        };
        part.is_finite().then_some(part)
    }

    /// Round values to write beside it.
    pub(crate) fn ticks(&self, unit: Unit) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let wanted = (self.high - self.low) / 5.0;
                let power = 10_f64.powf(wanted.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0]
                    .map(|n| n * power)
                    .into_iter()
                    .find(|&step| step >= wanted)
                    .unwrap_or(wanted);
                let first = (self.low / step).ceil() as i64;
                let last = (self.high / step).floor() as i64;
                (first..=last).map(|n| n as f64 * step).collect()
            }
            Scale::Logarithmic => {
                let base = unit.base();
                let powers = (self.high / self.low).log(base).round() as i32;
                let between: &[f64] = if powers <= 2 && base == 10.0 {
                    &[1.0, 2.0, 5.0]
                } else {
                    &[1.0]
                };
                let first = self.low.log(base).round() as i32;
                (first..=first + powers)
                    .flat_map(|power| between.iter().map(move |n| n * base.powi(power)))
                    .filter(|&value| value <= self.high * 1.001)
                    .collect()
            }
        }
    }
}

/// The least and the greatest that the scale can show.
fn ends(scale: Scale, values: &[f64]) -> (f64, f64) {
    let shown = values
        .iter()
        .copied()
        .filter(|&value| value.is_finite() && (scale == Scale::Linear || value > 0.0));
    let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low <= high { (low, high) } else { (1.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_the_unit_that_suits_them() {
        assert_eq!(Unit::Time.text(2e6), "2 ms");
        assert_eq!(Unit::Time.text(500.0), "500 ns");
        assert_eq!(Unit::Bytes.text(65536.0), "64 KiB");
        assert_eq!(Unit::Number.text(1500.0), "1.5 k");
        assert_eq!(Unit::Percent.text(25.0), "25 %");
        assert_eq!(Unit::Number.text(0.0), "0");
    }

    #[test]
    fn ticks_are_round_and_on_the_axis() {
        let span = Span::whole(Scale::Linear, Unit::Number, &[3.0, 47.0]);
        assert_eq!(span.ticks(Unit::Number), [0.0, 20.0, 40.0]);
        let span = Span::whole(Scale::Logarithmic, Unit::Time, &[15.0, 3e5]);
        assert_eq!(span.ticks(Unit::Time), [1e1, 1e2, 1e3, 1e4, 1e5, 1e6]);
        let span = Span::whole(Scale::Logarithmic, Unit::Bytes, &[48.0, 131_072.0]);
        let written = span.ticks(Unit::Bytes).into_iter();
        let written: Vec<String> = written.map(|value| Unit::Bytes.text(value)).collect();
        assert_eq!(written, ["16 B", "256 B", "4 KiB", "64 KiB", "1 MiB"]);
    }
}
