//! The program as its reader runs it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_imagepipe");

#[test]
fn every_carrier_is_measured_in_every_mode_and_nothing_is_left_behind() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("figures.json");
    let folders = temp.path().join("folders");
    fs::create_dir(&folders).unwrap();
    let output = Command::new(PROGRAM)
        .args(["--quick", "--bytes", "4096", "--bytes", "66000"])
        .args(["--in-flight", "2", "--round-ms", "20", "--json"])
        .arg(&file)
        .env("TMPDIR", &folders)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("by reference, Nowire"), "{said}");

    let rows: Vec<Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let cells: BTreeSet<String> = rows
        .iter()
        .map(|row| format!("{} {} {}", row["carrier"], row["mode"], row["bytes"]))
        .collect();
    assert_eq!(cells.len(), 3 * 3 * 2, "{cells:?}");
    assert_eq!(rows.len(), cells.len());
    for row in &rows {
        assert!(row["calls"].as_u64() >= Some(4), "{row}");
        assert!(row["p50_ns"].as_u64() <= row["p99_ns"].as_u64(), "{row}");
    }
    assert!(is_empty(&folders));
    assert!(processes_of(&folders).is_empty());
}

#[test]
fn a_killed_program_leaves_no_process_and_no_folder() {
    let folders = tempfile::tempdir().unwrap();
    let mut program = Command::new(PROGRAM)
        .args(["--bytes", "4096", "--round-ms", "60000"])
        .env("TMPDIR", folders.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Six tiers for each of three carriers.
    wait_until("all tiers run", || processes_of(folders.path()).len() == 18);
    program.kill().unwrap();
    program.wait().unwrap();
    wait_until("all tiers have ended", || {
        processes_of(folders.path()).is_empty()
    });
    wait_until("the folders are gone", || is_empty(folders.path()));
}

#[test]
fn help_says_what_it_is_about() {
    let output = Command::new(PROGRAM).arg("--help").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for word in [
        "firewall",
        "transcoder",
        "--carrier",
        "--quick",
        "--json",
        "--placement",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

/// Processes that were told about a folder in this one.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|process| {
            // One that ended meanwhile has no command line any more.
            let line = fs::read(process.ok()?.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (line.contains(folder) && line.contains("--tier")).then_some(line)
        })
        .collect()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("waited in vain until {what}");
}
