use nowire_grpc::ref_status;
use tonic::{Request, Response, Status};

use super::MESSAGE_LIMIT_BYTES;
use super::status::{missing_image, unfinished};
use crate::photo::Format;
use crate::proto::transcoder_server::{Transcoder, TranscoderServer};
use crate::proto::{self, Image, Transcoding};
use crate::work;

/// Puts images into another format or size.
#[derive(Clone, Copy, Debug)]
pub struct TranscoderTier;

impl TranscoderTier {
    /// It as a service.
    pub fn service() -> TranscoderServer<Self> {
        TranscoderServer::new(Self).max_decoding_message_size(MESSAGE_LIMIT_BYTES)
    }
}

#[tonic::async_trait]
impl Transcoder for TranscoderTier {
    async fn transcode(&self, request: Request<Transcoding>) -> Result<Response<Image>, Status> {
        let Transcoding { image, to } = request.into_inner();
        let image = image.ok_or_else(missing_image)?;
        let to = to.ok_or_else(|| Status::invalid_argument("transcode to what?"))?;
        let format = match to.format() {
            proto::Format::Jpeg => Format::Jpeg,
            proto::Format::Png => Format::Png,
            proto::Format::Unspecified => {
                return Err(Status::invalid_argument("there is no such format"));
            }
        };
        let side = (to.longest_side != 0).then_some(to.longest_side);
        // On a thread of its own, so that others are answered meanwhile.
        let done = tokio::task::spawn_blocking(move || {
            let view = image.open().map_err(|error| ref_status(&error))?;
            Ok::<_, Status>(work::transcode(&view, format, side)?)
        });
        let done = done.await.map_err(|error| unfinished(&error))??;
        Ok(Response::new(Image {
            image: Some(done.into()),
        }))
    }
}
