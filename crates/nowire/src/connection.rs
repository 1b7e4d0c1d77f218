//! A connection: streams over two outboxes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use nowire_protocol::ring::Control;
use nowire_protocol::stream::Side;

use crate::driver::{Accept, Driver, KeepAlive};
use crate::error::ConnectionError;
use crate::shared::{Shared, Vacancy};
use crate::stream::{Receiver, Sender, Stream};
use crate::wait::Wait;
use crate::{Met, Peer};

/// A connection through shared memory. Clones share it; the client's side is
/// closed when the last clone and the last stream are gone.
#[derive(Clone, Debug)]
pub struct Connection {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close(ConnectionError::Closed {
            peer: self.shared.label(),
        });
    }
}

/// How a connection behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionOptions {
    /// How to wait for the peer.
    pub wait: Wait,
    /// Whether to ping a silent peer; not by default, as the death of its
    /// process is seen without.
    pub keep_alive: Option<KeepAlive>,
}

impl Connection {
    /// The client's side of a connection.
    ///
    /// # Errors
    /// If the control socket cannot be watched.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn client(met: Met, options: ConnectionOptions) -> Result<Self, ConnectionError> {
        let shared = Shared::new(Side::Client, met, options.wait)?;
        tokio::spawn(Driver::new(Arc::clone(&shared), None, options.keep_alive));
        Ok(Self {
            handle: Arc::new(Handle { shared }),
        })
    }

    /// The server's side of a connection, which gives the calls that come to
    /// `accept`. The driver has to be polled for anything to happen; when it is
    /// complete or dropped, the connection is over.
    ///
    /// # Errors
    /// If the control socket cannot be watched.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn server(
        met: Met,
        options: ConnectionOptions,
        accept: Box<dyn Accept>,
    ) -> Result<(Self, Driver), ConnectionError> {
        let shared = Shared::new(Side::Server, met, options.wait)?;
        let connection = Self {
            handle: Arc::new(Handle {
                shared: Arc::clone(&shared),
            }),
        };
        let driver = Driver::new(
            shared,
            Some((accept, connection.clone())),
            options.keep_alive,
        );
        Ok((connection, driver))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// Opens a stream; pending while as many are open as the handshake allowed.
    /// `vacancy` is new for each stream and keeps the caller's place in the queue.
    ///
    /// # Errors
    /// If the connection is over, or the server takes no further calls.
    pub fn poll_open(
        &self,
        vacancy: &mut Vacancy,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        self.shared().poll_open(vacancy, cx).map_ok(|cell| Stream {
            sender: Sender::new(self.clone(), Arc::clone(&cell)),
            receiver: Receiver::new(self.clone(), cell),
        })
    }

    /// Who the peer is, as the kernel says.
    pub fn peer(&self) -> &Peer {
        &self.shared().peer
    }

    /// Why the connection takes no further streams, if it does not.
    pub fn over(&self) -> Option<ConnectionError> {
        let shared = self.shared();
        if let Some(over) = shared.over.get() {
            return Some(over.clone());
        }
        shared
            .draining
            .load(Ordering::Acquire)
            .then(|| ConnectionError::GoingAway {
                peer: shared.label(),
            })
    }

    /// Server: takes no further streams, and closes when those open are done.
    pub fn go_away(&self) {
        let shared = self.shared();
        shared.draining.store(true, Ordering::Release);
        // A connection that is over has gone away already.
        let _ = shared.send_control(Control::GoAway);
        shared.wake_driver();
    }

    /// Closes at once; pending calls fail on both sides.
    pub fn close(&self) {
        self.shared().close(ConnectionError::Closed {
            peer: self.shared().label(),
        });
    }

    /// Streams open at the moment.
    pub fn open_streams(&self) -> usize {
        self.shared().open_streams()
    }
}
