//! Stubs for messages with `nowire.Blob` in them, from `build.rs`.
//!
//! ```no_run
//! // build.rs
//! fn main() -> std::io::Result<()> {
//!     nowire_build::configure().compile_protos(
//!         &["proto/images.proto"],
//!         &["proto", nowire_build::INCLUDE],
//!     )
//! }
//! ```
//! with `import "nowire/blob.proto";` in the `.proto` file. Without `protoc`, build
//! the descriptors with another compiler and give them to the builder's
//! `compile_fds`.
#![forbid(unsafe_code)]

/// The directory in which `nowire/blob.proto` lies, to look for imports in.
pub const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");

/// tonic's builder, set so that `nowire.Blob` is `nowire_grpc::Blob`, and that the
/// stubs encode with `nowire_grpc::ProstCodec`. The crate with the stubs depends
/// on `nowire-grpc`.
pub fn configure() -> tonic_prost_build::Builder {
    tonic_prost_build::configure()
        .extern_path(".nowire.Blob", "::nowire_grpc::Blob")
        .codec_path("::nowire_grpc::ProstCodec")
}
