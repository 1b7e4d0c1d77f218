//! What the project wants to reach, and whether this run reached it.

pub(crate) mod grpc;
pub(crate) mod native;
pub(crate) mod refs;

use nowire_bench_harness::cell::{Carrier, Case, Wait};

use crate::row::Row;
use crate::table::columns;

/// A figure and what it is to be.
pub(crate) struct Goal {
    what: String,
    wanted: Wanted,
    unit: &'static str,
    got: Option<f64>,
}

#[derive(Clone, Copy)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Wanted {
    fn is_met_by(self, got: f64) -> bool {
        match self {
            Self::AtLeast(bound) => got >= bound,
            Self::AtMost(bound) => got <= bound,
            Self::Below(bound) => got < bound,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {bound}{unit}"),
            Self::AtMost(bound) => format!("at most {bound}{unit}"),
            Self::Below(bound) => format!("under {bound}{unit}"),
        }
    }
}

/// Goals as a table; what was not measured says so.
pub(crate) fn table(goals: &[Goal]) -> String {
    let head = ["goal", "wanted", "this run", "reached"];
    let mut lines = vec![head.map(String::from).to_vec()];
    for goal in goals {
        let (got, reached) = match goal.got {
            Some(got) => (
                format!("{got:.2}{}", goal.unit),
                if goal.wanted.is_met_by(got) {
                    "yes"
                } else {
                    "no"
                },
            ),
            None => ("-".into(), "not measured"),
        };
        lines.push(vec![
            goal.what.clone(),
            goal.wanted.text(goal.unit),
            got,
            reached.into(),
        ]);
    }
    columns(&lines, 1)
}

/// A goal that is a ratio.
fn times(what: &str, wanted: Wanted, got: Option<f64>) -> Goal {
    Goal {
        what: what.into(),
        wanted,
        unit: " x",
        got,
    }
}

/// What a row of Nowire is found by; rivals have no `wait`.
#[derive(Clone, Copy)]
struct Key {
    case: Case,
    bytes: usize,
    in_flight: usize,
    wait: Wait,
}

struct Rows<'a>(&'a [Row]);

impl<'a> Rows<'a> {
    fn of_carrier(&self, carrier: Carrier) -> impl Iterator<Item = &'a Row> {
        self.0.iter().filter(move |row| row.carrier == carrier)
    }

    fn rivals(&self, key: Key, carrier: Carrier) -> impl Iterator<Item = &'a Row> {
        self.of_carrier(carrier).filter(move |row| {
            row.case == key.case && row.bytes == key.bytes && row.in_flight == key.in_flight
        })
    }

    fn rival(&self, key: Key, carrier: Carrier) -> Option<&'a Row> {
        self.rivals(key, carrier).next()
    }

    fn nowire(&self, key: Key) -> Option<&'a Row> {
        self.rivals(key, Carrier::Nowire)
            .find(|row| row.wait == key.wait)
    }

    fn nowire_over(&self, key: Key, rival: Carrier, figure: fn(&Row) -> f64) -> Option<f64> {
        Some(figure(self.nowire(key)?) / figure(self.rival(key, rival)?))
    }

    fn over_nowire(&self, key: Key, rival: Carrier, figure: fn(&Row) -> f64) -> Option<f64> {
        Some(figure(self.rival(key, rival)?) / figure(self.nowire(key)?))
    }
}
