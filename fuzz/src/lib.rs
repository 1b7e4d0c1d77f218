//! What the fuzz targets share: one function a target, and the inputs to start from.
#![forbid(unsafe_code)]

mod handshake_reader;
mod head_reader;
mod input;
mod native;
mod references;
pub mod replay;
mod restless;
mod ring_reader;
pub mod seeds;
mod slot;
mod stream_frames;
mod typed;

pub use handshake_reader::handshake_reader;
pub use head_reader::head_reader;
pub use native::client::native_client;
pub use native::server::native_server;
pub use references::references;
pub use ring_reader::ring_reader;
pub use stream_frames::stream_frames;
pub use typed::{
    checked_enum, checked_maps, checked_options, checked_slices, checked_struct, checked_tree,
    checked_while_changing,
};

/// Makes a fuzz target of one of this library's functions. Built for fuzzing, it
/// is libFuzzer's entry point; built otherwise, a program that feeds the function
/// the files named on its command line.
#[macro_export]
macro_rules! target {
    ($reader:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::$reader(input));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay::files(std::env::args_os().skip(1), $crate::$reader)
        }
    };
}
