//! The program as its reader runs it.

use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn every_carrier_is_measured_and_gives_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_cooldb"))
        .args(["--documents", "700", "--batch", "200"])
        .args(["--reads", "20", "--rounds", "1", "--json"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("point read by id"), "{said}");

    let rows: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let field = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
    let cases: BTreeSet<String> = rows.iter().map(|row| field(row, "case")).collect();
    let carriers: BTreeSet<String> = rows.iter().map(|row| field(row, "carrier")).collect();
    assert_eq!(cases.len(), 15, "{cases:?}");
    assert_eq!(rows.len(), cases.len() * carriers.len());
    for case in cases {
        let answers: BTreeSet<(u64, String)> = rows
            .iter()
            .filter(|row| row["case"] == case)
            .map(|row| (row["rows"].as_u64().unwrap(), field(row, "digest")))
            .collect();
        assert_eq!(answers.len(), 1, "{case}: {answers:?}");
    }
}
