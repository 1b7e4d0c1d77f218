//! The example as its reader runs it.

use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::Duration;

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(program: &str, arguments: &[&str], dir: &Path, nowire: Option<&str>) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("NOWIRE_RUNTIME_DIR", dir)
        .env_remove("NOWIRE")
        .envs(nowire.map(|value| ("NOWIRE", value)));
    command
}

/// Runs all three, the client until both others have begun to serve.
fn run(nowire: Option<&str>, carrier: &str) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| format!("unix:{}", dir.path().join(name).display());
    let (worker, forwarder) = (path("worker"), path("forwarder"));
    let start = |program: &str, arguments: &[&str]| {
        let started = command(program, arguments, dir.path(), nowire).spawn();
        Running(started.expect("the program can be started"))
    };
    let worker_program = env!("CARGO_BIN_EXE_references-worker");
    let _worker = start(worker_program, &[&worker]);
    let forwarder_program = env!("CARGO_BIN_EXE_references-forwarder");
    let _forwarder = start(forwarder_program, &[&worker, &forwarder]);
    let mut last: Option<Output> = None;
    for _ in 0..100 {
        let client = env!("CARGO_BIN_EXE_references-client");
        let output = command(client, &[&forwarder], dir.path(), nowire).output();
        let output = output.expect("the program can be started");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() && said.contains(&format!("carried by {carrier}")) {
            return said;
        }
        last = Some(output);
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("never answered over {carrier}: {last:?}");
}

const SAID: &str = "\
written: 8000000 bytes
counted: 100000 lines
counted: 100000 lines
counted: 100000 lines
redacted: line 0 is ******
own text: line 0 is secret
";

#[test]
fn a_document_is_worked_on_two_processes_away_and_stays_as_it_was() {
    assert!(run(None, "memory").starts_with(SAID));
}

#[test]
fn the_same_programs_do_the_same_over_http2() {
    assert!(run(Some("off"), "http2").starts_with(SAID));
}
