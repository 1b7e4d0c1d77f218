//! `nowire demo` as a user runs it: real processes, every carrier.

use std::collections::HashSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nowire_control::demo::child::PrivateDir;
use nowire_control::demo::{CLIENT, SERVER};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

/// Far longer than anything here takes, so that a hang is told from a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const ENDLESS: &str = "1000000";

fn demo(dir: &PrivateDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nowire"));
    command
        .arg("demo")
        .env("TMPDIR", dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The child of `parent` that runs the subcommand `role`.
fn find_child(parent: u32, role: &str) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .find(|pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|&byte| byte == 0)
                .any(|arg| arg == role.as_bytes())
        })
}

fn both_children(demo: &Child) -> [u32; 2] {
    [SERVER, CLIENT].map(|role| wait_for(role, || find_child(demo.id(), role)))
}

fn gone(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

fn send(pid: u32, signal: Signal) {
    kill_process(self::pid(pid), signal).unwrap();
}

fn pid(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().unwrap()).unwrap()
}

fn files_in(dir: &PrivateDir) -> usize {
    fs::read_dir(dir.path()).unwrap().count()
}

#[test]
fn all_carriers_bring_equal_answers() {
    let dir = PrivateDir::create().unwrap();
    let figures = dir.path().join("figures.json");
    let output = demo(&dir)
        .args(["--calls", "20", "--plain", "--json"])
        .arg(&figures)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("answers equal"), "{stdout}");
    assert!(stdout.is_ascii(), "plain output is ASCII: {stdout}");
    for carrier in ["TCP", "Unix socket", "Nowire"] {
        let rows = stdout
            .lines()
            .filter(|line| line.contains(carrier) && line.trim_end().ends_with(" x"))
            .count();
        assert_eq!(rows, 4, "rows of {carrier} in the table:\n{stdout}");
    }

    let figures: Value = serde_json::from_slice(&fs::read(figures).unwrap()).unwrap();
    assert_eq!(figures["answers_equal"], true);
    let rows = figures["rows"].as_array().unwrap();
    for kind in ["unary", "server_stream", "client_stream", "bidi_stream"] {
        let of_kind: Vec<_> = rows.iter().filter(|row| row["kind"] == kind).collect();
        let carriers: HashSet<_> = of_kind.iter().map(|row| row["carrier"].as_str()).collect();
        assert_eq!(
            carriers,
            HashSet::from([Some("tcp"), Some("unix"), Some("nowire")])
        );
        for row in &of_kind {
            assert_eq!(row["digest"], of_kind[0]["digest"]);
            assert_eq!(row["calls"], 20);
            // Every call was made twice: alone, and among others.
            assert!(row["messages"].as_u64().unwrap() >= 40, "{row}");
            assert!(row["p50_ns"].as_u64() <= row["p99_ns"].as_u64(), "{row}");
        }
    }
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let dir = PrivateDir::create().unwrap();
        let mut command = demo(&dir);
        let mut demo = command
            .args(["--calls", ENDLESS])
            .process_group(0)
            .spawn()
            .unwrap();
        let children = both_children(&demo);
        assert_eq!(files_in(&dir), 1, "the demo's private directory");
        // As a terminal does it on Ctrl-C.
        kill_process_group(pid(demo.id()), signal).unwrap();
        let status = wait_for("the demo to end", || demo.try_wait().unwrap());
        assert_eq!(status.code(), Some(code), "{signal:?}");
        // Reaped, not only killed: a zombie would still be listed.
        assert!(children.into_iter().all(gone), "{signal:?}");
        assert_eq!(files_in(&dir), 0, "{signal:?}");
    }
}

#[test]
fn a_killed_demo_takes_its_children_along() {
    let dir = PrivateDir::create().unwrap();
    let mut demo = demo(&dir).args(["--calls", ENDLESS]).spawn().unwrap();
    let children = both_children(&demo);
    send(demo.id(), Signal::KILL);
    demo.wait().unwrap();
    for child in children {
        wait_for("an orphan to die", || ended(child).then_some(()));
    }
}

/// Whether `pid` is gone or a zombie: nobody may be there to reap an orphan.
fn ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    matches!(state, None | Some('Z' | 'X'))
}

#[test]
fn a_dead_server_fails_the_demo() {
    let dir = PrivateDir::create().unwrap();
    let demo = demo(&dir).args(["--calls", ENDLESS]).spawn().unwrap();
    let [server, client] = both_children(&demo);
    // A little later the client is surely in the middle of its calls.
    std::thread::sleep(Duration::from_millis(300));
    send(server, Signal::KILL);
    let output = demo.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("nowire: "), "{stderr}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("answers equal"));
    assert!(gone(client));
    assert_eq!(files_in(&dir), 0);
}

#[test]
fn the_hidden_subcommands_refuse_strangers() {
    let output = Command::new(env!("CARGO_BIN_EXE_nowire"))
        .args([
            SERVER,
            "--parent",
            "1000000000",
            "--unix",
            "/nonexistent/guide.sock",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowire demo"));
}
