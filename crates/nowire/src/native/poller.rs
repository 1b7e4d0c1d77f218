//! The thread that reads the rings of a server's clients. It looks at those
//! that were busy lately, and sleeps when none was.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nowire_memory::heap::Keeping;
use nowire_protocol::ring::Control;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

use super::dispatch::Dispatch;
use super::link::{Link, Rx};
use super::serving::{ServerLink, Serving};
use crate::Met;
use crate::error::ConnectionError;
use crate::wait::Wait;

/// Looks at the rings between two looks at the clock.
const LOOKS: u32 = 32;
/// Rounds over busy rings between two looks at the doorbells of the others.
const ROUNDS: u32 = 64;
/// How long calls that are being handled have when the server shuts down.
const GRACE: Duration = Duration::from_secs(10);
/// The event that says that there is something in the letter box.
const LETTERS: u64 = u64::MAX;

/// Speaks to a poller from other threads.
#[derive(Clone)]
pub(crate) struct Tell(Arc<Letters>);

struct Letters {
    bell: OwnedFd,
    letters: Mutex<Vec<Letter>>,
}

enum Letter {
    Take(Box<Met>),
    ShutDown,
}

impl Tell {
    fn send(&self, letter: Letter) {
        let mut letters = self
            .0
            .letters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        letters.push(letter);
        drop(letters);
        // It fails only when full, and then it rings already.
        let _ = rustix::io::write(&self.0.bell, &1_u64.to_ne_bytes());
    }

    /// Hands over a client.
    pub(crate) fn take(&self, met: Met) {
        self.send(Letter::Take(Box::new(met)));
    }

    /// Ends the poller, once the calls that are being handled are answered.
    pub(crate) fn shut_down(&self) {
        self.send(Letter::ShutDown);
    }
}

pub(crate) struct Poller {
    dispatch: Arc<Dispatch>,
    wait: Wait,
    keeping: Keeping,
    letters: Arc<Letters>,
    epoll: OwnedFd,
    clients: Vec<Option<Client>>,
    /// Places of the clients whose rings are looked at.
    hot: Vec<usize>,
    leaving: Option<Instant>,
}

struct Client {
    server: Arc<ServerLink>,
    rx: Rx,
    is_hot: bool,
    since: Option<Instant>,
}

impl Poller {
    pub(crate) fn new(
        dispatch: Arc<Dispatch>,
        wait: Wait,
        keeping: Keeping,
    ) -> io::Result<(Self, Tell)> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(
            &epoll,
            &bell,
            epoll::EventData::new_u64(LETTERS),
            epoll::EventFlags::IN,
        )?;
        let letters = Arc::new(Letters {
            bell,
            letters: Mutex::default(),
        });
        let tell = Tell(Arc::clone(&letters));
        let poller = Self {
            dispatch,
            wait,
            keeping,
            letters,
            epoll,
            clients: Vec::new(),
            hot: Vec::new(),
            leaving: None,
        };
        Ok((poller, tell))
    }

    /// Reads rings until told to stop.
    pub(crate) fn run(mut self) {
        let mut rounds = 0;
        while !self.has_left() {
            if self.hot.is_empty() {
                let sleep = self.leaving.map(|until| {
                    until
                        .saturating_duration_since(Instant::now())
                        .min(Duration::from_millis(5))
                });
                self.answer_doorbells(sleep);
                continue;
            }
            let busy = self.round();
            rounds += 1;
            if rounds >= ROUNDS {
                rounds = 0;
                self.answer_doorbells(Some(Duration::ZERO));
            } else if !busy {
                self.look();
            }
        }
    }

    fn has_left(&self) -> bool {
        self.leaving.is_some_and(|until| {
            let mut clients = self.clients.iter().flatten();
            Instant::now() >= until || clients.all(|client| client.server.has_answered())
        })
    }

    /// Takes what came from each hot client; whether anything did.
    fn round(&mut self) -> bool {
        let mut busy = false;
        let mut at = 0;
        while let Some(&place) = self.hot.get(at) {
            let Some(client) = &mut self.clients[place] else {
                self.hot.swap_remove(at);
                continue;
            };
            let turn = client.turn();
            match turn {
                Ok(Turn::Busy) => {
                    busy = true;
                    at += 1;
                }
                Ok(Turn::Looking) => at += 1,
                Ok(Turn::Asleep) => {
                    client.is_hot = false;
                    self.hot.swap_remove(at);
                }
                Err(_) => {
                    self.hot.swap_remove(at);
                    self.remove(place);
                }
            }
        }
        busy
    }

    /// Looks for a moment whether something comes for a hot client.
    fn look(&self) {
        let hot = self
            .hot
            .iter()
            .filter_map(|place| self.clients[*place].as_ref());
        let rings: smallvec::SmallVec<[_; 8]> = hot
            .map(|client| (&client.server.link, &client.rx))
            .collect();
        for _ in 0..LOOKS {
            if rings.iter().any(|(link, rx)| link.is_ready(rx)) {
                return;
            }
            std::hint::spin_loop();
        }
    }

    fn answer_doorbells(&mut self, timeout: Option<Duration>) {
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 64];
        let timeout = timeout.and_then(|time| Timespec::try_from(time).ok());
        let Ok(count) = epoll::wait(&self.epoll, &mut events, timeout.as_ref()) else {
            return;
        };
        for event in &events[..count] {
            let data = event.data.u64();
            if data == LETTERS {
                self.read_letters();
            } else {
                self.answer(data as usize);
            }
        }
    }

    /// The doorbell of a client has rung, or it has hung up.
    fn answer(&mut self, place: usize) {
        let Some(Some(client)) = self.clients.get_mut(place) else {
            return;
        };
        let link = &client.server.link;
        let answered = link.answer(&mut client.rx);
        match answered {
            Ok(()) if !client.is_hot => {
                client.is_hot = true;
                client.since = None;
                self.hot.push(place);
            }
            Ok(()) => {}
            Err(_) => {
                self.hot.retain(|hot| *hot != place);
                self.remove(place);
            }
        }
    }

    fn read_letters(&mut self) {
        let mut counter = [0; 8];
        // What was rung for is in the box.
        let _ = rustix::io::read(&self.letters.bell, &mut counter);
        let letters = std::mem::take(
            &mut *self
                .letters
                .letters
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for letter in letters {
            match letter {
                Letter::Take(met) => self.take(*met),
                Letter::ShutDown => self.shut_down(),
            }
        }
    }

    fn take(&mut self, met: Met) {
        if self.leaving.is_some() {
            return;
        }
        let Some((link, rx)) = Link::new(met, self.wait, self.keeping) else {
            return;
        };
        let place = match self.clients.iter().position(Option::is_none) {
            Some(place) => place,
            None => {
                self.clients.push(None);
                self.clients.len() - 1
            }
        };
        let added = epoll::add(
            &self.epoll,
            link.socket(),
            epoll::EventData::new_u64(place as u64),
            epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET,
        );
        if let Err(error) = added {
            tracing::warn!(client = %link.peer, %error, "client not taken");
            return;
        }
        self.clients[place] = Some(Client {
            server: ServerLink::new(link, Arc::clone(&self.dispatch)),
            rx,
            is_hot: true,
            since: None,
        });
        self.hot.push(place);
    }

    fn remove(&mut self, place: usize) {
        if let Some(client) = self.clients[place].take() {
            let server = client.server;
            server.link.close(ConnectionError::PeerGone {
                peer: server.link.label(),
            });
            server.cancel_all();
            let _ = epoll::delete(&self.epoll, server.link.socket());
        }
    }

    fn shut_down(&mut self) {
        self.leaving.get_or_insert(Instant::now() + GRACE);
        for client in self.clients.iter().flatten() {
            // A connection that is over is removed at its next turn.
            let _ = client.server.link.send_control(Control::GoAway);
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        for place in 0..self.clients.len() {
            if let Some(client) = self.clients[place].take() {
                let server = client.server;
                server.link.close(ConnectionError::Closed {
                    peer: server.link.label(),
                });
                server.cancel_all();
            }
        }
    }
}

/// What a look at one client led to.
enum Turn {
    /// Something came.
    Busy,
    /// Nothing came, but may soon.
    Looking,
    /// The client rings when something comes.
    Asleep,
}

impl Client {
    #[inline]
    fn turn(&mut self) -> Result<Turn, ConnectionError> {
        let server = &self.server;
        let link = &server.link;
        let rx = &mut self.rx;
        if link.pump(rx, &mut Serving(server))? > 0 {
            // Replies have gone out without looking whether the client sleeps.
            link.ring_if_asleep();
            if self.since.take().is_some() {
                rx.window.paid_off();
            }
            return Ok(Turn::Busy);
        }
        link.check_alive(rx)?;
        let now = Instant::now();
        if now - *self.since.get_or_insert(now) < rx.window.length() {
            return Ok(Turn::Looking);
        }
        rx.window.sleeps();
        if link.is_ready_after_lying_down(rx) {
            link.get_up(rx);
            self.since = None;
            return Ok(Turn::Busy);
        }
        link.shrink();
        Ok(Turn::Asleep)
    }
}
