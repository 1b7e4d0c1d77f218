//! Servers and channels on the carrier that a test asks for.

use std::{future::Future, path::Path, time::Duration};

use nowire_grpc::{Carrier, CarrierPolicy, Channel, Endpoint, Error, Server};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle, time};

/// The carrier that a test runs on. The server is the same for both.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    Http2,
    Memory,
}

impl On {
    fn policy(self) -> CarrierPolicy {
        match self {
            Self::Http2 => CarrierPolicy::Never,
            Self::Memory => CarrierPolicy::Require,
        }
    }

    fn carrier(self) -> Carrier {
        match self {
            Self::Http2 => Carrier::Http2,
            Self::Memory => Carrier::Memory,
        }
    }
}

/// Longer than any answer takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: did not come in {PATIENCE:?}"))
}

/// A server in this process; stopped hard when dropped.
pub(crate) struct Running {
    pub(crate) on: On,
    pub(crate) runtime_dir: TempDir,
    pub(crate) address: String,
    pub(crate) shutdown: Option<oneshot::Sender<()>>,
    pub(crate) served: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn channel(&self) -> Channel {
        self.try_channel().await.expect("the server is there")
    }

    /// A channel, unless the server refuses.
    pub(crate) async fn try_channel(&self) -> Result<Channel, Error> {
        let endpoint = Endpoint::from_shared(&*self.address)?
            .carrier(self.on.policy())
            .memory_options(|options| options.runtime_dir = Some(self.runtime_dir.path().into()));
        let channel = endpoint.connect().await?;
        assert_eq!(channel.carrier(), Some(self.on.carrier()));
        Ok(channel)
    }

    /// Starts a graceful shutdown.
    pub(crate) fn shut_down(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            // The server may have stopped by itself; then joining it tells.
            let _ = shutdown.send(());
        }
    }

    /// Waits until the server has stopped.
    pub(crate) async fn stopped(&mut self) {
        soon("the server's end", &mut self.served)
            .await
            .expect("the server does not panic");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.served.abort();
    }
}

pub(crate) fn builder(runtime_dir: &Path) -> Server {
    Server::builder().memory_options(|options| options.runtime_dir = Some(runtime_dir.into()))
}

/// Serves what is made of the builder `$server`. A macro, because a router's type names all its
/// layers.
macro_rules! serve {
    ($on:expr, $server:ident => $router:expr) => {{
        let runtime_dir = tempfile::tempdir().expect("a directory can be made");
        #[allow(unused_mut, reason = "settings take the builder, services borrow it")]
        let mut $server = $crate::support::carrier::builder(runtime_dir.path());
        let bound = $router.bind("127.0.0.1:0").await.expect("a port is free");
        let address = format!("http://{}", bound.local_addr().expect("it is TCP"));
        let (shutdown, signal) = tokio::sync::oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            bound
                .serve_with_shutdown(async {
                    // A test that ends without a shutdown drops the sender.
                    let _ = signal.await;
                })
                .await
                .expect("the server serves");
        });
        $crate::support::carrier::Running {
            on: $on,
            runtime_dir,
            address,
            shutdown: Some(shutdown),
            served,
        }
    }};
}
pub(crate) use serve;
