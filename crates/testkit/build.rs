//! Generates the stubs of the depot.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["depot.proto"], ["proto", nowire_build::INCLUDE])?;
    nowire_build::configure()
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .compile_fds(files)?;
    Ok(())
}
