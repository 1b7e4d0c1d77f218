//! A minute of fuzzing for every reader of foreign memory.

use std::fs::{self, File};
use std::path::Path;

use crate::context::Context;
use crate::process::run;
use crate::step::{Done, Failure, Step};

/// No fuzz target finds an input that breaks its reader.
pub(crate) const STEP: Step = Step {
    name: "fuzz",
    what: "a short run of every fuzz target finds nothing",
    run: fuzz,
};

/// The manifest of the fuzz targets, which are outside the workspace.
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

/// What makes stable rustc instrument code for libFuzzer.
const FLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing";

/// Named outright so that build scripts and macros are not instrumented.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// The longest input tried, in bytes. Longer ones are slower and reach nothing
/// more: no reader looks at more than a few slots or one small block at a time.
const INPUT_BYTES_MAX: u32 = 4096;

fn fuzz(context: &Context) -> Result<Done, Failure> {
    let folder = context.root.join("fuzz");
    let targets = targets(&folder)?;
    run(context
        .cargo_resolving(["run", "--quiet", "--manifest-path", MANIFEST])
        .args(["--bin", "seeds", "--"])
        .arg(folder.join("corpus")))?;
    let named = targets.iter().flat_map(|target| ["--bin", target]);
    run(context
        .cargo_resolving(["build", "--release", "--target", TRIPLE])
        .args(named)
        .args(["--manifest-path", MANIFEST, "--target-dir"])
        .arg(folder.join("target"))
        .env("RUSTFLAGS", FLAGS))?;
    let mut inputs = 0;
    for target in &targets {
        inputs += run_target(context, &folder, target)?;
    }
    Ok(Done::noting(format!(
        "{} targets, {} s each, {inputs} inputs",
        targets.len(),
        context.options.fuzz_seconds
    )))
}

/// The names of all targets, each a file of its own.
fn targets(folder: &Path) -> Result<Vec<String>, Failure> {
    let sources = folder.join("fuzz_targets");
    let listed = fs::read_dir(&sources)
        .map_err(|why| Failure::wrong(format!("cannot list {}: {why}", sources.display())))?;
    let mut targets: Vec<String> = listed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    targets.sort();
    if targets.is_empty() {
        return Err(Failure::wrong(format!(
            "no target in {}",
            sources.display()
        )));
    }
    Ok(targets)
}

/// Runs one target and returns how many inputs it tried. libFuzzer's own, long
/// account goes to a file and is shown only when something was found.
fn run_target(context: &Context, folder: &Path, target: &str) -> Result<u64, Failure> {
    let program = folder
        .join("target")
        .join(TRIPLE)
        .join("release")
        .join(target);
    let corpus = folder.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    let trouble = |why| Failure::wrong(format!("fuzzing {target}: {why}"));
    fs::create_dir_all(&corpus).map_err(trouble)?;
    fs::create_dir_all(&artifacts).map_err(trouble)?;
    let log_path = artifacts.with_extension("log");
    let log = File::create(&log_path).map_err(trouble)?;
    let outcome = run(context
        .command(program)
        .arg(format!("-max_total_time={}", context.options.fuzz_seconds))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(corpus)
        .stderr(log));
    let account = fs::read(&log_path).map_err(trouble)?;
    let account = String::from_utf8_lossy(&account);
    if outcome.is_err() {
        print_end(&account);
        return Err(Failure::wrong(format!(
            "{target} broke; the input is in {}",
            artifacts.display()
        )));
    }
    match inputs(&account) {
        Some(count) if count > 0 => {
            println!("      {count} inputs");
            Ok(count)
        }
        _ => {
            print_end(&account);
            Err(Failure::wrong(format!("{target} tried no input")))
        }
    }
}

fn print_end(account: &str) {
    let lines: Vec<&str> = account.lines().collect();
    for line in &lines[lines.len().saturating_sub(80)..] {
        println!("      {line}");
    }
}

/// The count in libFuzzer's closing statistics.
fn inputs(account: &str) -> Option<u64> {
    let line = account
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::inputs;

    #[test]
    fn libfuzzers_statistics_give_the_number_of_inputs() {
        let account = "Done 4711 runs in 2 second(s)\n\
            stat::number_of_executed_units: 4711\n\
            stat::average_exec_per_sec:     2355\n";
        assert_eq!(inputs(account), Some(4711));
        assert_eq!(inputs("==1== ERROR: libFuzzer: deadly signal\n"), None);
    }
}
