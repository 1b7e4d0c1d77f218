//! The Unix socket of an HTTP/2 server at `unix:/path`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket};

/// A socket bound to its path, which does not listen yet.
pub(crate) struct UnixSocketFile {
    socket: UnixSocket,
    file: SocketFile,
    /// Held until the socket listens, as until then it looks like a dead one.
    _folder_lock: File,
}

/// The file of a socket; removed when dropped, if it is still the same.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl UnixSocketFile {
    /// Binds to `path`. A socket left behind by a dead server is replaced;
    /// servers that start at the same time do so one after the other.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let lock = File::open(folder)?;
        lock.lock()?;
        if fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
            match std::os::unix::net::UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path)?;
                }
                _ => {
                    let error = "another server listens there";
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, error));
                }
            }
        }
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        let file = fs::symlink_metadata(path)?;
        let file = SocketFile {
            path: path.to_owned(),
            identity: (file.dev(), file.ino()),
        };
        Ok(Self {
            socket,
            file,
            _folder_lock: lock,
        })
    }

    /// Lets clients connect. The file is to be kept while the listener is in use.
    pub(crate) fn listen(self, backlog: u32) -> io::Result<(UnixListener, SocketFile)> {
        Ok((self.socket.listen(backlog)?, self.file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path)
            .is_ok_and(|file| (file.dev(), file.ino()) == self.identity)
        {
            // Somebody else has removed it if this fails.
            let _ = fs::remove_file(&self.path);
        }
    }
}
