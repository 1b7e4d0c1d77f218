//! `interop-server` as a process of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
};

/// A running `interop-server`; killed when dropped.
pub(crate) struct ServerProcess {
    child: Child,
    address: String,
}

impl ServerProcess {
    /// Starts the server and waits until it listens.
    pub(crate) fn start(address: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_interop-server"))
            .arg(format!("--address={address}"))
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
        Self { child, address }
    }

    /// The address as a client gives it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Kills the server: it gets no chance to say good-bye.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server is our child");
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
        self.child.wait().expect("the server is our child")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may be gone already, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
