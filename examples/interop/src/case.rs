//! The cases by name.

use std::{fmt, future::Future, str::FromStr};

use crate::{
    Channel, Failure, Settings,
    cases::{compression, ending, load, metadata, soak, streaming, unary},
};

/// One case of the description. `Display` and `FromStr` use its official name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Case {
    /// A call with nothing in it either way.
    EmptyUnary,
    /// Two equal calls that a proxy on the way may answer with one response.
    CacheableUnary,
    /// A call with a large message either way.
    LargeUnary,
    /// The client compresses a message, or does not, and the server notices.
    ClientCompressedUnary,
    /// The server compresses a message, or does not, as asked.
    ServerCompressedUnary,
    /// Four messages to the server.
    ClientStreaming,
    /// A compressed and a plain message in one stream to the server.
    ClientCompressedStreaming,
    /// Four messages from the server.
    ServerStreaming,
    /// A compressed and a plain message in one stream from the server.
    ServerCompressedStreaming,
    /// Four messages to and fro, each in its turn.
    PingPong,
    /// Messages to the server, all answered after the last.
    HalfDuplex,
    /// A stream without messages either way.
    EmptyStream,
    /// Metadata there and back, in text and binary, first and last.
    CustomMetadata,
    /// A status with a message.
    StatusCodeAndMessage,
    /// A status message with white space and characters of two and four UTF-16 bytes.
    SpecialStatusMessage,
    /// A method that the service does not have.
    UnimplementedMethod,
    /// A service that the server does not have.
    UnimplementedService,
    /// A call cancelled before its first message.
    CancelAfterBegin,
    /// A call cancelled after the first response.
    CancelAfterFirstResponse,
    /// A call whose time runs out.
    TimeoutOnSleepingServer,
    /// A thousand large calls at once on one channel.
    ConcurrentLargeUnary,
    /// Many large calls, one after the other, on one channel.
    RpcSoak,
    /// Many large calls, each on a channel of its own.
    ChannelSoak,
    /// Large calls with pauses between them on one channel.
    LongLivedChannel,
    /// A load report in a call's trailers.
    OrcaPerRpc,
    /// Load reports outside of calls.
    OrcaOob,
}

/// A case passed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Passed {
    /// What there is to say beyond that, such as a soak's latencies.
    pub note: Option<String>,
}

/// No case has this name.
#[derive(Debug, thiserror::Error)]
#[error("no case is called {0:?}; there are: {names}", names = Case::ALL.map(Case::name).join(", "))]
pub struct UnknownCase(String);

impl Case {
    /// All cases, in the order in which `all` runs them.
    pub const ALL: [Self; 26] = [
        Self::EmptyUnary,
        Self::CacheableUnary,
        Self::LargeUnary,
        Self::ClientCompressedUnary,
        Self::ServerCompressedUnary,
        Self::ClientStreaming,
        Self::ClientCompressedStreaming,
        Self::ServerStreaming,
        Self::ServerCompressedStreaming,
        Self::PingPong,
        Self::HalfDuplex,
        Self::EmptyStream,
        Self::CustomMetadata,
        Self::StatusCodeAndMessage,
        Self::SpecialStatusMessage,
        Self::UnimplementedMethod,
        Self::UnimplementedService,
        Self::CancelAfterBegin,
        Self::CancelAfterFirstResponse,
        Self::TimeoutOnSleepingServer,
        Self::ConcurrentLargeUnary,
        Self::RpcSoak,
        Self::ChannelSoak,
        Self::LongLivedChannel,
        Self::OrcaPerRpc,
        Self::OrcaOob,
    ];

    /// The official name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EmptyUnary => "empty_unary",
            Self::CacheableUnary => "cacheable_unary",
            Self::LargeUnary => "large_unary",
            Self::ClientCompressedUnary => "client_compressed_unary",
            Self::ServerCompressedUnary => "server_compressed_unary",
            Self::ClientStreaming => "client_streaming",
            Self::ClientCompressedStreaming => "client_compressed_streaming",
            Self::ServerStreaming => "server_streaming",
            Self::ServerCompressedStreaming => "server_compressed_streaming",
            Self::PingPong => "ping_pong",
            Self::HalfDuplex => "half_duplex",
            Self::EmptyStream => "empty_stream",
            Self::CustomMetadata => "custom_metadata",
            Self::StatusCodeAndMessage => "status_code_and_message",
            Self::SpecialStatusMessage => "special_status_message",
            Self::UnimplementedMethod => "unimplemented_method",
            Self::UnimplementedService => "unimplemented_service",
            Self::CancelAfterBegin => "cancel_after_begin",
            Self::CancelAfterFirstResponse => "cancel_after_first_response",
            Self::TimeoutOnSleepingServer => "timeout_on_sleeping_server",
            Self::ConcurrentLargeUnary => "concurrent_large_unary",
            Self::RpcSoak => "rpc_soak",
            Self::ChannelSoak => "channel_soak",
            Self::LongLivedChannel => "long_lived_channel",
            Self::OrcaPerRpc => "orca_per_rpc",
            Self::OrcaOob => "orca_oob",
        }
    }

    /// The cases that a comma-separated list names; `all` names every one.
    ///
    /// # Errors
    /// [`UnknownCase`] with the first name that is none.
    pub fn select(list: &str) -> Result<Vec<Self>, UnknownCase> {
        if list == "all" {
            return Ok(Self::ALL.to_vec());
        }
        list.split(',').map(|name| name.trim().parse()).collect()
    }

    /// Runs the case on `channel`. Only `channel_soak` calls `connect`, which must open a new
    /// channel to the same server each time.
    ///
    /// # Errors
    /// The [`Failure`] that was seen first; the channel stays usable unless the failure is the
    /// channel's own.
    pub async fn run<C, F, Fut>(
        self,
        channel: &C,
        connect: F,
        settings: &Settings,
    ) -> Result<Passed, Failure>
    where
        C: Channel,
        F: Fn() -> Fut,
        Fut: Future<Output = Result<C, tonic::codegen::StdError>>,
    {
        let channel = channel.clone();
        match self {
            Self::EmptyUnary => unary::empty(channel, settings).await?,
            Self::CacheableUnary => {
                let note = unary::cacheable(channel, settings).await?;
                return Ok(Passed { note: Some(note) });
            }
            Self::LargeUnary => unary::large(channel, settings).await?,
            Self::ClientCompressedUnary => compression::client_unary(channel, settings).await?,
            Self::ServerCompressedUnary => compression::server_unary(channel, settings).await?,
            Self::ClientStreaming => streaming::client(channel, settings).await?,
            Self::ClientCompressedStreaming => {
                compression::client_streaming(channel, settings).await?;
            }
            Self::ServerStreaming => streaming::server(channel, settings).await?,
            Self::ServerCompressedStreaming => {
                compression::server_streaming(channel, settings).await?;
            }
            Self::PingPong => streaming::ping_pong(channel, settings).await?,
            Self::HalfDuplex => streaming::half_duplex(channel, settings).await?,
            Self::EmptyStream => streaming::empty(channel, settings).await?,
            Self::CustomMetadata => metadata::custom(channel, settings).await?,
            Self::StatusCodeAndMessage => ending::status(channel, settings).await?,
            Self::SpecialStatusMessage => ending::special_message(channel, settings).await?,
            Self::UnimplementedMethod => ending::no_method(channel, settings).await?,
            Self::UnimplementedService => ending::no_service(channel, settings).await?,
            Self::CancelAfterBegin => ending::cancel_at_once(channel, settings).await?,
            Self::CancelAfterFirstResponse => ending::cancel_later(channel, settings).await?,
            Self::TimeoutOnSleepingServer => ending::timeout(channel, settings).await?,
            Self::ConcurrentLargeUnary => unary::concurrent(channel, settings).await?,
            Self::RpcSoak => {
                let note = soak::one_channel(channel, settings).await?;
                return Ok(Passed { note: Some(note) });
            }
            Self::ChannelSoak => {
                let note = soak::many_channels(connect, settings).await?;
                return Ok(Passed { note: Some(note) });
            }
            Self::LongLivedChannel => soak::long_lived(channel, settings).await?,
            Self::OrcaPerRpc => load::per_call(channel, settings).await?,
            Self::OrcaOob => load::out_of_band(channel, settings).await?,
        }
        Ok(Passed::default())
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Case {
    type Err = UnknownCase;

    fn from_str(name: &str) -> Result<Self, UnknownCase> {
        Self::ALL
            .into_iter()
            .find(|case| case.name() == name)
            .ok_or_else(|| UnknownCase(name.to_owned()))
    }
}
