//! A line of results, and the file of them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use nowire_bench_harness::cell::{Carrier, Case, Party, Wait};
use nowire_bench_harness::samples::Pool;
use serde::Serialize;

use crate::refs::Place;

/// One case on one carrier. The fields up to `cpu_s` are the form every
/// benchmark of the project writes, so that two runs can be compared; a case
/// adds its own after them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) carrier: Carrier,
    /// Payload, each way.
    pub(crate) bytes: usize,
    /// Calls at a time; of idle connections, how many there are.
    pub(crate) in_flight: usize,
    pub(crate) wait: Wait,
    pub(crate) calls: u64,
    pub(crate) mean_ns: f64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
    pub(crate) calls_per_s: f64,
    /// Processor time of both processes together.
    pub(crate) cpu_s: f64,
    /// Minor page faults of both processes together, per call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) faults_per_call: Option<f64>,
    /// From the endpoint to the first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_call_p50_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    pub(crate) idle: Option<Idle>,
    #[serde(flatten)]
    pub(crate) passing: Passing,
}

/// What only rows about data that is passed on have.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Passing {
    /// Services that a call goes through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) services: Option<usize>,
    /// Which process ran on which core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<Place>,
    /// Bytes of their own that the client writes and the last service reads beside
    /// each call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aside_bytes: Option<usize>,
    /// The part of the pages that the callee changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changed_percent: Option<u32>,
    /// Which step or which mode of the application this row is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<String>,
    /// Bytes of data that came into a service that passes them on and left it, per
    /// call; the mean of all such services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) forwarded_bytes_per_call: Option<f64>,
    /// Processor time of such a service, per call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) forwarder_cpu_ns_per_call: Option<f64>,
    /// Medians of the rounds, where rounds are compared one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) round_p50_ns: Vec<u64>,
}

/// What connections cost that nobody uses.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Idle {
    /// How long they were watched.
    pub(crate) idle_s: f64,
    /// Both processes, of one core.
    pub(crate) cpu_share: f64,
    /// Shared memory of a connection, both directions.
    pub(crate) shared_bytes_per_connection: u64,
    /// Growth of both processes' own memory by a connection.
    pub(crate) private_bytes_per_connection: u64,
}

impl Row {
    pub(crate) fn of_calls(
        case: Case,
        party: Party,
        bytes: usize,
        in_flight: usize,
        pool: &Pool,
    ) -> Self {
        let used = pool.used();
        Self {
            case,
            carrier: party.carrier,
            bytes,
            in_flight,
            wait: party.wait,
            calls: pool.calls(),
            mean_ns: round_to_tenth(pool.mean_ns()),
            p50_ns: pool.quantile_ns(0.5),
            p99_ns: pool.quantile_ns(0.99),
            p999_ns: pool.quantile_ns(0.999),
            calls_per_s: round_to_tenth(pool.calls_per_s()),
            cpu_s: used.cpu_ns as f64 / 1e9,
            faults_per_call: Some(used.minor_faults as f64 / pool.calls().max(1) as f64),
            first_call_p50_ns: pool.first_call_p50_ns(),
            idle: None,
            passing: Passing::default(),
        }
    }

    pub(crate) fn of_idle(party: Party, connections: usize, cpu_s: f64, idle: Idle) -> Self {
        Self {
            case: Case::Idle,
            carrier: party.carrier,
            bytes: 0,
            in_flight: connections,
            wait: party.wait,
            calls: 0,
            mean_ns: 0.0,
            p50_ns: 0,
            p99_ns: 0,
            p999_ns: 0,
            calls_per_s: 0.0,
            cpu_s,
            faults_per_call: None,
            first_call_p50_ns: None,
            idle: Some(idle),
            passing: Passing::default(),
        }
    }
}

fn round_to_tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Writes all rows as a JSON list, a row a line.
pub(crate) fn write_json(rows: &[Row], path: &Path) -> Result<()> {
    let context = || format!("writing {}", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(context)?);
    for (n, row) in rows.iter().enumerate() {
        let before = if n == 0 { "[\n" } else { ",\n" };
        write!(file, "{before}{}", serde_json::to_string(row)?).with_context(context)?;
    }
    let after = if rows.is_empty() { "[]\n" } else { "\n]\n" };
    file.write_all(after.as_bytes()).with_context(context)?;
    file.flush().with_context(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_begins_with_the_fields_programs_compare() -> Result<()> {
        let pool = Pool::new()?;
        let party = Party {
            carrier: Carrier::Unix,
            wait: Wait::Fixed,
        };
        let row = serde_json::to_string(&Row::of_calls(Case::Unary, party, 64, 1, &pool))?;
        let names: Vec<&str> = row
            .trim_matches(['{', '}'])
            .split(',')
            .filter_map(|field| field.split('"').nth(1))
            .collect();
        assert_eq!(
            names[..12],
            [
                "case",
                "carrier",
                "bytes",
                "in_flight",
                "wait",
                "calls",
                "mean_ns",
                "p50_ns",
                "p99_ns",
                "p999_ns",
                "calls_per_s",
                "cpu_s"
            ]
        );
        assert!(row.starts_with(
            r#"{"case":"unary","carrier":"unix","bytes":64,"in_flight":1,"wait":"-""#
        ));
        Ok(())
    }
}
