//! Turns `proto/` into Rust and into the descriptors that reflection serves.

use std::{env, error::Error, fs, path::PathBuf};

const FILES: [&str; 2] = ["grpc/testing/test.proto", "xds/service/orca/v3/orca.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;

    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(
        out_dir.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    tonic_prost_build::configure()
        .bytes(".grpc.testing.Payload.body")
        .emit_rerun_if_changed(false)
        .build_transport(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
