//! `nowire doctor` as a user runs it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use nowire_control::demo::child::PrivateDir;
use serde_json::Value;

fn doctor(runtime_dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nowire"))
        .arg("doctor")
        .args(args)
        .env("NOWIRE_RUNTIME_DIR", runtime_dir)
        .output()
        .unwrap()
}

fn examine(runtime_dir: &Path) -> (Option<i32>, Value) {
    let output = doctor(runtime_dir, &["--json"]);
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code(), report)
}

fn finding<'a>(report: &'a Value, section: &str, id: &str) -> &'a Value {
    let findings = report[section].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["id"] == id)
        .unwrap_or_else(|| panic!("no {id} in {section}: {report}"))
}

#[test]
fn everything_looked_at_is_reported() {
    let dir = PrivateDir::create().unwrap();
    let (_, report) = examine(dir.path());
    let expected = [
        (
            "needs",
            &[
                "kernel",
                "cores",
                "memfd_seals",
                "unix_socket",
                "runtime_dir",
                "call",
            ][..],
        ),
        (
            "limits",
            &[
                "switch",
                "open_files",
                "cgroup_memory",
                "dev_shm",
                "locked_memory",
            ],
        ),
        (
            "offers",
            &[
                "userfaultfd",
                "protection_keys",
                "huge_pages_2m",
                "huge_pages_1g",
                "transparent_huge_pages",
                "cxl",
                "dax",
                "rdma",
                "user_wait",
            ],
        ),
    ];
    for (section, ids) in expected {
        for id in ids {
            let finding = finding(&report, section, id);
            for field in ["what", "here", "today"] {
                assert!(!finding[field].as_str().unwrap().is_empty(), "{finding}");
            }
        }
    }
}

#[test]
fn a_machine_that_can_seal_memory_is_fit() {
    let dir = PrivateDir::create().unwrap();
    let (code, report) = examine(dir.path());
    assert_eq!(finding(&report, "needs", "memfd_seals")["status"], "used");
    assert_eq!(finding(&report, "needs", "unix_socket")["status"], "used");
    assert_eq!(report["fit"], true);
    assert_eq!(code, Some(0));
}

#[test]
fn the_examination_leaves_nothing_behind() {
    let dir = PrivateDir::create().unwrap();
    let scratch = PrivateDir::create().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nowire"))
        .arg("doctor")
        .env("NOWIRE_RUNTIME_DIR", dir.path())
        .env("TMPDIR", scratch.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    for dir in [dir, scratch] {
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_missing_runtime_directory_is_not_made() {
    let parent = PrivateDir::create().unwrap();
    let missing = parent.path().join("nowire");
    let (code, report) = examine(&missing);
    let finding = finding(&report, "needs", "runtime_dir");
    assert!(
        finding["here"]
            .as_str()
            .unwrap()
            .contains("made when first needed")
    );
    assert_eq!(code, Some(0));
    assert!(!missing.exists());
}

#[test]
fn nothing_is_said_to_be_used_that_is_not() {
    let dir = PrivateDir::create().unwrap();
    let (_, report) = examine(dir.path());
    for finding in report["offers"].as_array().unwrap() {
        let status = finding["status"].as_str().unwrap();
        assert!(["unused", "absent"].contains(&status), "{finding}");
    }
}

#[test]
fn a_runtime_directory_that_others_may_write_is_named_and_fails() {
    let dir = PrivateDir::create().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (code, report) = examine(dir.path());
    let finding = finding(&report, "needs", "runtime_dir");
    assert_eq!(finding["status"], "missing");
    assert!(
        finding["here"].as_str().unwrap().contains("0777"),
        "{finding}"
    );
    assert_eq!(report["fit"], false);
    assert_eq!(code, Some(1));
}

#[test]
fn a_runtime_directory_that_is_a_file_fails() {
    let dir = PrivateDir::create().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let (code, _) = examine(&file);
    assert_eq!(code, Some(1));
}

#[test]
fn the_piped_table_is_plain_and_fits_eighty_columns() {
    let dir = PrivateDir::create().unwrap();
    let output = doctor(dir.path(), &[]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.is_ascii(), "{table}");
    for line in table.lines() {
        assert!(line.len() <= 80, "{line}");
    }
    assert!(table.contains("Nowire can work here."));
}
