use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nowire_grpc::Channel;
use tonic::{Code, Request, Response, Status};

use super::MESSAGE_LIMIT_BYTES;
use super::status::said_by;
use crate::proto::images_client::ImagesClient;
use crate::proto::images_server::{Images, ImagesServer};
use crate::proto::{Answer, Job};

/// Gives each job to the instance with the fewest open ones, and to another when
/// that one is not there.
#[derive(Debug)]
pub struct Balancer {
    instances: Vec<Instance>,
    /// Where to begin to look, so that idle instances take turns.
    next: AtomicUsize,
}

#[derive(Debug)]
struct Instance {
    name: String,
    stub: ImagesClient<Channel>,
    open_jobs: Arc<AtomicUsize>,
}

/// A job an instance has; counted until dropped, also by a caller that gave up.
struct OpenJob(Arc<AtomicUsize>);

impl Balancer {
    /// A service that spreads jobs over these instances; their names are for
    /// error messages.
    pub fn service(instances: impl IntoIterator<Item = (String, Channel)>) -> ImagesServer<Self> {
        let instances = instances.into_iter().map(|(name, channel)| Instance {
            name,
            stub: ImagesClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES),
            open_jobs: Arc::default(),
        });
        ImagesServer::new(Self {
            instances: instances.collect(),
            next: AtomicUsize::new(0),
        })
        .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
    }

    /// The instances in the order in which to try them.
    fn by_load(&self) -> Vec<&Instance> {
        let mut instances: Vec<_> = self.instances.iter().collect();
        if !instances.is_empty() {
            let first = self.next.fetch_add(1, Ordering::Relaxed) % instances.len();
            instances.rotate_left(first);
        }
        instances.sort_by_key(|instance| instance.open_jobs.load(Ordering::Relaxed));
        instances
    }
}

#[tonic::async_trait]
impl Images for Balancer {
    async fn process(&self, job: Request<Job>) -> Result<Response<Answer>, Status> {
        let job = job.into_inner();
        let mut refused = Status::unavailable("there is no instance");
        for instance in self.by_load() {
            let _open = OpenJob::new(&instance.open_jobs);
            // Cheap: the image is not copied. And a job can be done twice.
            match instance.stub.clone().process(job.clone()).await {
                Err(status) if status.code() == Code::Unavailable => {
                    refused = said_by(&instance.name, &status);
                }
                done => return done.map_err(|status| said_by(&instance.name, &status)),
            }
        }
        Err(refused)
    }
}

impl OpenJob {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for OpenJob {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
