use anyhow::{Context, Result};
use nowire_grpc::Channel;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status};

use crate::proto::images_client::ImagesClient;
use crate::proto::{Answer, Job};
use crate::tier::{MESSAGE_LIMIT_BYTES, TOKEN_HEADER};

/// A client that shows the firewall its token. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    stub: ImagesClient<Channel>,
    token: Option<MetadataValue<Ascii>>,
}

impl Client {
    /// A client of the service that the channel leads to, with or without a token.
    ///
    /// # Errors
    /// If the token may not be in a header.
    pub fn new(channel: Channel, token: Option<&str>) -> Result<Self> {
        let token = token.map(str::parse).transpose();
        Ok(Self {
            stub: ImagesClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES),
            token: token.context("the token may not be in a header")?,
        })
    }

    /// Has a job done.
    ///
    /// # Errors
    /// What a tier has against it, or that one is not there.
    pub async fn process(&self, job: Job) -> Result<Answer, Status> {
        let mut request = Request::new(job);
        if let Some(token) = &self.token {
            request.metadata_mut().insert(TOKEN_HEADER, token.clone());
        }
        let answer = self.stub.clone().process(request).await?;
        Ok(answer.into_inner())
    }
}
