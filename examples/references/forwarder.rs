//! Passes documents on to the worker, and what the worker says back. It never
//! looks at a text.
#![forbid(unsafe_code)]

use archive::archive_client::ArchiveClient;
use archive::archive_server::{Archive, ArchiveServer};
use archive::{Document, Lines};
use nowire_grpc::{Channel, Endpoint};
use tonic::{Request, Response, Status};

const MESSAGE_BYTES: usize = 16 << 20;

struct Forwarder {
    worker: ArchiveClient<Channel>,
}

#[tonic::async_trait]
impl Archive for Forwarder {
    async fn count(&self, request: Request<Document>) -> Result<Response<Lines>, Status> {
        let lines = self.worker.clone().count(request.into_inner()).await?;
        Ok(Response::new(lines.into_inner()))
    }

    async fn redact(&self, request: Request<Document>) -> Result<Response<Document>, Status> {
        let redacted = self.worker.clone().redact(request.into_inner()).await?;
        Ok(Response::new(redacted.into_inner()))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let worker = arguments.next();
    let worker = worker.unwrap_or_else(|| "http://127.0.0.1:50061".to_owned());
    let address = arguments.next();
    let address = address.as_deref().unwrap_or("127.0.0.1:50060");

    let channel = Endpoint::from_shared(worker)?.connect_lazy();
    let worker = ArchiveClient::new(channel).max_decoding_message_size(MESSAGE_BYTES);
    nowire_grpc::Server::builder()
        .add_service(
            ArchiveServer::new(Forwarder { worker }).max_decoding_message_size(MESSAGE_BYTES),
        )
        .serve(address)
        .await?;
    Ok(())
}
