use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::vitals::Vitals;

/// How long a program may take to say what it is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that was started, speaks in lines and can be killed and stopped.
/// Killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Program {
    /// Starts a program.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start<I, A>(path: &str, arguments: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        let mut command = Command::new(path);
        command.args(arguments);
        Self::run(command)
    }

    /// Starts the program that `command` runs.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let input = child.stdin.take();
        let output = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            input,
            lines,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The rest of the next line that begins with `prefix`.
    ///
    /// # Panics
    /// If it ends or is silent for a minute before it says so.
    pub fn line(&self, prefix: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => match line.strip_prefix(prefix) {
                    Some(rest) => return rest.trim().to_owned(),
                    None => heard.push(line),
                },
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no line {prefix:?} in time, but {heard:?}")
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without a line {prefix:?}; it said {heard:?}")
                }
            }
        }
    }

    /// Says a line to it.
    ///
    /// # Panics
    /// If it no longer listens.
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("not closed yet");
        writeln!(input, "{line}").expect("it listens");
    }

    /// Says a line and returns the rest of the answer, which begins the same.
    ///
    /// # Panics
    /// As [`say`](Self::say) and [`line`](Self::line).
    pub fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.line(line)
    }

    /// Kills it, `kill -9`.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("it is ours");
    }

    /// Waits until it ends by itself; whether that was by `SIGKILL`.
    ///
    /// # Panics
    /// If it does not end within a minute.
    pub fn was_killed(&mut self) -> bool {
        self.wait().signal() == Some(9)
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "it did not end in time");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it until [`resume`](Self::resume).
    ///
    /// # Panics
    /// If it has ended.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If it has ended.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("it is ours and runs");
    }

    /// Closes its input, at which it ends, and waits for that.
    ///
    /// # Panics
    /// If it does not end within a minute.
    pub fn end(&mut self) -> ExitStatus {
        self.input = None;
        self.wait()
    }

    /// What it has and uses.
    ///
    /// # Panics
    /// If it has ended.
    pub fn vitals(&self) -> Vitals {
        Vitals::of(self.pid()).expect("it runs")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
