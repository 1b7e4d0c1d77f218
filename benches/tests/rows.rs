//! The benchmark as its user runs it: a program that writes rows.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

fn rows(arguments: &[&str]) -> Result<Vec<Value>> {
    let file = std::env::temp_dir().join(format!(
        "nowire-bench-rows-{}-{}.json",
        std::process::id(),
        arguments.len()
    ));
    let run = Command::new(env!("CARGO_BIN_EXE_nowire-bench"))
        .args(["grpc", "--quick", "--json"])
        .arg(&file)
        .args(arguments)
        .output()?;
    ensure!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    Ok(serde_json::from_str(&text)?)
}

#[test]
fn every_carrier_answers_in_one_run() -> Result<()> {
    let rows = rows(&["--only", "unary", "--bytes", "4096"])?;
    let mut carriers = BTreeSet::new();
    for row in &rows {
        let carrier = row["carrier"].as_str().context("no carrier")?;
        let wait = row["wait"].as_str().context("no wait")?;
        carriers.insert((carrier, wait));
        let p50 = row["p50_ns"].as_u64().context("no median")?;
        let p999 = row["p999_ns"].as_u64().context("no p99.9")?;
        assert!(row["calls"].as_u64() > Some(0), "{row}");
        assert!(0 < p50 && p50 <= p999, "{row}");
        assert!(row["cpu_s"].as_f64() > Some(0.0), "{row}");
    }
    let mut wanted = BTreeSet::from([
        ("inprocess", "-"),
        ("nowire", "adaptive"),
        ("nowire", "park"),
        ("unix", "-"),
        ("tcp", "-"),
    ]);
    if std::thread::available_parallelism()?.get() > 1 {
        wanted.insert(("floor", "-"));
    } else {
        println!("one core only: no floor");
    }
    assert_eq!(carriers, wanted);
    Ok(())
}

#[test]
fn connecting_is_measured_by_itself() -> Result<()> {
    let rows = rows(&["--only", "connect", "--carrier", "nowire"])?;
    assert_eq!(rows.len(), 1);
    let connected = rows[0]["p50_ns"].as_u64();
    let answered = rows[0]["first_call_p50_ns"].as_u64();
    assert!(connected > Some(0) && connected <= answered, "{}", rows[0]);
    Ok(())
}
