//! Where a reply, or an item of one, was built.

use std::sync::Arc;

use nowire_memory::data::Shared;
use nowire_memory::heap::{ReplyPlace, Run};
use nowire_protocol::frame::Message;

use super::held::Given;
use super::link::Link;

/// The run in which a value was built that points, and where that leads.
pub(crate) struct Built {
    run: Arc<Run>,
    place: ReplyPlace,
}

impl Built {
    /// What is said of a value that points elsewhere.
    pub(crate) const ELSEWHERE: &str =
        "it points out of the scope it is built in, or to more than what it lends";

    /// Nothing if the value points neither into the run nor to what is lent there,
    /// or to both.
    pub(crate) fn new<T: Shared>(value: &T, run: Arc<Run>) -> Option<Self> {
        let place = run.place_of(value)?;
        Some(Self { run, place })
    }

    /// Says in the message where it is, and holds what the client will release.
    pub(crate) fn tell(&self, message: &mut Message, link: &Link) {
        match self.place {
            ReplyPlace::Here => {
                let given = Given::all_of(Arc::clone(&self.run));
                message.page = given.run.page();
                message.bytes = given.bytes;
                // Before the client can release it.
                link.hold(given);
            }
            ReplyPlace::Reader { page } => {
                message.page = page;
                message.flags |= Message::LENT;
            }
        }
    }
}
