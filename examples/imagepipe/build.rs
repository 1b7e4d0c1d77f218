//! Compiles the service definition without `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=imagepipe.proto");
    println!("cargo:rerun-if-changed=proto/nowire/blob.proto");
    let descriptors = protox::compile(["imagepipe.proto"], [".", "proto"])?;
    tonic_prost_build::configure()
        .extern_path(".nowire.Blob", "crate::blob::Blob")
        .compile_fds(descriptors)?;
    Ok(())
}
