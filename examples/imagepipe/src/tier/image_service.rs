use nowire_grpc::{Blob, Channel, ref_status};
use tonic::{Request, Response, Status};

use super::MESSAGE_LIMIT_BYTES;
use super::status::{missing_image, said_by};
use crate::proto::compressor_client::CompressorClient;
use crate::proto::images_server::{Images, ImagesServer};
use crate::proto::transcoder_client::TranscoderClient;
use crate::proto::{Answer, Compression, Job, Transcoding, answer, job};
use crate::work;

/// Does what a job says, or has it done by the transcoder or the compressor.
#[derive(Clone, Debug)]
pub struct ImageService {
    transcoder: TranscoderClient<Channel>,
    compressor: CompressorClient<Channel>,
}

impl ImageService {
    /// A service that has these two do the hard work.
    pub fn service(transcoder: Channel, compressor: Channel) -> ImagesServer<Self> {
        ImagesServer::new(Self {
            transcoder: TranscoderClient::new(transcoder)
                .max_decoding_message_size(MESSAGE_LIMIT_BYTES),
            compressor: CompressorClient::new(compressor)
                .max_decoding_message_size(MESSAGE_LIMIT_BYTES),
        })
        .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
    }

    async fn transcode(&self, transcoding: Transcoding) -> Result<Blob, Status> {
        let done = self.transcoder.clone().transcode(transcoding).await;
        let done = done.map_err(|status| said_by("transcoder", &status))?;
        done.into_inner()
            .image
            .ok_or_else(|| no_answer("transcoder"))
    }

    async fn compress(&self, compression: Compression) -> Result<Blob, Status> {
        let done = self.compressor.clone().compress(compression).await;
        let done = done.map_err(|status| said_by("compressor", &status))?;
        done.into_inner()
            .image
            .ok_or_else(|| no_answer("compressor"))
    }
}

#[tonic::async_trait]
impl Images for ImageService {
    async fn process(&self, job: Request<Job>) -> Result<Response<Answer>, Status> {
        let Job { image, work } = job.into_inner();
        let image = image.ok_or_else(missing_image)?;
        let work = work.ok_or_else(|| {
            Status::invalid_argument("the job does not say what is to be done with the image")
        })?;
        let answer = match work {
            job::Work::Return(_) => answer::Answer::Image(image),
            job::Work::Digest(_) => {
                let view = image.open().map_err(|error| ref_status(&error))?;
                answer::Answer::Digest(work::digest(&view))
            }
            job::Work::Transcode(to) => {
                let (image, to) = (Some(image), Some(to));
                answer::Answer::Image(self.transcode(Transcoding { image, to }).await?)
            }
            job::Work::Compress(to) => {
                let (image, to) = (Some(image), Some(to));
                answer::Answer::Image(self.compress(Compression { image, to }).await?)
            }
        };
        Ok(Response::new(Answer {
            answer: Some(answer),
        }))
    }
}

fn no_answer(name: &str) -> Status {
    Status::internal(format!("{name}: the answer has no image"))
}
