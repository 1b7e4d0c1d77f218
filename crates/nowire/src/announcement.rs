//! A server's socket in the runtime directory, from its birth to its removal.
//!
//! Whoever holds the lock file of a stem owns that stem. The lock is the
//! kernel's (`flock`) and ends with the process, so what lies under a stem
//! whose lock is free belongs to nobody and may be replaced or removed by the
//! next holder. A lock counts only while its file is still the one in the
//! directory: its holder removes it last, and whoever had opened it before finds
//! that out and begins again.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nowire_memory::socket;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

/// Clients that may wait until the server takes them.
const BACKLOG: i32 = 1024;
/// How long the holder of a lock may take to begin listening, or to clean up.
const SETTLE_TIME: Duration = Duration::from_secs(1);
const SETTLE_STEP: Duration = Duration::from_millis(2);
/// Most files looked at for leftovers of dead servers.
const SWEEP_LIMIT: usize = 1024;

/// The runtime directory, opened.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) directory: OwnedFd,
}

/// Why a stem could not be announced.
#[derive(Debug)]
pub(crate) enum PublishError {
    /// A living server has it.
    InUse { path: PathBuf, pid: Option<u32> },
    /// The system refused.
    Io { path: PathBuf, source: io::Error },
}

/// A socket under its stem, listening; removed when dropped.
#[derive(Debug)]
pub(crate) struct Announcement {
    place: Arc<Place>,
    stem: String,
    /// Which file the socket is, so that no other is removed.
    identity: (u64, u64),
    // Closed last, which releases it.
    lock: OwnedFd,
}

impl Place {
    /// A path to `file` that is short enough for a socket.
    pub(crate) fn reach(&self, file: &str) -> PathBuf {
        let path = self.path.join(file);
        if path.as_os_str().len() <= socket::PATH_LIMIT_BYTES {
            return path;
        }
        Path::new("/proc/self/fd")
            .join(self.directory.as_raw_fd().to_string())
            .join(file)
    }

    /// Stems that begin with `prefix` and have a socket.
    pub(crate) fn stems(&self, prefix: &str) -> io::Result<Vec<String>> {
        let mut stems = self.list(&format!("{prefix}*.sock"))?;
        stems.sort();
        Ok(stems)
    }

    fn list(&self, pattern: &str) -> io::Result<Vec<String>> {
        let (prefix, suffix) = pattern.split_once('*').unwrap_or((pattern, ""));
        let readable = fs::openat(
            &self.directory,
            ".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut stems = Vec::new();
        for entry in fs::Dir::new(readable)?.take(SWEEP_LIMIT) {
            let name = entry?;
            let stem = name
                .file_name()
                .to_str()
                .ok()
                .and_then(|name| name.strip_suffix(suffix));
            if let Some(stem) = stem
                && stem.starts_with(prefix)
            {
                stems.push(stem.to_owned());
            }
        }
        Ok(stems)
    }

    fn stat(&self, file: &str) -> Result<Stat, Errno> {
        fs::statat(&self.directory, file, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn unlink(&self, file: &str) {
        match fs::unlinkat(&self.directory, file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => {
                tracing::warn!(file = %self.path.join(file).display(), %error, "cannot remove");
            }
        }
    }

    /// Locks a stem, or says `None` when somebody else holds it. Makes the lock
    /// file if `create` is set, else finds `ENOENT`.
    fn try_lock(&self, stem: &str, create: bool) -> Result<Option<OwnedFd>, Errno> {
        let file = lock_file(stem);
        let mut flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        flags.set(OFlags::CREATE, create);
        // Each turn means that somebody else removed the file in between.
        for _ in 0..1000 {
            let lock = fs::openat(&self.directory, &file, flags, Mode::RUSR | Mode::WUSR)?;
            match fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            }
            let locked = fs::fstat(&lock)?;
            match self.stat(&file) {
                Ok(found) if identity(&found) == identity(&locked) => return Ok(Some(lock)),
                Ok(_) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Removes what servers of this user left behind when they died.
    pub(crate) fn sweep(&self) {
        let own = rustix::process::geteuid().as_raw();
        let stems = self.list("*.lock").unwrap_or_default();
        for stem in stems {
            let is_ours = self
                .stat(&lock_file(&stem))
                .is_ok_and(|stat| stat.st_uid == own);
            if !is_ours {
                continue;
            }
            if let Ok(Some(lock)) = self.try_lock(&stem, false) {
                tracing::debug!(stem, "removing what a dead server left");
                self.remove(&stem, lock);
            }
        }
    }

    /// Removes all files of a stem whose lock is held, the lock file last.
    fn remove(&self, stem: &str, lock: OwnedFd) {
        self.unlink(&socket_file(stem));
        self.unlink(&new_file(stem));
        self.unlink(&lock_file(stem));
        drop(lock);
    }
}

pub(crate) fn socket_file(stem: &str) -> String {
    format!("{stem}.sock")
}

fn lock_file(stem: &str) -> String {
    format!("{stem}.lock")
}

fn new_file(stem: &str) -> String {
    format!("{stem}.new")
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

impl Announcement {
    /// Announces `stem`: makes its socket, listening, and gives that back too.
    /// Others than this user may connect to it if `open_to_others`. Waits up to
    /// a second for another server that is just beginning or ending.
    pub(crate) fn publish(
        place: &Arc<Place>,
        stem: String,
        open_to_others: bool,
    ) -> Result<(Self, OwnedFd), PublishError> {
        let path = place.path.join(socket_file(&stem));
        let io = |error: Errno| PublishError::Io {
            path: path.clone(),
            source: error.into(),
        };
        let deadline = Instant::now() + SETTLE_TIME;
        let lock = loop {
            if let Some(lock) = place.try_lock(&stem, true).map_err(io)? {
                break lock;
            }
            // The holder is a server, or somebody who is about to let go.
            let in_use = |pid| PublishError::InUse {
                path: path.clone(),
                pid,
            };
            match socket::connect(&place.reach(&socket_file(&stem))) {
                Ok(server) => {
                    let pid = socket::peer_credentials(server.as_fd()).map(|peer| peer.pid);
                    return Err(in_use(pid.ok().filter(|&pid| pid != 0)));
                }
                Err(Errno::AGAIN | Errno::ACCESS) => return Err(in_use(None)),
                Err(_) if Instant::now() >= deadline => return Err(in_use(None)),
                Err(_) => std::thread::sleep(SETTLE_STEP),
            }
        };
        match Self::listen(place, &stem, open_to_others) {
            Ok((identity, listener)) => {
                let place = Arc::clone(place);
                Ok((
                    Self {
                        place,
                        stem,
                        identity,
                        lock,
                    },
                    listener,
                ))
            }
            Err(error) => {
                place.remove(&stem, lock);
                Err(io(error))
            }
        }
    }

    /// The lock is held, so nobody else touches the files of this stem.
    fn listen(
        place: &Place,
        stem: &str,
        open_to_others: bool,
    ) -> Result<((u64, u64), OwnedFd), Errno> {
        let new = new_file(stem);
        place.unlink(&new);
        let listener = socket::bind(&place.reach(&new))?;
        let made = place.stat(&new)?;
        if open_to_others {
            open_to_all(place, &new, &made)?;
        }
        socket::listen(listener.as_fd(), BACKLOG)?;
        // Takes the place of a dead server's socket, if there is one, at once.
        fs::renameat(&place.directory, &new, &place.directory, socket_file(stem))?;
        Ok((identity(&made), listener))
    }
}

/// Lets every user connect; the server looks at who it is.
fn open_to_all(place: &Place, file: &str, made: &Stat) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = fs::openat(&place.directory, file, flags, Mode::empty())?;
    let found = fs::fstat(&opened)?;
    // In a directory that others may write, somebody may have put another file
    // in its place.
    if identity(&found) != identity(made)
        || FileType::from_raw_mode(found.st_mode) != FileType::Socket
    {
        return Err(Errno::STALE);
    }
    fs::chmod(proc_path(opened.as_fd()), Mode::from_raw_mode(0o666))
}

fn proc_path(descriptor: BorrowedFd<'_>) -> PathBuf {
    let number = descriptor.as_raw_fd().to_string();
    Path::new("/proc/self/fd").join(OsStr::from_bytes(number.as_bytes()))
}

impl Drop for Announcement {
    fn drop(&mut self) {
        let Self {
            place,
            stem,
            identity: own,
            lock,
        } = self;
        let file = socket_file(stem);
        // Somebody may have cleared the directory by hand, and another server
        // begun since.
        if place
            .stat(&file)
            .is_ok_and(|found| identity(&found) == *own)
        {
            place.unlink(&file);
        }
        let held = fs::fstat(&*lock).map(|stat| identity(&stat));
        let found = place.stat(&lock_file(stem)).map(|stat| identity(&stat));
        if held.is_ok() && held == found {
            place.unlink(&lock_file(stem));
        }
    }
}
