//! Honest servers and clients within a test.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nowire_grpc::{CarrierPolicy, Channel, Endpoint, ListenOptions, Server};
use nowire_interop::proto::testing::SimpleRequest;
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use nowire_interop::{ServerSettings, services};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::witness;

/// How long an honest side may take for one call on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Small, so that a lie about it fits into one frame.
const WINDOW_BYTES: u32 = 16 << 10;

/// A runtime directory and a tokio runtime for one test, with panics counted.
#[derive(Debug)]
pub struct House {
    // Dropped before the directory it uses.
    runtime: Runtime,
    dir: tempfile::TempDir,
    panics_before: usize,
}

impl House {
    /// A house with nobody in it.
    ///
    /// # Panics
    /// If the system refuses.
    #[allow(
        clippy::new_without_default,
        reason = "it starts threads and counts panics"
    )]
    pub fn new() -> Self {
        witness::watch();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            runtime: runtime.expect("threads"),
            panics_before: witness::panics(),
        }
    }

    /// The runtime directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The tokio runtime.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Serves at `address` until the house is gone.
    ///
    /// # Panics
    /// If the address is taken.
    pub fn serve(&self, address: &str) {
        let dir = self.dir().to_owned();
        let serving = self.runtime.block_on(serve(address, move |server| {
            server.memory_options(|options| at(options, &dir))
        }));
        serving.expect("the address is free");
    }

    /// A channel to `address`, through shared memory and nothing else, that
    /// connects when it is used.
    ///
    /// # Panics
    /// If it is no address.
    pub fn channel(&self, address: &str) -> Channel {
        let _inside = self.runtime.enter();
        let dir = self.dir().to_owned();
        Endpoint::from_shared(address)
            .expect("an address")
            .carrier(CarrierPolicy::Require)
            .memory_options(|options| {
                options.runtime_dir = Some(dir);
                options.window_bytes = WINDOW_BYTES;
                options.timeout = PATIENCE;
            })
            .connect_lazy()
    }

    /// A client of `address` that calls all the time.
    pub fn steady(&self, address: &str) -> Steady {
        Steady::start(&self.runtime, self.channel(address))
    }

    /// Whether no code under test has panicked since the house was built.
    ///
    /// # Panics
    /// If it has.
    pub fn assert_no_panic(&self) {
        assert_eq!(witness::panics(), self.panics_before, "panics");
    }
}

fn at(options: &mut ListenOptions, dir: &Path) {
    options.runtime_dir = Some(dir.to_owned());
    options.window_bytes = WINDOW_BYTES;
    options.handshake_timeout = PATIENCE;
}

/// Serves the interoperability services at `address`; returns where that is.
///
/// # Errors
/// If the address cannot be had.
pub async fn serve(
    address: &str,
    settings: impl FnOnce(Server) -> Server,
) -> Result<String, nowire_grpc::Error> {
    let services = services(ServerSettings::default());
    let bound = settings(Server::builder())
        .add_service(services.test)
        .bind(address)
        .await?;
    let address = match bound.local_addr() {
        Some(bound) => format!("http://{bound}"),
        None => address.to_owned(),
    };
    tokio::spawn(bound.serve());
    Ok(address)
}

/// Connects to `address` over the carriers that `policy` allows.
///
/// # Errors
/// If it cannot be reached that way.
pub async fn connect(
    address: &str,
    dir: &Path,
    policy: CarrierPolicy,
) -> Result<Channel, nowire_grpc::Error> {
    let dir = dir.to_owned();
    Endpoint::from_shared(address)?
        .carrier(policy)
        .memory_options(|options| {
            options.runtime_dir = Some(dir);
            options.timeout = PATIENCE;
        })
        .connect()
        .await
}

/// A client that makes one call after another and checks each answer.
#[derive(Debug)]
pub struct Steady {
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    right: AtomicU64,
    over: AtomicBool,
    failure: Mutex<Option<String>>,
}

impl Steady {
    fn start(runtime: &Runtime, channel: Channel) -> Self {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let task = runtime.spawn(async move {
            let mut client = TestServiceClient::new(channel);
            let mut size = 0;
            while !shared.over.load(Ordering::Relaxed) {
                size = (size + 997) % 20_000;
                let request = SimpleRequest {
                    response_size: size,
                    ..SimpleRequest::default()
                };
                let call = tokio::time::timeout(PATIENCE, client.unary_call(request)).await;
                let failure = match call {
                    Ok(Ok(answer)) => {
                        let body = answer
                            .into_inner()
                            .payload
                            .map(|payload| payload.body.len());
                        (body != Some(size as usize)).then(|| format!("{body:?} for {size}"))
                    }
                    Ok(Err(status)) => Some(status.to_string()),
                    Err(_) => Some("no answer in time".to_owned()),
                };
                match failure {
                    None => shared.right.fetch_add(1, Ordering::Relaxed),
                    Some(failure) => {
                        let mut place = shared
                            .failure
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner);
                        *place = Some(failure);
                        return;
                    }
                };
                // Leaves the machine to those whom the test is about.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self { state, task }
    }

    /// Waits for a few more right answers.
    ///
    /// # Panics
    /// If a call has failed since the start, or none is answered any more.
    pub fn assert_served(&self) {
        let enough = self.state.right.load(Ordering::Relaxed) + 3;
        let deadline = Instant::now() + PATIENCE;
        while self.state.right.load(Ordering::Relaxed) < enough {
            let failure = self
                .state
                .failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            assert_eq!(*failure, None, "an honest client's call failed");
            drop(failure);
            assert!(Instant::now() < deadline, "an honest client is not served");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        self.task.abort();
    }
}
