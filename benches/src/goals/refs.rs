//! Of data that is passed on.

use nowire_bench_harness::cell::{Carrier, Case};

use super::{Goal, Wanted, times};
use crate::refs::hop::Load;
use crate::refs::report::sizes;
use crate::refs::{KIB, LONGEST, MANY, MIB, Place};
use crate::row::Row;
use crate::table::size;

pub(crate) fn goals(rows: &[Row]) -> Vec<Goal> {
    use Carrier::{Nowire, Ray, Refs, Unix};
    let at_least = Wanted::AtLeast;
    let mut goals = Vec::new();
    let passed = sizes(rows, Case::Hop).into_iter();
    for bytes in passed.filter(|&bytes| bytes > 0) {
        let load = Load::of(Place::Apart, Refs, bytes);
        goals.push(times(
            &format!(
                "{}, time per forwarding hop against an empty call's",
                size(bytes as u64)
            ),
            Wanted::AtMost(1.2),
            load.times(load.empty(), rows),
        ));
    }
    for (bytes, over_nowire, over_unix) in [(64 * KIB, 2.0, 5.0), (MIB, 10.0, 20.0)] {
        for (rival, wanted) in [(Nowire, over_nowire), (Unix, over_unix)] {
            goals.push(times(
                &format!(
                    "{}, chain of {LONGEST}, most calls/s against by value over {rival}",
                    size(bytes as u64)
                ),
                at_least(wanted),
                chain_rate(rows, Refs, bytes)
                    .zip(chain_rate(rows, rival, bytes))
                    .map(|(ours, theirs)| ours / theirs),
            ));
        }
    }
    let shares = rows
        .iter()
        .filter(|row| row.case == Case::Share && row.carrier == Refs);
    goals.push(Goal {
        what: "share by an owner, the slowest size".into(),
        wanted: Wanted::Below(1.0),
        unit: " µs",
        got: shares
            .map(|row| row.p50_ns as f64 / 1e3)
            .max_by(f64::total_cmp),
    });
    let pass = |carrier| change_ns(rows, carrier, 0);
    goals.push(times(
        "32 KiB passed and read, faster than Ray",
        at_least(60.0),
        pass(Ray).zip(pass(Refs)).map(|(ray, ours)| ray / ours),
    ));
    let sweep = [0, 25, 50, 100]
        .into_iter()
        .filter_map(|percent| {
            Some(change_ns(rows, Ray, percent)? / change_ns(rows, Refs, percent)?)
        })
        .min_by(f64::total_cmp);
    goals.push(times(
        "32 KiB changed in part, faster than Ray, the least of the sweep",
        at_least(60.0),
        sweep,
    ));
    let sizes = rows
        .iter()
        .map(|row| row.bytes)
        .filter(|&bytes| bytes > 64 * KIB);
    let routed = sizes
        .filter_map(|bytes| {
            Some(images_per_s(rows, Refs, bytes)? / images_per_s(rows, Nowire, bytes)?)
        })
        .min_by(f64::total_cmp);
    goals.push(times(
        "images over 64 KiB, routing, images/s against by value over nowire, the least",
        at_least(1.5),
        routed,
    ));
    goals
}

/// Images a second that are only passed on, several in flight.
fn images_per_s(rows: &[Row], carrier: Carrier, bytes: usize) -> Option<f64> {
    let row = rows.iter().find(|row| {
        row.case == Case::Image
            && row.carrier == carrier
            && row.bytes == bytes
            && row.in_flight == MANY
            && row.passing.part.as_deref() == Some("routing")
    })?;
    Some(row.calls_per_s)
}

/// Calls a second through the longest chain, with as many in flight as suit this
/// carrier best.
pub(crate) fn chain_rate(rows: &[Row], carrier: Carrier, bytes: usize) -> Option<f64> {
    let chains = rows.iter().filter(|row| {
        row.case == Case::Nested
            && row.carrier == carrier
            && row.bytes == bytes
            && row.passing.services == Some(LONGEST)
    });
    chains.map(|row| row.calls_per_s).max_by(f64::total_cmp)
}

fn change_ns(rows: &[Row], carrier: Carrier, percent: u32) -> Option<f64> {
    let row = rows.iter().find(|row| {
        row.case == Case::Change
            && row.carrier == carrier
            && row.passing.changed_percent == Some(percent)
    })?;
    Some(row.p50_ns as f64)
}

#[cfg(test)]
mod tests {
    use nowire_bench_harness::cell::{Party, Wait};
    use nowire_bench_harness::samples::Pool;

    use super::*;
    use crate::refs::SHORTER;
    use crate::row::Passing;

    fn row(carrier: Carrier, bytes: usize, services: usize, p50_ns: u64) -> anyhow::Result<Row> {
        let wait = Wait::Adaptive;
        let party = Party { carrier, wait };
        Ok(Row {
            p50_ns,
            passing: Passing {
                services: Some(services),
                ..Passing::default()
            },
            ..Row::of_calls(Case::Nested, party, bytes, 1, &Pool::new()?)
        })
    }

    fn line(rows: &[Row], goal: &str) -> String {
        let table = crate::goals::table(&goals(rows));
        let line = table.lines().find(|line| line.starts_with(goal));
        line.unwrap_or_default().into()
    }

    #[test]
    fn a_hop_is_what_services_add_that_have_a_core_for_themselves() -> anyhow::Result<()> {
        let hop = |place, bytes, services, round_p50_ns: [u64; 3]| {
            let mut row = row(Carrier::Refs, bytes, services, 1)?;
            row.case = Case::Hop;
            row.passing.place = Some(place);
            row.passing.round_p50_ns = round_p50_ns.to_vec();
            Ok::<_, anyhow::Error>(row)
        };
        let (apart, alternate) = (Place::Apart, Place::Alternate);
        let rows = [
            hop(alternate, 0, SHORTER, [40_000, 40_000, 40_000])?,
            hop(alternate, 0, LONGEST, [50_000, 50_000, 50_000])?,
            // The machine was slow in a round, and took a service away in one.
            hop(apart, 0, SHORTER, [40_000, 90_000, 40_000])?,
            hop(apart, 0, LONGEST, [80_000, 130_000, 45_000])?,
            hop(apart, 64 * KIB, SHORTER, [61_000, 140_000, 61_000])?,
            hop(apart, 64 * KIB, LONGEST, [105_000, 184_000, 180_000])?,
        ];
        let goal = "64 KiB, time per forwarding hop";
        let reached = line(&rows, goal);
        assert!(
            reached.contains("1.10 x") && reached.ends_with(" yes"),
            "{reached}"
        );
        let without_chain = line(&rows[..5], goal);
        assert!(without_chain.ends_with("not measured"), "{without_chain}");
        let mut disturbed = rows.to_vec();
        disturbed[4].passing.round_p50_ns = vec![106_000, 190_000, 61_000];
        let disturbed = line(&disturbed, goal);
        assert!(disturbed.ends_with("not measured"), "{disturbed}");
        Ok(())
    }

    #[test]
    fn each_carrier_is_judged_by_its_best_number_in_flight() -> anyhow::Result<()> {
        let chain = |carrier, in_flight, calls_per_s| {
            let row = row(carrier, MIB, LONGEST, 1)?;
            Ok::<_, anyhow::Error>(Row {
                in_flight,
                calls_per_s,
                ..row
            })
        };
        let rows = [
            chain(Carrier::Nowire, 8, 500.0)?,
            chain(Carrier::Nowire, 32, 300.0)?,
            chain(Carrier::Refs, 8, 3_000.0)?,
            chain(Carrier::Refs, 32, 4_000.0)?,
        ];
        let reached = line(&rows, "1 MiB, chain of 7");
        assert!(
            reached.contains("8.00 x") && reached.ends_with(" no"),
            "{reached}"
        );
        Ok(())
    }

    #[test]
    fn segments_used_once_reach_no_goal_for_the_default() -> anyhow::Result<()> {
        let share = |carrier, p50_ns| {
            let row = row(carrier, 4096, 1, p50_ns)?;
            Ok::<_, anyhow::Error>(Row {
                case: Case::Share,
                ..row
            })
        };
        let rows = [share(Carrier::Fresh, 100)?, share(Carrier::Refs, 1_500)?];
        let reached = line(&rows, "share by an owner");
        assert!(
            reached.contains("1.50 µs") && reached.ends_with(" no"),
            "{reached}"
        );
        Ok(())
    }
}
