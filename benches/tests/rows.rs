//! The benchmark as its user runs it: a program that writes rows.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Runs it and returns its rows and what it printed.
fn run(arguments: &[&str], cargo: Option<&str>) -> Result<(Vec<Value>, String)> {
    let mut name = format!("nowire-bench-{}", std::process::id());
    for argument in arguments {
        name.push_str(&argument.replace('/', "-"));
    }
    let file = std::env::temp_dir().join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_nowire-bench"));
    command
        .args(arguments)
        .args(["--quick", "--json"])
        .arg(&file);
    if let Some(cargo) = cargo {
        command.env("CARGO", cargo);
    }
    let run = command.output()?;
    ensure!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    let printed = String::from_utf8_lossy(&run.stdout).into_owned();
    Ok((serde_json::from_str(&text)?, printed))
}

/// The carriers of the rows, each of which must make sense.
fn carriers(rows: &[Value]) -> Result<BTreeSet<(&str, &str)>> {
    let mut carriers = BTreeSet::new();
    for row in rows {
        let carrier = row["carrier"].as_str().context("no carrier")?;
        let wait = row["wait"].as_str().context("no wait")?;
        carriers.insert((carrier, wait));
        let p50 = row["p50_ns"].as_u64().context("no median")?;
        let p999 = row["p999_ns"].as_u64().context("no p99.9")?;
        assert!(row["calls"].as_u64() > Some(0), "{row}");
        assert!(0 < p50 && p50 <= p999, "{row}");
        assert!(row["cpu_s"].as_f64() > Some(0.0), "{row}");
    }
    Ok(carriers)
}

fn with_floor<'a>(
    mut wanted: BTreeSet<(&'a str, &'a str)>,
) -> Result<BTreeSet<(&'a str, &'a str)>> {
    if std::thread::available_parallelism()?.get() > 1 {
        wanted.insert(("floor", "-"));
    } else {
        println!("one core only: no floor");
    }
    Ok(wanted)
}

#[test]
fn every_carrier_answers_in_one_run() -> Result<()> {
    let (rows, _) = run(&["grpc", "--only", "unary", "--bytes", "4096"], None)?;
    let wanted = with_floor(BTreeSet::from([
        ("inprocess", "-"),
        ("nowire", "adaptive"),
        ("nowire", "park"),
        ("unix", "-"),
        ("tcp", "-"),
    ]))?;
    assert_eq!(carriers(&rows)?, wanted);
    Ok(())
}

#[test]
fn connecting_is_measured_by_itself() -> Result<()> {
    let (rows, _) = run(&["grpc", "--only", "connect", "--carrier", "nowire"], None)?;
    assert_eq!(rows.len(), 1);
    let connected = rows[0]["p50_ns"].as_u64();
    let answered = rows[0]["first_call_p50_ns"].as_u64();
    assert!(connected > Some(0) && connected <= answered, "{}", rows[0]);
    Ok(())
}

#[test]
fn native_calls_stand_beside_what_else_there_is() -> Result<()> {
    let (rows, printed) = run(
        &["native", "--only", "write", "--bytes", "1048576"],
        Some("false"),
    )?;
    let wanted = with_floor(BTreeSet::from([
        ("trust", "adaptive"),
        ("copy", "adaptive"),
        ("sealed", "adaptive"),
        ("nowire", "adaptive"),
        ("unix", "-"),
    ]))?;
    assert_eq!(carriers(&rows)?, wanted);
    let goal = printed.lines().find(|line| line.starts_with("1 MiB"));
    let goal = goal.context("no goal for it")?;
    assert!(!goal.ends_with("not measured"), "{goal}");
    Ok(())
}

#[test]
fn a_rival_that_cannot_be_built_is_named_and_left_out() -> Result<()> {
    let (rows, printed) = run(
        &[
            "native",
            "--only",
            "connect",
            "--carrier",
            "unix",
            "--carrier",
            "iceoryx2",
        ],
        Some("false"),
    )?;
    assert_eq!(carriers(&rows)?, BTreeSet::from([("unix", "-")]));
    if std::thread::available_parallelism()?.get() > 1 {
        assert!(printed.contains("no iceoryx2 in this run"), "{printed}");
    } else {
        println!("one core only: no rival that polls is tried");
    }
    Ok(())
}

#[test]
fn trees_pages_and_seals_are_measured() -> Result<()> {
    let (rows, printed) = run(
        &[
            "native",
            "--only",
            "tree",
            "--only",
            "grow",
            "--only",
            "fetch",
            "--only",
            "pass",
            "--only",
            "seal",
            "--carrier",
            "trust",
            "--carrier",
            "copy",
            "--carrier",
            "sealed",
            "--carrier",
            "memcpy",
        ],
        None,
    )?;
    carriers(&rows)?;
    let cases: BTreeSet<&str> = rows.iter().filter_map(|row| row["case"].as_str()).collect();
    assert_eq!(
        cases,
        BTreeSet::from(["tree", "grow", "fetch", "pass", "seal"])
    );
    assert!(printed.contains("seal and check, 1024 pages"), "{printed}");
    Ok(())
}

/// A field of the only row of this carrier that has so many services.
fn of<'a>(rows: &'a [Value], carrier: &str, services: u64, field: &str) -> Result<&'a Value> {
    let mut rows = rows.iter().filter(|row| {
        row["carrier"] == carrier && row["services"] == services && row["in_flight"] == 8
    });
    let row = rows.next().context("no such row")?;
    ensure!(rows.next().is_none(), "{carrier} has several rows");
    Ok(&row[field])
}

#[test]
fn a_chain_passes_data_on_over_every_carrier() -> Result<()> {
    let figures = std::env::temp_dir().join(format!("nowire-figures-{}", std::process::id()));
    let path = figures.to_str().context("a path that is no text")?;
    let (rows, _) = run(
        &[
            "refs", "--only", "nested", "--bytes", "0", "--bytes", "65536", "--plot", path,
        ],
        None,
    )?;
    let wanted = BTreeSet::from([
        ("floor", "-"),
        ("unix", "-"),
        ("plain", "adaptive"),
        ("nowire", "adaptive"),
        ("refs", "adaptive"),
        ("fresh", "adaptive"),
    ]);
    assert_eq!(carriers(&rows)?, wanted);
    let lengths: BTreeSet<u64> = rows
        .iter()
        .filter_map(|row| row["services"].as_u64())
        .collect();
    assert_eq!(lengths, BTreeSet::from([1, 3, 7]));
    let figure = std::fs::read_to_string(figures.join("refs-fig5-nested.svg"))?;
    std::fs::remove_dir_all(&figures)?;
    assert!(figure.contains("by reference") && figure.contains("Unix socket"));
    Ok(())
}

#[test]
fn what_a_service_between_adds_is_measured_with_a_core_for_those_between() -> Result<()> {
    let (rows, printed) = run(
        &["refs", "--only", "hop", "--bytes", "0", "--bytes", "65536"],
        None,
    )?;
    let wanted = BTreeSet::from([("floor", "-"), ("nowire", "adaptive"), ("refs", "adaptive")]);
    assert_eq!(carriers(&rows)?, wanted);
    assert!(rows.iter().all(|row| row["place"] == "apart"));
    let aside = |row: &&Value| row["aside_bytes"].as_u64() == Some(1 << 16);
    assert_eq!(rows.iter().filter(aside).count(), 2, "both lengths");
    let goal = printed
        .lines()
        .find(|line| line.starts_with("64 KiB, time per forwarding hop"));
    let goal = goal.context("no goal for it")?;
    assert!(!goal.ends_with("not measured"), "{goal}");
    Ok(())
}

#[test]
fn a_balancer_has_to_do_with_a_token_and_not_with_the_data() -> Result<()> {
    let (rows, _) = run(&["refs", "--only", "balance", "--bytes", "65536"], None)?;
    let bytes = |carrier| of(&rows, carrier, 2, "forwarded_bytes_per_call");
    assert_eq!(bytes("unix")?, 131_072.0);
    assert_eq!(bytes("nowire")?, 131_072.0);
    assert_eq!(bytes("refs")?, 48.0);
    Ok(())
}

#[test]
fn sharing_changing_and_sealing_are_measured() -> Result<()> {
    let (rows, printed) = run(
        &[
            "refs", "--only", "share", "--only", "change", "--only", "stranger", "--bytes",
            "32768", "--bytes", "65536",
        ],
        None,
    )?;
    carriers(&rows)?;
    let changed: BTreeSet<u64> = rows
        .iter()
        .filter_map(|row| row["changed_percent"].as_u64())
        .collect();
    assert_eq!(changed, BTreeSet::from([0, 25, 50, 100]));
    assert!(printed.contains("beats copying from"), "{printed}");
    let goal = printed.lines().find(|line| line.starts_with("share by"));
    let goal = goal.context("no goal for it")?;
    assert!(!goal.ends_with("not measured"), "{goal}");
    Ok(())
}
