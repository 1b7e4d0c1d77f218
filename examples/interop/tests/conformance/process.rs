//! `interop-server` as a process of its own.

use std::{
    fs::{self, DirEntry},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Listen {
    /// A port that the system chooses.
    Tcp,
    /// A socket in the server's own directory.
    Unix,
    /// A name in the server's own directory.
    Name,
}

/// A running `interop-server`; killed when dropped.
pub(crate) struct ServerProcess {
    child: Child,
    address: String,
    runtime_dir: TempDir,
}

impl ServerProcess {
    /// Starts the server and waits until it listens.
    pub(crate) fn start(listen: Listen) -> Self {
        let runtime_dir = tempfile::tempdir().expect("a directory can be made");
        let address = match listen {
            Listen::Tcp => "127.0.0.1:0".into(),
            Listen::Unix => format!("unix:{}", runtime_dir.path().join("http2.sock").display()),
            Listen::Name => "nowire:interop".into(),
        };
        let (child, address) = spawn(&address, runtime_dir.path());
        Self {
            child,
            address,
            runtime_dir,
        }
    }

    /// The address as a client gives it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Where the server announces itself.
    pub(crate) fn runtime_dir(&self) -> &Path {
        self.runtime_dir.path()
    }

    /// Kills the server: it gets no chance to say good-bye.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server is our child");
    }

    /// Starts another server where the killed one was.
    pub(crate) fn start_again(&mut self) {
        (self.child, self.address) = spawn(&self.address, self.runtime_dir.path());
    }

    /// Makes the server stand still; all of its threads do when this returns.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        let stands_still = |task: DirEntry| {
            // A thread that has ended meanwhile does nothing either.
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            status.is_empty() || status.contains("State:\tT")
        };
        for _ in 0..1000 {
            let mut tasks = fs::read_dir(&tasks).expect("the server is there");
            if tasks.all(|task| stands_still(task.expect("it can be listed"))) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not stop");
    }

    /// Lets the server go on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal("-TERM");
        self.child.wait().expect("the server is our child")
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }
}

fn spawn(address: &str, runtime_dir: &Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_interop-server"))
        .arg(format!("--address={address}"))
        .env("NOWIRE_RUNTIME_DIR", runtime_dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("interop-server starts");
    let stdout = child.stdout.take().expect("its output is piped");
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("interop-server speaks");
    let address = line
        .strip_prefix("listening on ")
        .unwrap_or_else(|| panic!("interop-server said {line:?}"))
        .trim_end()
        .to_owned();
    (child, address)
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may be gone already, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
