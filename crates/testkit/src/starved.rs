use std::fs::File;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// While it lives, this process finds no number free for another descriptor.
#[derive(Debug)]
pub struct Starved {
    before: Rlimit,
    _hoard: Vec<File>,
}

impl Starved {
    /// Takes all numbers that are free up to the highest in use, and forbids others.
    ///
    /// # Panics
    /// If the system refuses.
    #[allow(clippy::new_without_default, reason = "it takes all there is")]
    pub fn new() -> Self {
        let before = getrlimit(Resource::Nofile);
        let open = std::fs::read_dir("/proc/self/fd").expect("own descriptors");
        let lowered = Rlimit {
            current: Some(open.count() as u64),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, lowered).expect("a limit may be lowered");
        let hoard = std::iter::from_fn(|| File::open("/dev/null").ok());
        Self {
            before,
            _hoard: hoard.collect(),
        }
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        // What was allowed before is allowed again.
        let _ = setrlimit(Resource::Nofile, self.before);
    }
}
