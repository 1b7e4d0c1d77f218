//! Handshake messages on a control socket.

use std::io;

use nowire_memory::socket;
use nowire_protocol::handshake::{HEADER_BYTES, HandshakeError, Header, Kind};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// A control socket while the handshake goes on.
#[derive(Debug)]
pub(crate) struct Exchange {
    socket: UnixStream,
}

/// Why no message came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("it hung up before its message was complete")]
    HungUp,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

/// A message as it came, the body not decoded yet.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) kind: Kind,
    pub(crate) body: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    surplus: bool,
}

/// A message came with another number of descriptors than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// There was none.
    #[error("the message came without the descriptor of an outbox")]
    Missing,
    /// There were several.
    #[error("the message came with more than one descriptor")]
    Surplus,
}

impl Incoming {
    /// The one descriptor that came with the message.
    pub(crate) fn into_descriptor(mut self) -> Result<OwnedFd, DescriptorError> {
        if self.surplus {
            return Err(DescriptorError::Surplus);
        }
        self.descriptors.pop().ok_or(DescriptorError::Missing)
    }
}

impl From<UnixStream> for Exchange {
    fn from(socket: UnixStream) -> Self {
        Self { socket }
    }
}

impl Exchange {
    /// Takes over a connected, non-blocking socket.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        UnixStream::from_std(socket.into()).map(Self::from)
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Gives the socket back.
    pub(crate) fn into_socket(self) -> io::Result<OwnedFd> {
        Ok(self.socket.into_std()?.into())
    }

    /// Sends a whole message, the descriptor with its first bytes.
    pub(crate) async fn send(
        &self,
        message: &[u8],
        descriptor: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let mut sent = 0;
        while sent < message.len() {
            let descriptors = if sent == 0 {
                descriptor.as_slice()
            } else {
                &[]
            };
            let rest = &message[sent..];
            let send = || {
                Ok(socket::send_with_descriptors(
                    self.socket(),
                    rest,
                    descriptors,
                )?)
            };
            sent += self.socket.async_io(Interest::WRITABLE, send).await?;
        }
        Ok(())
    }

    /// Receives one message and not a byte more: what follows is doorbells.
    pub(crate) async fn receive(&self) -> Result<Incoming, ExchangeError> {
        let mut header = [0; HEADER_BYTES];
        let mut incoming = Incoming {
            kind: Kind::Hello,
            body: Vec::new(),
            descriptors: Vec::new(),
            surplus: false,
        };
        self.fill(&mut header, &mut incoming).await?;
        let Header { kind, body_bytes } = Header::decode(&header)?;
        let mut body = vec![0; body_bytes];
        self.fill(&mut body, &mut incoming).await?;
        Ok(Incoming {
            kind,
            body,
            ..incoming
        })
    }

    async fn fill(&self, buffer: &mut [u8], incoming: &mut Incoming) -> Result<(), ExchangeError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let room = 1 - incoming.descriptors.len();
            let rest = &mut buffer[filled..];
            let receive = || {
                Ok(socket::recv_with_descriptors(
                    self.socket(),
                    &mut *rest,
                    room,
                )?)
            };
            let received = self.socket.async_io(Interest::READABLE, receive).await?;
            incoming.surplus |= received.surplus;
            incoming.descriptors.extend(received.descriptors);
            if received.bytes == 0 {
                return Err(ExchangeError::HungUp);
            }
            filled += received.bytes;
        }
        Ok(())
    }
}
