//! Generates the stubs of the benchmark's services.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["bench.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    let files = protox::compile(["relay.proto"], ["proto"])?;
    // Neither carrier copies what a service only passes on more often than it
    // must.
    tonic_prost_build::configure()
        .bytes(".nowire.bench.relay.v1.Blob")
        .compile_fds(files)?;
    Ok(())
}
