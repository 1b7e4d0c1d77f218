//! Generates the stubs of the benchmark's services.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["bench.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    let files = protox::compile(["relay.proto"], ["proto", nowire_build::INCLUDE])?;
    nowire_build::configure().compile_fds(files)?;
    Ok(())
}
