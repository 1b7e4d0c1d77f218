//! What a case needs of a channel, said once.

use tonic::{body::Body, client::GrpcService};

/// A channel that the cases run over: any that tonic's generated clients accept, cheap to clone
/// and usable from many tasks.
///
/// Implemented for every type that fits.
pub trait Channel:
    GrpcService<Body, ResponseBody = Body, Future: Send, Error: Send> + Clone + Send + Sync + 'static
{
}

impl<T> Channel for T where
    T: GrpcService<Body, ResponseBody = Body, Future: Send, Error: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}
