//! A server of native calls.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use nowire_memory::heap::{Crossover, Keeping};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::dispatch::Dispatch;
use super::poller::{Poller, Tell};
use super::service::Service;
use crate::wait::Wait;
use crate::{
    Address, AddressError, HeapOptions, ListenError, ListenOptions, Listener, SealFrom, Trust,
};

/// Room for the reply of one call, in bytes.
const REPLY_SCOPE_BYTES: usize = 64 << 10;

/// Serves native calls: see [`Server::builder`].
#[derive(Debug)]
pub struct Server(());

/// Why a server cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A name nobody can have.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It cannot be met.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system has no thread, descriptor or runtime for it.
    #[error("the server could not be started: {0}")]
    Io(#[from] io::Error),
    /// Two services have the same name.
    #[error("two services are called {0}: give one another name")]
    SameName(&'static str),
    /// More methods than numbers for them.
    #[error("{0} methods: a server has at most 65535")]
    TooManyMethods(usize),
    /// A setting out of its range.
    #[error("{setting} is {value}: {must}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// What it must be.
        must: &'static str,
    },
}

/// A server before it serves.
pub struct ServerBuilder {
    services: Vec<Arc<dyn Service>>,
    options: ListenOptions,
    keeping: Keeping,
    wait: Wait,
    workers: usize,
    pollers: usize,
    runtime: Option<Handle>,
    reply_scope_bytes: usize,
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let services: Vec<_> = self.services.iter().map(|service| service.name()).collect();
        f.debug_struct("ServerBuilder")
            .field("services", &services)
            .field("options", &self.options)
            .field("keeping", &self.keeping)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server without services.
    pub fn builder() -> ServerBuilder {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        ServerBuilder {
            services: Vec::new(),
            options: ListenOptions {
                heap: Some(HeapOptions::default()),
                ..ListenOptions::default()
            },
            keeping: Keeping::Seal,
            wait: Wait::Adaptive,
            workers: 4 * cores,
            pollers: 1,
            runtime: None,
            reply_scope_bytes: REPLY_SCOPE_BYTES,
        }
    }
}

impl ServerBuilder {
    /// Adds a service: the `...Server` that [`service`](macro@crate::service)
    /// wrote, around what implements its trait.
    #[expect(clippy::should_implement_trait, reason = "it adds a service")]
    pub fn add(mut self, service: impl Service) -> Self {
        self.services.push(Arc::new(service));
        self
    }

    /// How arguments are kept still while they are checked and read; by default
    /// [`Keeping::Seal`], which no client can get around: what is sealed is read
    /// where it lies, the rest is copied.
    pub fn keeping(mut self, keeping: Keeping) -> Self {
        self.keeping = keeping;
        self
    }

    /// From which size on clients seal what they hand over; measured by default.
    pub fn seal(mut self, seal: SealFrom) -> Self {
        self.options.heap.get_or_insert_default().seal = seal;
        self
    }

    /// How the polling threads wait; [`Wait::Adaptive`] by default.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// Most threads for methods in the pool; four for each core by default. They
    /// are started when needed.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Threads that read rings, 1 by default; clients are dealt out among them. A
    /// method that runs here holds up the clients of one of them.
    pub fn pollers(mut self, pollers: usize) -> Self {
        self.pollers = pollers;
        self
    }

    /// The tokio runtime that asynchronous methods run in; by default the one
    /// this is called in, else one of the server's own.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Room for the reply of one call, in bytes; 64 KiB by default.
    pub fn reply_scope_bytes(mut self, bytes: usize) -> Self {
        self.reply_scope_bytes = bytes;
        self
    }

    /// Users and groups whose processes may connect, besides the server's own.
    pub fn allowed(mut self, allowed: Trust) -> Self {
        self.options.allowed = allowed;
        self
    }

    /// Where to announce the server; by default what
    /// [`runtime_dir`](crate::runtime_dir()) says.
    pub fn runtime_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.options.runtime_dir = Some(dir.into());
        self
    }

    /// How the server meets its clients, and its limits.
    pub fn options(mut self, change: impl FnOnce(&mut ListenOptions)) -> Self {
        change(&mut self.options);
        self.options.heap.get_or_insert_default();
        self
    }

    /// Serves on this thread until the process ends.
    ///
    /// # Errors
    /// If the server cannot be met, or started.
    pub fn serve(self, name: &str) -> Result<(), ServeError> {
        let mut running = self.start(name)?;
        running.join();
        Ok(())
    }

    /// Serves on threads of its own, until what is returned is dropped.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn start(self, name: &str) -> Result<Running, ServeError> {
        let address = Address::of_name(name)?;
        self.check()?;
        let seal = self.options.heap.as_ref().map(|heap| heap.seal);
        if self.keeping == Keeping::Seal && seal == Some(SealFrom::Measured) {
            Crossover::measure();
        }
        let needs_runtime = self.services.iter().any(|service| {
            let mut methods = service.methods().iter();
            methods.any(|method| method.runs == super::service::Runs::Task)
        });
        let mut own_runtime = None;
        let handle = match self.runtime.or_else(|| Handle::try_current().ok()) {
            Some(handle) => Some(handle),
            None if needs_runtime => {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .thread_name("nowire-tasks")
                    .enable_all()
                    .build()?;
                let handle = runtime.handle().clone();
                own_runtime = Some(runtime);
                Some(handle)
            }
            None => None,
        };
        let dispatch = Arc::new(Dispatch::new(
            self.services,
            self.workers,
            handle,
            self.reply_scope_bytes,
        ));
        let mut pollers = Vec::new();
        let mut threads = Vec::new();
        for _ in 0..self.pollers {
            let (poller, tell) = Poller::new(Arc::clone(&dispatch), self.wait, self.keeping)?;
            pollers.push(tell);
            let thread = std::thread::Builder::new()
                .name("nowire-poller".into())
                .spawn(move || poller.run())?;
            threads.push(thread);
        }
        let meeting = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = meeting.enter();
            Listener::bind(std::slice::from_ref(&address), self.options)?
        };
        let (stop, stopped) = oneshot::channel();
        let tells = pollers.clone();
        let thread = std::thread::Builder::new()
            .name("nowire-meeting".into())
            .spawn(move || meeting.block_on(meet(listener, tells, stopped)))?;
        threads.push(thread);
        Ok(Running {
            stop: Some(stop),
            pollers,
            threads,
            address,
            _own_runtime: own_runtime,
        })
    }

    fn check(&self) -> Result<(), ServeError> {
        let mut names = std::collections::HashSet::new();
        let mut methods = 0;
        for service in &self.services {
            if !names.insert(service.name()) {
                return Err(ServeError::SameName(service.name()));
            }
            methods += service.methods().len();
        }
        if methods >= usize::from(u16::MAX) {
            return Err(ServeError::TooManyMethods(methods));
        }
        let at_least_one = [("workers", self.workers), ("pollers", self.pollers)];
        for (setting, value) in at_least_one {
            if value == 0 {
                return Err(ServeError::Setting {
                    setting,
                    value,
                    must: "must be at least 1",
                });
            }
        }
        Ok(())
    }
}

/// Takes clients until it is stopped.
async fn meet(listener: Listener, pollers: Vec<Tell>, mut stopped: oneshot::Receiver<()>) {
    let mut next = 0;
    loop {
        let met = tokio::select! {
            _ = &mut stopped => return,
            met = listener.accept() => met,
        };
        match met {
            Ok(met) => {
                pollers[next % pollers.len()].take(met);
                next += 1;
            }
            Err(error) => {
                tracing::error!(%error, "no further clients are taken");
                return;
            }
        }
    }
}

/// A server that serves. Dropping it shuts it down.
pub struct Running {
    stop: Option<oneshot::Sender<()>>,
    pollers: Vec<Tell>,
    threads: Vec<JoinHandle<()>>,
    address: Address,
    _own_runtime: Option<tokio::runtime::Runtime>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// Where the server is met.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Takes no further clients or calls, and returns once the calls that are
    /// being handled have been answered.
    pub fn shutdown(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        self.stop = None;
        for poller in &self.pollers {
            poller.shut_down();
        }
        self.join();
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}
