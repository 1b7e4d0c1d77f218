//! The example as its reader runs it.

use std::fs::DirBuilder;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::time::Duration;

const SERVER: &str = env!("CARGO_BIN_EXE_fallback-server");
const CLIENT: &str = env!("CARGO_BIN_EXE_fallback-client");

#[test]
fn a_nowire_server_is_called_by_shared_memory() {
    let server = Server::start(SERVER, &[]);
    let output = server.ask(CLIENT, None, "memory");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("seconds since 1970"), "{said}");
}

#[test]
fn switched_off_it_is_called_by_http2_and_the_reason_is_told() {
    let server = Server::start(SERVER, &[]);
    let output = server.ask(CLIENT, Some("off"), "http2");
    let reason = String::from_utf8_lossy(&output.stderr);
    assert!(reason.contains("NOWIRE"), "{reason}");
}

#[test]
fn a_plain_server_is_called_by_http2_and_the_reason_is_told() {
    let server = Server::start(SERVER, &["--plain"]);
    let output = server.ask(CLIENT, None, "http2");
    let reason = String::from_utf8_lossy(&output.stderr);
    assert!(reason.contains("reason="), "{reason}");
}

/// A server in a process of its own, and the directory it announces itself in.
struct Server {
    process: Child,
    runtime_dir: PathBuf,
    port: u16,
}

impl Server {
    fn start(program: &str, options: &[&str]) -> Self {
        let port = free_port();
        let runtime_dir = std::env::temp_dir().join(format!("nowire-example-{port}"));
        DirBuilder::new().mode(0o700).create(&runtime_dir).unwrap();
        let process = Command::new(program)
            .args(options)
            .arg(format!("127.0.0.1:{port}"))
            .env("NOWIRE_RUNTIME_DIR", &runtime_dir)
            .spawn()
            .unwrap();
        Self {
            process,
            runtime_dir,
            port,
        }
    }

    /// Runs the client until it is answered over `carrier`: one that is quicker
    /// than the server's announcement falls back, or finds nobody at all.
    fn ask(&self, client: &str, nowire: Option<&str>, carrier: &str) -> Output {
        let mut last = None;
        for _ in 0..100 {
            let mut command = Command::new(client);
            command
                .arg(format!("http://127.0.0.1:{}", self.port))
                .env("NOWIRE_RUNTIME_DIR", &self.runtime_dir)
                .env_remove("NOWIRE");
            command.envs(nowire.map(|value| ("NOWIRE", value)));
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            if output.status.success() && said.contains(&format!("carried by {carrier}")) {
                return output;
            }
            last = Some(output);
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("never answered over {carrier}: {last:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.runtime_dir);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
