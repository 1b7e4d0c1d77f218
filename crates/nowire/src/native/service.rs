//! What a service is to the server: a table of methods.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use nowire_memory::data::Layout;

use super::call::Call;

/// Where the handler of a method runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// On the thread that reads the ring: for short handlers that never block.
    /// Nothing is quicker, but other clients wait meanwhile.
    Here,
    /// On a thread of the server's pool.
    Pool,
    /// As a task of the tokio runtime; dropped when the caller gives up.
    Task,
}

/// A method, as [`service`](macro@crate::service) describes it.
#[derive(Debug)]
pub struct Method {
    /// Its name in the trait.
    pub name: &'static str,
    /// Where its handler runs.
    pub runs: Runs,
    /// The tuple of its arguments.
    pub args: fn() -> Layout,
    /// What it returns when all is well.
    pub reply: fn() -> Layout,
    /// The error it may return.
    pub error: Option<fn() -> Layout>,
    /// The items of its stream of requests.
    pub requests: Option<fn() -> Layout>,
    /// The items of its stream of replies.
    pub replies: Option<fn() -> Layout>,
    /// Whether the handler may hold arguments beyond the call.
    pub keeps: bool,
}

impl Method {
    /// How everything the method takes and gives is laid out. Two programs agree
    /// on the method if they have the same text.
    pub(crate) fn layout(&self) -> String {
        let parts = [
            ("arguments", Some(self.args)),
            ("reply", Some(self.reply)),
            ("error", self.error),
            ("requests", self.requests),
            ("replies", self.replies),
        ];
        let parts = parts
            .into_iter()
            .filter_map(|(what, layout)| Some(format!("{what}\n{}", layout?().text())));
        parts.collect::<Vec<_>>().join(PART)
    }

    /// The first difference between this layout of the method and the other
    /// side's.
    pub(crate) fn difference(&self, theirs: &str) -> String {
        let ours = [
            ("arguments", Some(self.args)),
            ("reply", Some(self.reply)),
            ("error", self.error),
            ("requests", self.requests),
            ("replies", self.replies),
        ];
        for (what, layout) in ours {
            let other = theirs
                .split(PART)
                .find_map(|part| part.strip_prefix(what)?.strip_prefix('\n'));
            match (layout, other) {
                (Some(layout), Some(other)) => {
                    if let Some(difference) = layout().difference(other) {
                        return format!("{what}: {difference}");
                    }
                }
                (Some(_), None) => return format!("{what}: here, none there"),
                (None, Some(_)) => return format!("{what}: none here, but there"),
                (None, None) => {}
            }
        }
        "its parts are described otherwise".to_owned()
    }
}

/// What stands between the parts of a method's layout.
const PART: &str = "\n--\n";

/// A handler as a task.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A service that can be added to a [`Server`](crate::Server); written by
/// [`service`](macro@crate::service).
pub trait Service: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Its methods.
    fn methods(&self) -> &'static [Method];
    /// Runs a method, `Here` or in the `Pool`.
    fn call(&self, method: u16, call: Call);
    /// Begins a method that is a `Task`.
    fn task(self: Arc<Self>, method: u16, call: Call) -> Task;
}
