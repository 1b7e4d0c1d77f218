//! A runtime directory, and the programs that meet in it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use nowire::{Channel, ChannelOptions, HeapOptions, Keeping, Running, Server};

use crate::child::{ROLE, RUNTIME, SETUP};
use crate::common::Runtime;
use crate::lab::{Bench, LabAsyncClient, LabClient, LabServer};

/// The heaps of tests. Their windows are small, so that hardly ever one lies where
/// the peer, busy with other tests, has another: it would work on copies.
pub(crate) fn heap() -> HeapOptions {
    HeapOptions {
        window_bytes: 256 << 20,
        ..HeapOptions::default()
    }
}

/// What the server of a test is called.
pub(crate) const NAME: &str = "lab";

pub(crate) struct House {
    runtime: Runtime,
}

impl House {
    pub(crate) fn new() -> Self {
        Self {
            runtime: Runtime::new(),
        }
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A server in a process of its own, with a setup as [`Setup`](crate::child::Setup)
    /// reads it.
    pub(crate) fn server(&self, setup: &str) -> Program {
        let mut program = self.program("serve", setup);
        program.line("serving");
        program
    }

    /// A program in a process of its own, in one of the roles of
    /// [`child`](crate::child).
    pub(crate) fn program(&self, role: &str, setup: &str) -> Program {
        Program::start(role, setup, &self.runtime)
    }

    /// A server in this process.
    pub(crate) fn server_here(&self) -> Running {
        let server = Server::builder().runtime_dir(self.runtime.path());
        let server = server.add(LabServer::new(Bench::default()));
        server.start(NAME).expect("a free name")
    }

    pub(crate) fn options(&self) -> ChannelOptions {
        let mut options = ChannelOptions::default();
        options.connect.heap = Some(heap());
        options.connect.runtime_dir = Some(self.runtime.path().into());
        // A busy machine must not fail a test.
        options.connect.timeout = crate::vitals::PATIENCE;
        options
    }

    pub(crate) fn trusting(&self) -> ChannelOptions {
        ChannelOptions {
            keeping: Keeping::Trust,
            ..self.options()
        }
    }

    pub(crate) fn channel(&self) -> Channel {
        connect(self.options())
    }

    pub(crate) fn client(&self) -> LabClient {
        LabClient::new(self.channel())
    }

    pub(crate) async fn async_client(&self) -> LabAsyncClient {
        let channel = Channel::connect(NAME, self.options()).await;
        LabAsyncClient::new(channel.expect("the server is there"))
    }
}

pub(crate) fn connect(options: ChannelOptions) -> Channel {
    nowire::connect_with(NAME, options).expect("the server is there")
}

/// Another process that runs this program, killed when dropped.
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(role: &str, setup: &str, runtime: &Runtime) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "child::process", "--nocapture"])
            .env(ROLE, role)
            .env(SETUP, setup)
            .env(RUNTIME, runtime.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().expect("it is piped")),
            child,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The rest of the first line that begins with `prefix`.
    pub(crate) fn line(&mut self, prefix: &str) -> String {
        let mut before = String::new();
        loop {
            let mut line = String::new();
            let bytes = self.output.read_line(&mut line).expect("readable output");
            assert!(
                bytes > 0,
                "it ended before it said {prefix:?}; it said:\n{before}"
            );
            if let Some(rest) = line.trim_end().strip_prefix(prefix) {
                return rest.trim_start().to_owned();
            }
            before.push_str(&line);
        }
    }

    /// Says a line to the program.
    pub(crate) fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it was not told to end");
        writeln!(input, "{line}").expect("it listens");
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it is ours");
    }

    /// Stops it, and waits until none of its threads runs.
    pub(crate) fn stop(&self) {
        self.signal(rustix::process::Signal::STOP);
        crate::vitals::wait_until("it stops", || {
            let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid()));
            threads.expect("it is ours").flatten().all(|thread| {
                let stat = std::fs::read_to_string(thread.path().join("stat"));
                stat.is_ok_and(|stat| {
                    stat.rsplit_once(") ")
                        .is_some_and(|(_, s)| s.starts_with('T'))
                })
            })
        });
    }

    pub(crate) fn resume(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    /// Kills it, as nothing can be helped against.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    /// Whether it was killed by SIGKILL, once it has ended.
    pub(crate) fn was_killed(&mut self) -> bool {
        self.wait().signal() == Some(9)
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        crate::vitals::wait_until("a program ends", || {
            ended = self.child.try_wait().expect("it is ours");
            ended.is_some()
        });
        ended.expect("it has ended")
    }

    /// Lets it end by itself; whether all was well.
    pub(crate) fn end(&mut self) -> bool {
        self.input = None;
        self.wait().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
