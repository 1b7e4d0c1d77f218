use std::net::TcpListener;
use std::process::{Child, Command, Output};
use std::time::Duration;

use tempfile::TempDir;

/// An example's server in a process of its own, and the directory it announces
/// itself in. Killed when dropped.
#[derive(Debug)]
pub struct ExampleServer {
    process: Child,
    runtime_dir: TempDir,
    port: u16,
}

impl ExampleServer {
    /// Starts the server `program` with `options`, then its address.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(program: &str, options: &[&str]) -> Self {
        let port = free_port();
        let runtime_dir = tempfile::tempdir().expect("a temporary directory");
        let process = Command::new(program)
            .args(options)
            .arg(format!("127.0.0.1:{port}"))
            .env("NOWIRE_RUNTIME_DIR", runtime_dir.path())
            .spawn()
            .expect("the program can be started");
        Self {
            process,
            runtime_dir,
            port,
        }
    }

    /// Runs the program `client`, with `NOWIRE` set to `nowire` or not at all,
    /// until it is answered over `carrier`: one that is quicker than the server's
    /// announcement falls back, or finds nobody at all.
    ///
    /// # Panics
    /// If it cannot be started, or is not answered so in a hundred runs.
    pub fn ask(&self, client: &str, nowire: Option<&str>, carrier: &str) -> Output {
        let mut last = None;
        for _ in 0..100 {
            let mut command = Command::new(client);
            command
                .arg(format!("http://127.0.0.1:{}", self.port))
                .env("NOWIRE_RUNTIME_DIR", self.runtime_dir.path())
                .env_remove("NOWIRE");
            command.envs(nowire.map(|value| ("NOWIRE", value)));
            let output = command.output().expect("the program can be started");
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

impl Drop for ExampleServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is TCP").port()
}
