//! Honest servers and clients of native calls within a test.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nowire::{
    CallError, Channel, ChannelOptions, ConnectOptions, HeapOptions, Keeping, Running, SealFrom,
    Server,
};

use super::survey::{SurveyClient, SurveyServer, Surveyor, amount, build};
use crate::house::House;

/// How long an honest side may take for one call on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Small, so that a client that gives nothing back reaches its end.
const QUOTA_BYTES: u64 = 16 << 20;

/// Size from which clients seal what they build.
const SEAL_FROM_BYTES: u32 = 64 << 10;

/// Threads of a server's pool: few, so that a client that wastes them is noticed.
const WORKERS: usize = 4;

/// An honest server of a [`Survey`](super::Survey).
#[derive(Debug)]
pub struct NativeServer {
    /// What it has seen.
    pub surveyor: Surveyor,
    _running: Running,
}

impl NativeServer {
    /// Serves at `address` in this process.
    ///
    /// # Panics
    /// If the address is taken.
    pub fn start(dir: &Path, address: &str, keeping: Keeping) -> Self {
        let surveyor = Surveyor::default();
        let running = Server::builder()
            .add(SurveyServer::new(surveyor.clone()))
            .keeping(keeping)
            .workers(WORKERS)
            .runtime_dir(dir)
            .options(|options| {
                options.handshake_timeout = PATIENCE;
                options.heap = Some(HeapOptions {
                    quota_bytes: QUOTA_BYTES,
                    seal: SealFrom::Bytes(SEAL_FROM_BYTES),
                    ..HeapOptions::default()
                });
            })
            .start(address);
        Self {
            surveyor,
            _running: running.expect("the address is free"),
        }
    }
}

/// Options of an honest client.
pub fn channel_options(dir: &Path, keeping: Keeping) -> ChannelOptions {
    ChannelOptions {
        connect: ConnectOptions {
            runtime_dir: Some(dir.to_owned()),
            timeout: PATIENCE,
            heap: Some(HeapOptions::default()),
            ..ConnectOptions::default()
        },
        keeping,
        ..ChannelOptions::default()
    }
}

/// An honest client of the server at `address`.
///
/// # Panics
/// If it cannot be met.
pub fn survey_client(dir: &Path, address: &str, keeping: Keeping) -> SurveyClient {
    let channel: Channel = nowire::connect_with(address, channel_options(dir, keeping))
        .expect("the server takes clients");
    SurveyClient::new(channel).timeout(PATIENCE)
}

/// Calls a method again and again, in the way that `method` names, until a call
/// fails.
///
/// # Errors
/// Why the call failed.
///
/// # Panics
/// If a reply is no value of its type, or there is no such way.
pub fn call_on(client: &SurveyClient, method: &str) -> Result<(), CallError> {
    loop {
        match method {
            "measure" => {
                let scope = client.scope().expect("memory");
                let thing = build(&scope, 1).expect("room");
                client.measure(&thing)?;
            }
            "draw" => {
                let thing = client.draw(1).map_err(without_error)?;
                assert!(amount(thing.get()).is_some(), "a value of its type");
            }
            "turn" => {
                client.turn([1; 8])?;
            }
            "found" => {
                client.found()?;
            }
            "fail" => match client.fail(1) {
                Ok(_) | Err(CallError::Returned(_)) => {}
                Err(error) => return Err(without_error(error)),
            },
            "draw, held" => {
                let thing = client.draw(1).map_err(without_error)?;
                client.turn([1; 8])?;
                assert!(amount(thing.get()).is_some(), "a value of its type");
            }
            "keep, draw" => {
                let scope = client.scope().expect("memory");
                let never_given = client.scope().expect("memory");
                build(&never_given, 1).expect("room");
                let thing = build(&scope, 1).expect("room");
                client.measure(&thing)?;
                client.keep(thing)?;
                build(&scope, 1).expect("room");
                let thing = client.draw(1).map_err(without_error)?;
                assert!(amount(thing.get()).is_some(), "a value of its type");
            }
            "scatter, unread" => {
                let _items = client.scatter(1000)?;
                client.turn([1; 8])?;
            }
            other => panic!("{other} is not called"),
        }
    }
}

fn without_error<E>(error: CallError<E>) -> CallError {
    match error {
        CallError::Failed { code, text, peer } => CallError::Failed { code, text, peer },
        CallError::DeadlineExceeded { peer } => CallError::DeadlineExceeded { peer },
        CallError::Connection(error) => CallError::Connection(error),
        CallError::Layout(mismatch) => CallError::Layout(mismatch),
        _ => panic!("a call of good sense failed by itself"),
    }
}

/// A client that makes one call after another and checks each reply.
#[derive(Debug)]
pub struct NativeSteady {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    right: AtomicU64,
    over: AtomicBool,
    failure: Mutex<Option<String>>,
}

impl NativeSteady {
    /// A client of `address` that calls all the time.
    ///
    /// # Panics
    /// If it cannot be met.
    pub fn start(house: &House, address: &str) -> Self {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let client = survey_client(house.dir(), address, Keeping::Copy);
        let thread = std::thread::spawn(move || {
            while !shared.over.load(Ordering::Relaxed) {
                match round(&client) {
                    Ok(()) => {
                        shared.right.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(failure) => {
                        let failed = shared.failure.lock();
                        *failed.unwrap_or_else(PoisonError::into_inner) = Some(failure);
                        return;
                    }
                }
                // Leaves the machine to those whom the test is about.
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self {
            state,
            thread: Some(thread),
        }
    }

    /// Waits for a few more right replies.
    ///
    /// # Panics
    /// If a call has failed since the start, or none is answered any more.
    pub fn assert_served(&self) {
        let enough = self.state.right.load(Ordering::Relaxed) + 3;
        let deadline = Instant::now() + PATIENCE;
        while self.state.right.load(Ordering::Relaxed) < enough {
            let failure = self.state.failure.lock();
            let failure = failure.unwrap_or_else(PoisonError::into_inner);
            assert_eq!(*failure, None, "an honest client's call failed");
            drop(failure);
            assert!(Instant::now() < deadline, "an honest client is not served");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A call of most kinds.
fn round(client: &SurveyClient) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let scope = client.scope().map_err(|error| failed(&error))?;
    let thing = build(&scope, 5).map_err(|error| failed(&error))?;
    let expected = amount(&thing);
    let measured = client.measure(&thing).map_err(|error| failed(&error))?;
    let aside = client
        .measure_aside(&thing)
        .map_err(|error| failed(&error))?;
    let drawn = client.draw(5).map_err(|error| failed(&error))?;
    let turned = client
        .turn([1, 2, 3, 4, 5, 6, 7, 8])
        .map_err(|error| failed(&error))?;
    let right = Some(*measured) == expected
        && Some(*aside) == expected
        && amount(drawn.get()) == expected
        && *turned == [8, 7, 6, 5, 4, 3, 2, 1];
    if right {
        Ok(())
    } else {
        Err("a reply was wrong".to_owned())
    }
}

impl Drop for NativeSteady {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}
