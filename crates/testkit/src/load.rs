//! Calls of every kind, made by many tasks, and what became of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nowire_grpc::Channel;
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use nowire_interop::proto::testing::{
    Payload, ResponseParameters, SimpleRequest, StreamingOutputCallRequest,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};

const LARGE: usize = 1 << 20;
const MESSAGES: usize = 20;
/// Pause after a call that failed: the server may be starting.
const PAUSE: Duration = Duration::from_millis(5);

/// What became of the calls of a [`Load`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Calls answered rightly.
    pub right: u64,
    /// Calls that failed with UNAVAILABLE.
    pub unavailable: u64,
    /// Those of them whose message names the peer's process.
    pub named: u64,
    /// The last such message.
    pub last_named: String,
    /// Calls that failed with DEADLINE_EXCEEDED.
    pub expired: u64,
    /// Calls that failed otherwise, or were answered wrongly.
    pub wrong: Vec<String>,
    /// Age of the oldest call that is still open, in milliseconds.
    pub oldest_open_ms: u64,
    /// The longest any call took, in milliseconds.
    pub longest_ms: u64,
}

/// Which calls a [`Load`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Small ones, large ones and streams in turn.
    All,
    /// Small ones.
    Small,
}

/// Tasks that call all the time, each with a clone of one channel.
#[derive(Debug)]
pub struct Load {
    board: Arc<Board>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Board {
    over: AtomicBool,
    tally: Mutex<Tally>,
    open: Mutex<Vec<Option<Instant>>>,
}

impl Tally {
    fn add(&mut self, took: Duration, answer: Result<Option<String>, Status>) {
        self.longest_ms = self.longest_ms.max(took.as_millis() as u64);
        match answer {
            Ok(None) => self.right += 1,
            Ok(Some(wrong)) => self.wrong.push(wrong),
            Err(status) => match status.code() {
                Code::Unavailable => {
                    self.unavailable += 1;
                    if status.message().contains("(pid ") {
                        self.named += 1;
                        self.last_named = status.message().to_owned();
                    }
                }
                Code::DeadlineExceeded => self.expired += 1,
                _ => self.wrong.push(status.to_string()),
            },
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// Begins; each call has `deadline`, if there is one.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(
        channel: &Channel,
        calls: Calls,
        tasks: usize,
        deadline: Option<Duration>,
    ) -> Self {
        let board = Arc::new(Board {
            over: AtomicBool::new(false),
            tally: Mutex::default(),
            open: Mutex::new(vec![None; tasks]),
        });
        let mut set = JoinSet::new();
        for task in 0..tasks {
            let client = TestServiceClient::new(channel.clone());
            set.spawn(run(task, client, calls, deadline, Arc::clone(&board)));
        }
        Self { board, tasks: set }
    }

    /// What became of the calls so far.
    pub fn tally(&self) -> Tally {
        let open = lock(&self.board.open);
        let oldest = open.iter().flatten().map(Instant::elapsed).max();
        drop(open);
        Tally {
            oldest_open_ms: oldest.unwrap_or_default().as_millis() as u64,
            ..lock(&self.board.tally).clone()
        }
    }

    /// Lets the calls that are open end, begins no others and returns what
    /// became of all.
    pub async fn finish(mut self) -> Tally {
        self.board.over.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
        self.tally()
    }
}

async fn run(
    task: usize,
    mut client: TestServiceClient<Channel>,
    calls: Calls,
    deadline: Option<Duration>,
    board: Arc<Board>,
) {
    let mut turn = task;
    while !board.over.load(Ordering::Relaxed) {
        let began = Instant::now();
        lock(&board.open)[task] = Some(began);
        let answer = match turn % 3 {
            _ if calls == Calls::Small => unary(&mut client, 64, deadline).await,
            0 => unary(&mut client, 64, deadline).await,
            1 => unary(&mut client, LARGE, deadline).await,
            _ => stream(&mut client, deadline).await,
        };
        lock(&board.open)[task] = None;
        turn += 1;
        let failed = answer.is_err();
        lock(&board.tally).add(began.elapsed(), answer);
        if failed {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn timed<T>(message: T, deadline: Option<Duration>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(deadline) = deadline {
        request.set_timeout(deadline);
    }
    request
}

/// One call with as many bytes each way; what was wrong with the answer, if
/// anything was.
async fn unary(
    client: &mut TestServiceClient<Channel>,
    bytes: usize,
    deadline: Option<Duration>,
) -> Result<Option<String>, Status> {
    let request = SimpleRequest {
        response_size: bytes as i32,
        payload: Some(Payload {
            body: vec![0; bytes].into(),
            ..Payload::default()
        }),
        ..SimpleRequest::default()
    };
    let answer = client.unary_call(timed(request, deadline)).await?;
    let payload = answer.into_inner().payload.unwrap_or_default();
    Ok((payload.body.len() != bytes)
        .then(|| format!("{} bytes instead of {bytes}", payload.body.len())))
}

/// One stream of requests, each answered before the next is sent.
async fn stream(
    client: &mut TestServiceClient<Channel>,
    deadline: Option<Duration>,
) -> Result<Option<String>, Status> {
    let (sender, requests) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let ask = |size: usize| StreamingOutputCallRequest {
        response_parameters: vec![ResponseParameters {
            size: size as i32,
            ..ResponseParameters::default()
        }],
        ..StreamingOutputCallRequest::default()
    };
    // The server sends its headers with its first answer.
    let _ = sender.send(ask(1)).await;
    let mut answers = client
        .full_duplex_call(timed(requests, deadline))
        .await?
        .into_inner();
    for message in 0..MESSAGES {
        let size = 1 + message * 100;
        match answers.message().await? {
            Some(answer) => {
                let found = answer.payload.unwrap_or_default().body.len();
                if found != size {
                    return Ok(Some(format!("{found} bytes in message {message}")));
                }
            }
            None => return Ok(Some(format!("the stream ended at message {message}"))),
        }
        if message + 1 < MESSAGES {
            // If nobody listens any more, the next answer tells why.
            let _ = sender.send(ask(1 + (message + 1) * 100)).await;
        }
    }
    drop(sender);
    let surplus = answers.message().await?;
    Ok(surplus.map(|_| "a message too many".to_owned()))
}
