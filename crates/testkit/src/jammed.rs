use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many descriptors this user may have on their way while one is [`Jammed`].
const LIMIT: u64 = 256;
/// Descriptors in a message: the kernel takes 253.
const BATCH: usize = 64;

/// While it lives, this user has as many descriptors on their way as the kernel lets it:
/// this process can hand over no other. That limits only users without privileges.
#[derive(Debug)]
pub struct Jammed {
    before: Rlimit,
    _never_read: [UnixStream; 2],
}

impl Jammed {
    /// Sends descriptors to nobody until the kernel takes no more.
    ///
    /// # Panics
    /// If the system refuses something else, or takes them without end.
    #[allow(clippy::new_without_default, reason = "it takes all there is")]
    pub fn new() -> Self {
        let before = getrlimit(Resource::Nofile);
        let lowered = Rlimit {
            current: Some(LIMIT),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, lowered).expect("a limit may be lowered");
        let (to, from) = UnixStream::pair().expect("descriptors");
        let file = File::open("/dev/null").expect("descriptors");
        let files = [file.as_fd(); BATCH];
        for _ in 0..=LIMIT {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
            let bytes = [IoSlice::new(&[0])];
            match sendmsg(&to, &bytes, &mut control, SendFlags::DONTWAIT) {
                Ok(_) => {}
                Err(Errno::TOOMANYREFS) => {
                    return Self {
                        before,
                        _never_read: [to, from],
                    };
                }
                Err(error) => panic!("descriptors are not sent: {error}"),
            }
        }
        panic!("this user may have any number of descriptors on their way");
    }
}

impl Drop for Jammed {
    fn drop(&mut self) {
        // What was allowed before is allowed again.
        let _ = setrlimit(Resource::Nofile, self.before);
    }
}
