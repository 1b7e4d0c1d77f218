//! Which number each method of a service has at a server, and whether both
//! sides lay out its types alike.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::bound::Bound;
use super::call_error::{CallError, Code, Mismatch};
use super::calls::Came;
use super::describe::{Asked, Description};
use super::dispatch::DESCRIBE;
use super::service::Method;

/// What a client found out of a service at a server.
pub(crate) type Codes = Arc<Vec<Result<u16, Arc<Mismatch>>>>;

/// The services a channel has met, by name and method table.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<(&'static str, usize), Codes>>);

impl Known {
    fn get(&self, name: &'static str, methods: &'static [Method]) -> Option<Codes> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(name, methods.as_ptr().addr())).cloned()
    }

    fn put(&self, name: &'static str, methods: &'static [Method], codes: &Codes) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((name, methods.as_ptr().addr()), Arc::clone(codes));
    }
}

impl Bound {
    pub(super) fn codes_of<E>(&self, codes: &Codes, method: u16) -> Result<u16, CallError<E>> {
        match codes.get(usize::from(method)) {
            Some(Ok(code)) => Ok(*code),
            Some(Err(mismatch)) => Err(CallError::Layout(Arc::clone(mismatch))),
            None => Err(CallError::Failed {
                code: Code::Unimplemented,
                text: format!("no method {method} in {}", self.name),
                peer: self.shared().link.label(),
            }),
        }
    }

    #[inline]
    pub(super) fn code<E>(
        &self,
        method: u16,
        deadline: Option<Instant>,
    ) -> Result<u16, CallError<E>> {
        let codes = match self.codes.get() {
            Some(codes) => codes,
            None => {
                let codes = self.bind(deadline)?;
                self.codes.get_or_init(|| codes)
            }
        };
        self.codes_of(codes, method)
    }

    /// Asks the server for the methods of the service, unless this channel has.
    #[cold]
    pub(super) fn bind<E>(&self, deadline: Option<Instant>) -> Result<Codes, CallError<E>> {
        if let Some(codes) = self.channel.known().get(self.name, self.methods) {
            return Ok(codes);
        }
        let asked = self.asked()?;
        let mut outgoing = self.outgoing::<_, E>(DESCRIBE, &(asked,), None, None, false)?;
        let ticket = self.open(&mut outgoing, deadline)?;
        let came = self.wait_last(ticket, deadline)?;
        self.learn(came)
    }

    pub(super) async fn bind_async<E>(&self) -> Result<Codes, CallError<E>> {
        if let Some(codes) = self.channel.known().get(self.name, self.methods) {
            return Ok(codes);
        }
        let asked = self.asked()?;
        let mut outgoing = self.outgoing::<_, E>(DESCRIBE, &(asked,), None, None, false)?;
        let came = self.round_trip_async(&mut outgoing).await?;
        self.learn(came)
    }

    pub(super) fn asked<E>(&self) -> Result<Asked, CallError<E>> {
        Asked::new(self.name).ok_or_else(|| CallError::Failed {
            code: Code::InvalidArgument,
            text: format!("{} is too long a name for a service", self.name),
            peer: self.shared().link.label(),
        })
    }

    pub(super) fn learn<E>(&self, came: Came) -> Result<Codes, CallError<E>> {
        let described = match self.typed::<Description<'static>, crate::Never>(came) {
            Ok(described) => Some(described),
            // Every method is refused by itself, each time it is called.
            Err(CallError::Failed {
                code: Code::Unimplemented,
                text,
                ..
            }) => return Ok(self.nothing_known(&text)),
            Err(CallError::Failed { code, text, peer }) => {
                return Err(CallError::Failed { code, text, peer });
            }
            Err(CallError::Connection(error)) => return Err(CallError::Connection(error)),
            Err(_) => None,
        };
        let Some(described) = described else {
            return Ok(self.nothing_known("it does not describe its methods"));
        };
        let peer = self.channel.peer().to_string();
        let codes = self.methods.iter().map(|method| {
            let ours = method.layout();
            let mismatch = |difference, theirs: &str| {
                Err(Arc::new(Mismatch {
                    peer: peer.clone(),
                    method: format!("{}.{}", self.name, method.name),
                    difference,
                    ours: ours.clone(),
                    theirs: theirs.to_owned(),
                }))
            };
            let theirs = described.get().methods.iter();
            let Some(theirs) = theirs.into_iter().find(|m| *m.name == *method.name) else {
                return mismatch("the server was built without it".to_owned(), "");
            };
            if *theirs.layout == *ours {
                return Ok(theirs.code);
            }
            let difference = method.difference(&theirs.layout);
            mismatch(difference, &theirs.layout)
        });
        let codes: Codes = Arc::new(codes.collect());
        self.channel.known().put(self.name, self.methods, &codes);
        Ok(codes)
    }

    pub(super) fn nothing_known(&self, why: &str) -> Codes {
        let peer = self.channel.peer().to_string();
        let refused = self.methods.iter().map(|method| {
            Err(Arc::new(Mismatch {
                peer: peer.clone(),
                method: format!("{}.{}", self.name, method.name),
                difference: why.to_owned(),
                ours: method.layout(),
                theirs: String::new(),
            }))
        });
        Arc::new(refused.collect())
    }
}
