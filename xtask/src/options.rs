//! The command line.

use std::fmt;

/// What `cargo xtask --help` prints.
pub(crate) const USAGE: &str = "\
Usage: cargo xtask check [OPTIONS]

Runs what CI runs, step by step, and ends with a table.

Options:
  --only STEP         run this step alone; may be given several times
  --skip STEP         leave this step out; may be given several times
  --fuzz-seconds N    seconds for each fuzz target (default 20)
  --list              print the steps and stop
  --help              print this";

/// Seconds each fuzz target runs unless told otherwise: long enough to get past
/// the seeds, short enough for every change.
const FUZZ_SECONDS: u32 = 20;

/// What the caller wants done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Print the usage.
    Help,
    /// Print the steps.
    List,
    /// Run the chosen steps.
    Check(Options),
}

/// How to run the check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    only: Vec<String>,
    skip: Vec<String>,
    /// Seconds for each fuzz target, at least 1.
    pub(crate) fuzz_seconds: u32,
}

/// A command line that cannot be followed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misuse {
    /// No subcommand, or one that does not exist.
    Command(Option<String>),
    /// An option that does not exist.
    Option(String),
    /// An option that lacks its value.
    NoValue(&'static str),
    /// A step that does not exist.
    Step(String),
    /// Not a whole number of seconds from 1 up.
    Seconds(String),
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::Command(None) => write!(f, "which command? there is one: check"),
            Misuse::Command(Some(given)) => {
                write!(f, "no command `{given}`; there is one: check")
            }
            Misuse::Option(given) => write!(f, "no option `{given}`"),
            Misuse::NoValue(option) => write!(f, "{option} needs a value"),
            Misuse::Step(given) => {
                write!(
                    f,
                    "no step `{given}`; `cargo xtask check --list` names them"
                )
            }
            Misuse::Seconds(given) => {
                write!(
                    f,
                    "--fuzz-seconds takes a whole number from 1 up, not `{given}`"
                )
            }
        }
    }
}

impl Options {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// [`Misuse`], for the caller to print beside [`USAGE`].
    pub(crate) fn parse(
        args: impl Iterator<Item = String>,
        steps: &[&str],
    ) -> Result<Request, Misuse> {
        let mut args = args;
        match args.next().as_deref() {
            Some("check") => {}
            Some("--help" | "-h" | "help") => return Ok(Request::Help),
            other => return Err(Misuse::Command(other.map(String::from))),
        }
        let mut options = Options {
            only: Vec::new(),
            skip: Vec::new(),
            fuzz_seconds: FUZZ_SECONDS,
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--help" | "-h" => return Ok(Request::Help),
                "--list" => return Ok(Request::List),
                "--only" => options.only.push(step(args.next(), "--only", steps)?),
                "--skip" => options.skip.push(step(args.next(), "--skip", steps)?),
                "--fuzz-seconds" => options.fuzz_seconds = seconds(args.next())?,
                _ => return Err(Misuse::Option(arg)),
            }
        }
        Ok(Request::Check(options))
    }

    /// Whether the caller wants this step run.
    pub(crate) fn wants(&self, step: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|name| name == step);
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

fn step(value: Option<String>, option: &'static str, steps: &[&str]) -> Result<String, Misuse> {
    let name = value.ok_or(Misuse::NoValue(option))?;
    if steps.contains(&name.as_str()) {
        Ok(name)
    } else {
        Err(Misuse::Step(name))
    }
}

fn seconds(value: Option<String>) -> Result<u32, Misuse> {
    let text = value.ok_or(Misuse::NoValue("--fuzz-seconds"))?;
    match text.parse() {
        Ok(seconds) if seconds > 0 => Ok(seconds),
        _ => Err(Misuse::Seconds(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, Misuse> {
        Options::parse(
            line.split_whitespace().map(String::from),
            &["fmt", "test", "fuzz"],
        )
    }

    fn options(line: &str) -> Options {
        match parse(line) {
            Ok(Request::Check(options)) => options,
            other => panic!("`{line}` gave {other:?}"),
        }
    }

    #[test]
    fn without_options_every_step_runs_and_each_fuzz_target_has_its_time() {
        let all = options("check");
        assert!(all.wants("fmt") && all.wants("fuzz"));
        assert_eq!(all.fuzz_seconds, FUZZ_SECONDS);
    }

    #[test]
    fn only_narrows_and_skip_wins_over_it() {
        let some = options("check --only fmt --only test --skip test");
        assert!(some.wants("fmt"));
        assert!(!some.wants("test"));
        assert!(!some.wants("fuzz"));
    }

    #[test]
    fn misspelt_step_is_refused_rather_than_silently_skipped() {
        assert_eq!(
            parse("check --skip tset"),
            Err(Misuse::Step("tset".to_owned()))
        );
    }

    #[test]
    fn zero_fuzz_seconds_would_mean_for_ever_and_is_refused() {
        assert_eq!(
            parse("check --fuzz-seconds 0"),
            Err(Misuse::Seconds("0".to_owned()))
        );
    }

    #[test]
    fn unknown_words_and_missing_values_are_refused() {
        assert_eq!(parse(""), Err(Misuse::Command(None)));
        assert_eq!(
            parse("chekc"),
            Err(Misuse::Command(Some("chekc".to_owned())))
        );
        assert_eq!(
            parse("check --quick"),
            Err(Misuse::Option("--quick".to_owned()))
        );
        assert_eq!(parse("check --only"), Err(Misuse::NoValue("--only")));
    }
}
