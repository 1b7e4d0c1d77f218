//! The directory in which servers announce themselves.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};

const VARIABLE: &str = "NOWIRE_RUNTIME_DIR";

/// Why there is no directory to meet in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeDirError {
    /// No rule names a directory.
    #[error(
        "no runtime directory: set NOWIRE_RUNTIME_DIR, or XDG_RUNTIME_DIR as a login session does; only root has a default, /run/nowire"
    )]
    Unknown,
    /// A variable holds a path that depends on where one is.
    #[error("{variable} is {path:?}: give an absolute path")]
    Relative {
        /// The variable.
        variable: &'static str,
        /// What it holds.
        path: PathBuf,
    },
    /// The directory cannot be made or opened.
    #[error("runtime directory {path:?}: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The default directory belongs to somebody else.
    #[error(
        "runtime directory {path:?} belongs to uid {owner}, this process has uid {uid}: set NOWIRE_RUNTIME_DIR to say that this is meant"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// This process's user.
        uid: u32,
    },
    /// Others could replace what servers put into the directory.
    #[error("runtime directory {path:?} has mode {mode:04o}: {advice}")]
    Writable {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What to do.
        advice: &'static str,
    },
}

/// The runtime directory and whether somebody chose it for Nowire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeDir {
    path: PathBuf,
    explicit: bool,
}

/// The directory in which servers of this process announce themselves and
/// clients look for them: `$NOWIRE_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/nowire`,
/// else `/run/nowire` for root. It may not exist yet.
///
/// A directory under the last two belongs to its user alone. The first may be
/// shared, as a volume of several containers or between users that a server
/// allows: those users then need to enter it (`x`), and servers need to write
/// it. It may be writable by a group; it may be writable by all only with the
/// sticky bit, mode 1777. Whoever can write it can keep clients from finding a
/// server, but not pose as one: client and server check each other's user.
///
/// # Errors
/// If no rule names a directory, or a variable holds a relative path.
pub fn runtime_dir() -> Result<PathBuf, RuntimeDirError> {
    RuntimeDir::locate(None).map(|dir| dir.path)
}

impl RuntimeDir {
    /// The directory `chosen`, or else the one the rule names.
    pub(crate) fn locate(chosen: Option<&Path>) -> Result<Self, RuntimeDirError> {
        if let Some(path) = chosen {
            return Self::explicit("runtime_dir", path.to_owned());
        }
        let is_root = rustix::process::geteuid().is_root();
        Self::by_rule(
            std::env::var_os(VARIABLE),
            std::env::var_os("XDG_RUNTIME_DIR"),
            is_root,
        )
    }

    fn by_rule(
        own: Option<OsString>,
        session: Option<OsString>,
        is_root: bool,
    ) -> Result<Self, RuntimeDirError> {
        let set = |value: Option<OsString>| value.filter(|value| !value.is_empty());
        if let Some(path) = set(own) {
            return Self::explicit(VARIABLE, path.into());
        }
        // A relative path is to be ignored, says the XDG specification.
        let session = set(session)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        if let Some(path) = session {
            return Ok(Self {
                path: path.join("nowire"),
                explicit: false,
            });
        }
        if is_root {
            return Ok(Self {
                path: "/run/nowire".into(),
                explicit: false,
            });
        }
        Err(RuntimeDirError::Unknown)
    }

    fn explicit(variable: &'static str, path: PathBuf) -> Result<Self, RuntimeDirError> {
        if !path.is_absolute() {
            return Err(RuntimeDirError::Relative { variable, path });
        }
        Ok(Self {
            path,
            explicit: true,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory as it is.
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.path, flags, Mode::empty())?)
    }

    /// Makes the directory if it is missing, checks that it is safe to announce
    /// a server in, and opens it.
    pub(crate) fn prepare(&self) -> Result<OwnedFd, RuntimeDirError> {
        let io = |source| RuntimeDirError::Io {
            path: self.path.clone(),
            source,
        };
        // Only a chosen directory may need its parents made.
        match DirBuilder::new()
            .mode(0o700)
            .recursive(self.explicit)
            .create(&self.path)
        {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
            _ => {}
        }
        let opened = self.open().map_err(io)?;
        let stat = rustix::fs::fstat(&opened).map_err(|errno| io(errno.into()))?;
        self.check(
            stat.st_uid,
            stat.st_mode & 0o7777,
            rustix::process::geteuid().as_raw(),
        )?;
        Ok(opened)
    }

    fn check(&self, owner: u32, mode: u32, uid: u32) -> Result<(), RuntimeDirError> {
        let path = || self.path.clone();
        let writable = |advice| {
            Err(RuntimeDirError::Writable {
                path: path(),
                mode,
                advice,
            })
        };
        if self.explicit {
            if mode & 0o1002 == 0o0002 {
                return writable(
                    "everybody could remove its files; use mode 1777, or 0770 with a group",
                );
            }
            return Ok(());
        }
        if owner != uid {
            return Err(RuntimeDirError::Foreign {
                path: path(),
                owner,
                uid,
            });
        }
        if mode & 0o022 != 0 {
            return writable(
                "others could write it; use mode 0700, or set NOWIRE_RUNTIME_DIR to share it",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(own: &str, session: &str, is_root: bool) -> Result<RuntimeDir, RuntimeDirError> {
        RuntimeDir::by_rule(Some(own.into()), Some(session.into()), is_root)
    }

    fn path(found: Result<RuntimeDir, RuntimeDirError>) -> (PathBuf, bool) {
        let found = found.expect("a directory");
        (found.path, found.explicit)
    }

    #[test]
    fn the_first_rule_that_names_a_directory_wins() {
        assert_eq!(path(dir("/a", "/b", true)), ("/a".into(), true));
        assert_eq!(path(dir("", "/b", true)), ("/b/nowire".into(), false));
        assert_eq!(path(dir("", "", true)), ("/run/nowire".into(), false));
        assert_eq!(
            path(dir("", "relative", true)),
            ("/run/nowire".into(), false)
        );
        assert!(matches!(dir("", "", false), Err(RuntimeDirError::Unknown)));
        assert!(matches!(
            dir("a", "/b", true),
            Err(RuntimeDirError::Relative { .. })
        ));
    }

    #[test]
    fn a_default_directory_belongs_to_its_user_alone() {
        let found = dir("", "/b", false).expect("a directory");
        assert!(found.check(7, 0o700, 7).is_ok());
        assert!(found.check(7, 0o755, 7).is_ok());
        assert!(matches!(
            found.check(0, 0o700, 7),
            Err(RuntimeDirError::Foreign {
                owner: 0,
                uid: 7,
                ..
            })
        ));
        for mode in [0o770, 0o707, 0o1777] {
            assert!(matches!(
                found.check(7, mode, 7),
                Err(RuntimeDirError::Writable { .. })
            ));
        }
    }

    #[test]
    fn a_chosen_directory_may_be_shared_but_not_free_for_all() {
        let found = dir("/a", "", false).expect("a directory");
        for mode in [0o700, 0o770, 0o2775, 0o1777] {
            assert!(found.check(0, mode, 7).is_ok(), "{mode:o}");
        }
        for mode in [0o777, 0o2777] {
            assert!(matches!(
                found.check(7, mode, 7),
                Err(RuntimeDirError::Writable { .. })
            ));
        }
    }
}
