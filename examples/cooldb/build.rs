//! Compiles the service definition without `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=cooldb.proto");
    let descriptors = protox::compile(["cooldb.proto"], ["."])?;
    tonic_prost_build::configure()
        .btree_map(".cooldb.Object")
        .compile_fds(descriptors)?;
    Ok(())
}
