//! The messages, clients and servers that `proto/` describes.

/// The descriptors of every file in `proto/`, encoded, as reflection services take them.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The services and messages of the interoperability tests.
pub mod testing {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("grpc.testing");
}

/// Load reports, as the xDS interfaces have them; the module path is the package.
pub mod xds {
    /// Messages.
    pub mod data {
        /// Open request cost aggregation.
        pub mod orca {
            /// Version 3.
            pub mod v3 {
                #![allow(missing_docs, unreachable_pub, reason = "generated code")]
                tonic::include_proto!("xds.data.orca.v3");
            }
        }
    }
    /// Services.
    pub mod service {
        /// Open request cost aggregation.
        pub mod orca {
            /// Version 3.
            pub mod v3 {
                #![allow(
                    missing_docs,
                    unreachable_pub,
                    clippy::allow_attributes_without_reason,
                    reason = "generated code"
                )]
                tonic::include_proto!("xds.service.orca.v3");
            }
        }
    }
}
