//! The example as its reader runs it.

use std::process::{Child, Command, Output};
use std::time::Duration;

use tempfile::TempDir;

/// The server in a process of its own; killed when dropped.
struct Server {
    process: Child,
    runtime_dir: TempDir,
}

impl Server {
    fn start() -> Self {
        let runtime_dir = tempfile::tempdir().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_native-server"))
            .env("NOWIRE_RUNTIME_DIR", runtime_dir.path())
            .spawn()
            .unwrap();
        Self {
            process,
            runtime_dir,
        }
    }

    /// Runs the client, again while the server is not announced yet.
    fn ask(&self) -> Output {
        let mut tries = 0..100;
        loop {
            let mut client = Command::new(env!("CARGO_BIN_EXE_native-client"));
            client.env("NOWIRE_RUNTIME_DIR", self.runtime_dir.path());
            let output = client.output().unwrap();
            let complaint = String::from_utf8_lossy(&output.stderr);
            if !complaint.contains("is not announced") || tries.next().is_none() {
                return output;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn orders_prices_and_lists_pass_without_messages() {
    let server = Server::start();
    for orders in [1, 2] {
        let output = server.ask();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        let said = String::from_utf8(output.stdout).unwrap();
        let pieces = 7 * orders;
        let expected = format!(
            "order 7: 61.00 € in 3 days\n\
             article 0: cup for 4.50 €, white or blue\n\
             article 2: teapot for 29.00 €, brown or blue or green\n\
             article 99: there are only 3\n\
             orders placed: {orders}\n\
             pieces ordered: {pieces}\n\
             for sale: cup for 4.50 €, white or blue\n\
             for sale: plate for 7.00 €, white\n\
             for sale: teapot for 29.00 €, brown or blue or green\n\
             awaited: 61.00 €, plate for 7.00 €, white\n"
        );
        assert_eq!(said, expected);
    }
}
