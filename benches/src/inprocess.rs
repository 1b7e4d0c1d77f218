//! tonic without a transport: the generated client calls the server's routes.

use tonic::service::Routes;

use crate::exchange::Handlers;

/// Routes of the same handlers as every server has. They are a channel as they
/// are: what the stubs ask of one is to turn a request into a response.
pub(crate) fn channel() -> Routes {
    Routes::new(Handlers::service()).prepare()
}
