use nowire_grpc::Channel;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status};

use super::MESSAGE_LIMIT_BYTES;
use super::status::said_by;
use crate::proto::images_client::ImagesClient;
use crate::proto::images_server::{Images, ImagesServer};
use crate::proto::{Answer, Job};

/// The header that has the token.
pub(crate) const TOKEN_HEADER: &str = "authorization";

/// Passes jobs on, once their token was checked.
#[derive(Clone, Debug)]
pub struct Firewall {
    behind: ImagesClient<Channel>,
}

impl Firewall {
    /// A service that takes jobs with this token to the service behind it.
    pub fn service(
        behind: Channel,
        token: MetadataValue<Ascii>,
    ) -> InterceptedService<ImagesServer<Self>, TokenCheck> {
        let behind = ImagesClient::new(behind).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let service =
            ImagesServer::new(Self { behind }).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        InterceptedService::new(service, TokenCheck { token })
    }
}

#[tonic::async_trait]
impl Images for Firewall {
    async fn process(&self, job: Request<Job>) -> Result<Response<Answer>, Status> {
        let mut behind = self.behind.clone();
        // Without the token, which is nobody's business any more.
        let answer = behind.process(job.into_inner()).await;
        answer.map_err(|status| said_by("balancer", &status))
    }
}

/// Refuses calls that have not the right token, before their message is read.
#[derive(Clone, Debug)]
pub struct TokenCheck {
    token: MetadataValue<Ascii>,
}

impl Interceptor for TokenCheck {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match request.metadata().get(TOKEN_HEADER) {
            None => Err(Status::unauthenticated("the call has no token")),
            Some(token) if same(token.as_bytes(), self.token.as_bytes()) => Ok(request),
            Some(_) => Err(Status::permission_denied("the call's token is not valid")),
        }
    }
}

/// Compares in a time that does not tell how much is right.
fn same(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && differences == 0
}
