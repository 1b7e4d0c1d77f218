use nowire_grpc::ref_status;
use tonic::{Request, Response, Status};

use super::MESSAGE_LIMIT_BYTES;
use super::status::{missing_image, unfinished};
use crate::proto::compressor_server::{Compressor, CompressorServer};
use crate::proto::{Compression, Image};
use crate::work;

/// Makes images smaller.
#[derive(Clone, Copy, Debug)]
pub struct CompressorTier;

impl CompressorTier {
    /// It as a service.
    pub fn service() -> CompressorServer<Self> {
        CompressorServer::new(Self).max_decoding_message_size(MESSAGE_LIMIT_BYTES)
    }
}

#[tonic::async_trait]
impl Compressor for CompressorTier {
    async fn compress(&self, request: Request<Compression>) -> Result<Response<Image>, Status> {
        let Compression { image, to } = request.into_inner();
        let image = image.ok_or_else(missing_image)?;
        let to = to.ok_or_else(|| Status::invalid_argument("compress to which quality?"))?;
        // On a thread of its own, so that others are answered meanwhile.
        let done = tokio::task::spawn_blocking(move || {
            let view = image.open().map_err(|error| ref_status(&error))?;
            Ok::<_, Status>(work::compress(&view, to.quality)?)
        });
        let done = done.await.map_err(|error| unfinished(&error))??;
        Ok(Response::new(Image {
            image: Some(done.into()),
        }))
    }
}
