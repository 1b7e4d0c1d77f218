//! The server: every feature that the description names, without TLS and authentication.

mod door;
mod echo;
mod load;
mod replies;
mod test_service;

use std::{
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use tonic::codec::CompressionEncoding::Gzip;

use crate::proto::{
    testing::test_service_server::TestServiceServer,
    xds::service::orca::v3::open_rca_service_server::OpenRcaServiceServer,
};

pub use door::Door;
use load::{LoadBoard, LoadReports};
use test_service::TestServer;

/// What may be set for the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerSettings {
    /// Largest request that is read, in bytes. Default 4 MiB, tonic's own.
    pub max_request_bytes: usize,
    /// Largest payload that a request may ask for, in bytes; more is refused with
    /// INVALID_ARGUMENT, because a few bytes could otherwise make the server fill its memory.
    /// Default 128 MiB.
    pub max_payload_bytes: usize,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            max_request_bytes: 4 << 20,
            max_payload_bytes: 128 << 20,
        }
    }
}

/// The services of the interoperability server; add each to a server's router.
///
/// `grpc.testing.UnimplementedService` is not among them: that is its purpose.
#[derive(Clone)]
#[non_exhaustive]
pub struct Services {
    /// `grpc.testing.TestService`.
    pub test: Door<TestServiceServer<TestServer>>,
    /// `xds.service.orca.v3.OpenRcaService`.
    pub load_reports: OpenRcaServiceServer<LoadReports>,
}

/// The services of one server instance.
pub fn services(settings: ServerSettings) -> Services {
    let board = LoadBoard::default();
    let test = TestServer::new(server_id(), settings.max_payload_bytes, board.clone());
    let test = TestServiceServer::new(test)
        .accept_compressed(Gzip)
        .send_compressed(Gzip)
        .max_decoding_message_size(settings.max_request_bytes);
    Services {
        test: Door::new(test),
        load_reports: OpenRcaServiceServer::new(LoadReports::new(board)),
    }
}

/// Another for each server: a process id comes back, but not at the same instant.
fn server_id() -> String {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}-{}", process::id(), since_epoch.as_nanos())
}
