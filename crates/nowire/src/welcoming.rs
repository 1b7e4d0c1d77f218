//! One handshake, seen from the server.

use std::sync::Arc;

use nowire_memory::socket::{self, Credentials};
use nowire_memory::{OwnedSegment, PeerSegment, SegmentError};
use nowire_protocol::handshake::{
    FEATURES, HandshakeError, HeapOffer, Hello, Kind, REFERENCES, Refusal, RefusalCode, VERSIONS,
    Welcome,
};
use rustix::fd::AsFd;
use tokio::net::UnixStream;

use crate::address::Address;
use crate::budget::{Budget, Exceeded};
use crate::exchange::{Exchange, ExchangeError};
use crate::heap_options::Heaps;
use crate::listener::ListenOptions;
use crate::met::Met;
use crate::peer::Peer;
use crate::refs::Agreed;

/// What all handshakes of a listener share.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) options: ListenOptions,
    pub(crate) budget: Arc<Budget>,
}

/// One announcement, as its clients know it.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) stem: String,
    pub(crate) address: Address,
}

/// Why a handshake led to nothing.
enum Failure {
    /// The client is told.
    Refused(RefusalCode, String),
    /// Nobody is there to be told.
    Lost(String),
}

impl From<ExchangeError> for Failure {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Handshake(error) => error.into(),
            ExchangeError::HungUp | ExchangeError::Io(_) => Self::Lost(error.to_string()),
        }
    }
}

impl From<HandshakeError> for Failure {
    fn from(error: HandshakeError) -> Self {
        let code = match error {
            HandshakeError::Version { .. } => RefusalCode::Version,
            _ => RefusalCode::Malformed,
        };
        Self::Refused(code, error.to_string())
    }
}

impl From<Exceeded> for Failure {
    fn from(exceeded: Exceeded) -> Self {
        let code = match exceeded {
            Exceeded::Connections { .. } => RefusalCode::ConnectionLimit,
            Exceeded::SharedBytes { .. } => RefusalCode::MemoryLimit,
        };
        Self::Refused(code, exceeded.to_string())
    }
}

/// Shakes hands with a client; `None` if nothing came of it.
pub(crate) async fn welcome(client: UnixStream, door: Arc<Door>, house: Arc<House>) -> Option<Met> {
    let met = try_welcome(client, &door, &house).await;
    if let Err((who, why)) = &met {
        match why {
            Failure::Refused(code, reason) => {
                tracing::warn!(address = %door.address, client = %who, ?code, reason, "client refused");
            }
            Failure::Lost(reason) => {
                tracing::debug!(address = %door.address, client = %who, reason, "client lost");
            }
        }
    }
    met.ok()
}

async fn try_welcome(
    client: UnixStream,
    door: &Door,
    house: &House,
) -> Result<Met, (String, Failure)> {
    let credentials = socket::peer_credentials(client.as_fd())
        .map_err(|error| ("unknown".to_owned(), Failure::Lost(error.to_string())))?;
    let peer = Peer::new(credentials, format!("client of {}", door.address));
    let who = peer.to_string();
    let exchange = Exchange::from(client);
    let timeout = house.options.handshake_timeout;
    let talk = async {
        match shake_hands(&exchange, credentials, door, house).await {
            Err(Failure::Refused(code, reason)) => {
                let refusal = Refusal {
                    code,
                    reason: reason.clone(),
                };
                // A client that is gone needs no reason.
                let _ = exchange.send(&refusal.encode(), None).await;
                Err(Failure::Refused(code, reason))
            }
            result => result,
        }
    };
    let shaken = match tokio::time::timeout(timeout, talk).await {
        Ok(Ok(shaken)) => shaken,
        Ok(Err(failure)) => return Err((who, failure)),
        Err(_elapsed) => {
            return Err((
                who,
                Failure::Lost(format!("it was not done within {timeout:?}")),
            ));
        }
    };
    let Shaken {
        hello,
        streams,
        outbox,
        inbox,
        charge,
        heaps,
        references,
    } = shaken;
    let socket = match exchange.into_socket() {
        Ok(socket) => socket,
        Err(error) => return Err((who, Failure::Lost(error.to_string()))),
    };
    tracing::debug!(client = %who, user_agent = hello.user_agent, streams, "client connected");
    Ok(Met {
        socket,
        outbox,
        inbox,
        outbox_geometry: house.options.outbox,
        inbox_geometry: hello.outbox,
        streams,
        send_window_bytes: hello.window_bytes,
        receive_window_bytes: house.options.window_bytes,
        peer,
        authority: hello.authority,
        user_agent: hello.user_agent,
        charge,
        heaps,
        references,
    })
}

/// What the handshake yields.
struct Shaken {
    hello: Hello,
    streams: u32,
    outbox: OwnedSegment,
    inbox: PeerSegment,
    charge: crate::budget::Charge,
    heaps: Option<Heaps>,
    references: Option<Agreed>,
}

async fn shake_hands(
    exchange: &Exchange,
    client: Credentials,
    door: &Door,
    house: &House,
) -> Result<Shaken, Failure> {
    let options = &house.options;
    if !options.allowed.includes(client, exchange.socket()) {
        let own = rustix::process::geteuid().as_raw();
        let reason = format!(
            "uid {} (gid {}) is not allowed; the server has uid {own} and allows others by ListenOptions::allowed",
            client.uid, client.gid
        );
        return Err(Failure::Refused(RefusalCode::NotAllowed, reason));
    }
    let message = exchange.receive().await?;
    if message.kind != Kind::Hello {
        let reason = format!("a {:?} where a hello was due", message.kind);
        return Err(Failure::Refused(RefusalCode::Malformed, reason));
    }
    let hello = Hello::decode(&message.body)?;
    check_target(&hello, door)?;
    let inbox_bytes = check_outbox(&hello, options)?;
    let descriptor = message
        .into_descriptor()
        .map_err(|error| Failure::Refused(RefusalCode::Descriptor, error.to_string()))?;
    let charge = house
        .budget
        .charge(inbox_bytes + options.outbox.outbox_bytes())?;
    // Only now is anything done that costs more than a message.
    let inbox = PeerSegment::map(descriptor, inbox_bytes).map_err(segment_failure)?;
    let mut outbox = OwnedSegment::create(&door.stem, options.outbox.outbox_bytes())
        .map_err(|error| Failure::Refused(RefusalCode::ServerFailed, error.to_string()))?;
    let heaps = make_heaps(&hello, door, options)?;
    let (heaps, offer) = heaps.unzip();
    let streams = hello.streams.min(options.max_streams);
    let own = match hello.features & REFERENCES {
        0 => None,
        _ => options
            .references
            .offer()
            .map_err(|error| Failure::Refused(RefusalCode::ServerFailed, error.to_string()))?,
    };
    let welcome = Welcome {
        version: (*hello.versions.end()).min(*VERSIONS.end()),
        features: hello.features & FEATURES,
        outbox: options.outbox,
        streams,
        window_bytes: options.window_bytes,
        heap: offer,
        references: own,
    };
    let sent = exchange
        .send(&welcome.encode()?, Some(outbox.descriptor()))
        .await;
    sent.map_err(ExchangeError::Io)?;
    outbox.close_descriptor();
    let references = own.zip(hello.references).map(|(own, peer)| Agreed {
        own,
        peer,
        options: options.references.clone(),
    });
    Ok(Shaken {
        hello,
        streams,
        outbox,
        inbox,
        charge,
        heaps,
        references,
    })
}

/// The heaps of a server that makes native calls.
fn make_heaps(
    hello: &Hello,
    door: &Door,
    options: &ListenOptions,
) -> Result<Option<(Heaps, HeapOffer)>, Failure> {
    let Some(heap) = &options.heap else {
        return Ok(None);
    };
    let Some(asked) = &hello.heap else {
        let reason = "this server takes native calls only".to_owned();
        return Err(Failure::Refused(RefusalCode::WrongTarget, reason));
    };
    let limit = heap.peer_window_limit_bytes;
    if asked.window_bytes > limit {
        let reason = format!(
            "a heap window of {} bytes; at most {limit} are allowed (peer_window_limit_bytes)",
            asked.window_bytes
        );
        return Err(Failure::Refused(RefusalCode::Geometry, reason));
    }
    let failed = |error: String| Failure::Refused(RefusalCode::ServerFailed, error);
    let (own, offer) = heap
        .reserve(&door.stem)
        .map_err(|error| failed(error.to_string()))?;
    let heaps = Heaps::new(own, asked).map_err(|error| failed(error.to_string()))?;
    Ok(Some((heaps, offer)))
}

/// A socket that was moved to another name leads clients of that name here.
fn check_target(hello: &Hello, door: &Door) -> Result<(), Failure> {
    if hello.target == door.stem {
        return Ok(());
    }
    let reason = format!("{} was asked for; this is {}", hello.target, door.stem);
    Err(Failure::Refused(RefusalCode::WrongTarget, reason))
}

fn check_outbox(hello: &Hello, options: &ListenOptions) -> Result<usize, Failure> {
    let bytes = hello.outbox.outbox_bytes();
    let limit = options.client_outbox_limit_bytes;
    if bytes <= limit {
        return Ok(bytes);
    }
    let reason = format!(
        "an outbox of {bytes} bytes; at most {limit} are allowed (client_outbox_limit_bytes)"
    );
    Err(Failure::Refused(RefusalCode::Geometry, reason))
}

fn segment_failure(error: SegmentError) -> Failure {
    let code = match error {
        SegmentError::Os { .. } | SegmentError::NoMemory { .. } => RefusalCode::ServerFailed,
        _ => RefusalCode::Descriptor,
    };
    Failure::Refused(code, error.to_string())
}
