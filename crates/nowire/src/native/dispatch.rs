//! Which handler a call is for, and where it runs.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::call::Call;
use super::call_error::Code;
use super::describe::{self, Asked};
use super::pool::Pool;
use super::service::{Runs, Service};

/// The method with which a client asks for the methods of a service.
pub(crate) const DESCRIBE: u16 = 0;

/// All methods of a server, numbered from 1.
pub(crate) struct Dispatch {
    services: Vec<Arc<dyn Service>>,
    methods: Vec<Entry>,
    pool: Pool,
    runtime: Option<Handle>,
    pub(crate) reply_scope_bytes: usize,
}

struct Entry {
    service: usize,
    method: u16,
    runs: Runs,
    /// Size of an item of its requests, if it has a stream of them.
    item_bytes: Option<usize>,
}

/// What a number stands for.
pub(crate) enum Found {
    Method {
        service: usize,
        method: u16,
        runs: Runs,
    },
    Describe,
    Nothing,
}

impl Dispatch {
    pub(crate) fn new(
        services: Vec<Arc<dyn Service>>,
        workers: usize,
        runtime: Option<Handle>,
        reply_scope_bytes: usize,
    ) -> Self {
        let methods = services.iter().enumerate().flat_map(|(service, entry)| {
            entry
                .methods()
                .iter()
                .enumerate()
                .map(move |(method, described)| Entry {
                    service,
                    method: method as u16,
                    runs: described.runs,
                    item_bytes: described.requests.map(|item| item().size_bytes()),
                })
        });
        Self {
            methods: methods.collect(),
            services,
            pool: Pool::new(workers),
            runtime,
            reply_scope_bytes,
        }
    }

    #[inline]
    pub(crate) fn find(&self, code: u16) -> Found {
        if code == DESCRIBE {
            return Found::Describe;
        }
        match self.methods.get(usize::from(code) - 1) {
            Some(entry) => Found::Method {
                service: entry.service,
                method: entry.method,
                runs: entry.runs,
            },
            None => Found::Nothing,
        }
    }

    /// Size in bytes of an item of a method's requests; none if the method has no
    /// stream of them.
    pub(crate) fn item_bytes(&self, code: u16) -> Option<usize> {
        let entry = self.methods.get(usize::from(code.checked_sub(1)?))?;
        entry.item_bytes
    }

    /// The services with the numbers of their first methods.
    pub(crate) fn service(&self, name: &str) -> Option<(&dyn Service, u16)> {
        let mut first = DESCRIBE + 1;
        for service in &self.services {
            if service.name() == name {
                return Some((&**service, first));
            }
            first += service.methods().len() as u16;
        }
        None
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.services.iter().map(|service| service.name()).collect()
    }

    /// Runs a handler on this thread. One that panics has its call answered when
    /// the call is dropped.
    #[inline]
    pub(crate) fn run(&self, service: usize, method: u16, call: Call) {
        let service = &self.services[service];
        let run = || service.call(method, call);
        if std::panic::catch_unwind(AssertUnwindSafe(run)).is_err() {
            tracing::error!(service = service.name(), method, "a handler panicked");
        }
    }

    /// Has a handler run elsewhere.
    pub(crate) fn start(self: &Arc<Self>, service: usize, method: u16, runs: Runs, call: Call) {
        if runs == Runs::Pool {
            let dispatch = Arc::clone(self);
            self.pool.run(Box::new(move || {
                if !call.is_late() {
                    dispatch.run(service, method, call);
                }
            }));
            return;
        }
        let Some(runtime) = &self.runtime else {
            call.fail(Code::Internal, "the server has no runtime for tasks");
            return;
        };
        let deadline = call.context().deadline();
        let flow = call.flow();
        let task = Arc::clone(&self.services[service]).task(method, call);
        let task = runtime.spawn(async move {
            match deadline {
                // Dropping the task answers its call.
                Some(deadline) => drop(tokio::time::timeout_at(deadline.into(), task).await),
                None => task.await,
            }
        });
        if let Some(flow) = flow {
            flow.stops(task.abort_handle());
        }
    }

    /// Tells a client the methods of a service.
    pub(crate) fn describe(&self, mut call: Call) {
        let Some(asked) = call.take::<Asked>() else {
            return;
        };
        let Some(name) = asked.get().name() else {
            call.fail(Code::InvalidArgument, "the name of a service is too long");
            return;
        };
        let Some((service, first)) = self.service(name) else {
            let text = format!("no service {name} here; there are: {:?}", self.names());
            call.fail(Code::Unimplemented, &text);
            return;
        };
        let bytes = describe::scope_bytes(service);
        let Some(scope) = call.scope_of(bytes) else {
            return;
        };
        match describe::describe(&scope, service, first) {
            Ok(description) => call.reply_in(description),
            Err(error) => call.fail(Code::ResourceExhausted, &error.to_string()),
        }
    }
}
