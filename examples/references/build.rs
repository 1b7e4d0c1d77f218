//! Compiles the service definition without `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=archive.proto");
    let descriptors = protox::compile(["archive.proto"], [".", nowire_build::INCLUDE])?;
    nowire_build::configure().compile_fds(descriptors)?;
    Ok(())
}
