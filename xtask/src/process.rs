//! Running other programs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::step::Failure;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(50);

/// After this long a program is taken to hang. A whole check is to stay below
/// half an hour, so no part of it may take more than most of that.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Runs a program that prints where this one prints.
///
/// # Errors
/// The program is missing, ends with another status than success, or hangs.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = announce(command);
    let child = start(command, &shown)?;
    judge(wait(child, &shown)?, &shown)
}

/// Runs a program, passing on what it prints to standard output and returning
/// what `keep` makes of its lines.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_keeping<T: Send + 'static>(
    command: &mut Command,
    keep: fn(&str) -> Option<T>,
) -> Result<Vec<T>, Failure> {
    let shown = announce(command);
    let mut child = start(command.stdout(Stdio::piped()), &shown)?;
    let Some(output) = child.stdout.take() else {
        return Err(Failure::wrong(format!("`{shown}` has no output to read")));
    };
    let reader = thread::spawn(move || {
        let mut kept = Vec::new();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
            kept.extend(keep(&line));
        }
        kept
    });
    // The reader is joined only after a good end: a program that hangs may leave
    // children behind that keep the pipe open.
    judge(wait(child, &shown)?, &shown)?;
    reader
        .join()
        .map_err(|_| Failure::wrong(format!("could not read what `{shown}` printed")))
}

/// Whether a program can be started and says so with success, printing nothing.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Prints the command line, so that a failing step can be repeated by hand, and
/// returns it without the variables before it, for messages.
fn announce(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let here = command.get_current_dir().unwrap_or(Path::new("."));
    let mut shown = match program.strip_prefix(here) {
        Ok(inside) => inside.display().to_string(),
        Err(_) => program
            .file_name()
            .unwrap_or_default()
            .display()
            .to_string(),
    };
    for word in command.get_args() {
        shown.push(' ');
        shown += &word.to_string_lossy();
    }
    let mut set = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            set += &format!("{}={:?} ", name.display(), value.to_string_lossy());
        }
    }
    println!("    $ {set}{shown}");
    shown
}

fn start(command: &mut Command, shown: &str) -> Result<Child, Failure> {
    command
        .spawn()
        .map_err(|why| Failure::wrong(format!("`{shown}` did not start: {why}")))
}

fn wait(mut child: Child, shown: &str) -> Result<ExitStatus, Failure> {
    let lost = |why| Failure::wrong(format!("lost sight of `{shown}`: {why}"));
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(lost)? {
            return Ok(status);
        }
        if begin.elapsed() > LIMIT {
            child.kill().map_err(lost)?;
            child.wait().map_err(lost)?;
            return Err(Failure::wrong(format!(
                "`{shown}` was still running after {} s",
                LIMIT.as_secs()
            )));
        }
        thread::sleep(POLL);
    }
}

fn judge(status: ExitStatus, shown: &str) -> Result<(), Failure> {
    if status.success() {
        Ok(())
    } else {
        Err(Failure::wrong(format!("`{shown}` ended with {status}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_that_fails_or_does_not_exist_is_a_failure_that_names_it() {
        let failed = run(Command::new("sh").args(["-c", "exit 3"]));
        assert!(
            matches!(&failed, Err(Failure(why)) if why.contains("sh -c exit 3")),
            "{failed:?}"
        );
        let missing = run(&mut Command::new("no-such-program-here"));
        assert!(
            matches!(&missing, Err(Failure(why)) if why.contains("no-such-program-here")),
            "{missing:?}"
        );
    }

    #[test]
    fn wanted_lines_are_kept_in_their_order() {
        let kept = run_keeping(
            Command::new("sh").args(["-c", "echo 3; echo of; echo 4"]),
            |line| line.parse::<u32>().ok(),
        );
        assert_eq!(kept, Ok(vec![3, 4]));
    }
}
