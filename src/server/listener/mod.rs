//! Where connections come from: a TCP address or a Unix socket.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};

use super::transport::Socket;
use crate::settings::ListenAddress;

#[cfg(test)]
mod tests;

/// Owner and group may connect: a proxy runs as another user of our group.
const SOCKET_MODE: u32 = 0o660;

/// An address that is listened on. Dropping it frees the address.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        file: SocketFile,
    },
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens there.
    #[error("{0} is in use by another program; stop it or choose another address")]
    InUse(Place),
    /// The system forbids it.
    #[error("{0} is forbidden for this user; choose a port above 1023 or a folder of ours")]
    Forbidden(Place),
    /// This machine does not have the address.
    #[error("{0} is not an address of this machine; choose one of its own, or 0.0.0.0")]
    NotOurs(Place),
    /// A file that is no socket has the path.
    #[error("{0} exists and is not a socket; move it away or choose another path")]
    NotASocket(Place),
    /// The folder of the socket does not exist.
    #[error("the folder of {0} does not exist; make it or choose another path")]
    NoFolder(Place),
    /// Anything else the system says.
    #[error("cannot listen on {place}")]
    System {
        /// The address.
        place: Place,
        /// What the system says.
        source: io::Error,
    },
}

/// An address as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(ListenAddress);

/// A socket's place in the file system, removed with it.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: a successor may have put its own socket there.
    identity: (u64, u64),
}

impl Listener {
    /// Starts to listen. A socket file that nobody listens on is replaced.
    ///
    /// # Errors
    /// `InUse`, `Forbidden`, `NotOurs`, `NotASocket` and `NoFolder` as they say; `System` for the
    /// rest.
    pub async fn bind(address: &ListenAddress) -> Result<Self, BindError> {
        let place = Place(address.clone());
        match address {
            ListenAddress::Tcp(address) => TcpListener::bind(address)
                .await
                .map(|listener| Self(Kind::Tcp(listener)))
                .map_err(|source| place.refused(source)),
            ListenAddress::Unix(path) => {
                if is_socket(path, &place)? {
                    if tokio::net::UnixStream::connect(path).await.is_ok() {
                        return Err(BindError::InUse(place));
                    }
                    fs::remove_file(path).map_err(|source| place.refused(source))?;
                }
                bind_unix(path).map_err(|source| place.refused(source))
            }
        }
    }

    /// The address that clients dial; the port is the real one.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_address(&self) -> io::Result<ListenAddress> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Kind::Unix { file, .. } => Ok(ListenAddress::Unix(file.path.clone())),
        }
    }

    /// The next connection and its other end. Cancelling loses none.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are small and whole: waiting to fill a segment only delays them.
                stream.set_nodelay(true)?;
                Ok((Socket::Tcp(stream), Some(address)))
            }
            Kind::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), None))
            }
        }
    }
}

fn is_socket(path: &Path, place: &Place) -> Result<bool, BindError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => Ok(true),
        Ok(_) => Err(BindError::NotASocket(place.clone())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(place.refused(source)),
    }
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
    let metadata = fs::symlink_metadata(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: (metadata.dev(), metadata.ino()),
    };
    Ok(Listener(Kind::Unix { listener, file }))
}

impl Place {
    fn refused(&self, source: io::Error) -> BindError {
        let place = self.clone();
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(place),
            io::ErrorKind::PermissionDenied => BindError::Forbidden(place),
            io::ErrorKind::AddrNotAvailable => BindError::NotOurs(place),
            io::ErrorKind::NotFound => BindError::NoFolder(place),
            _ => BindError::System { place, source },
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ListenAddress::Tcp(address) => write!(formatter, "{address}"),
            ListenAddress::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "the socket file could not be removed");
        }
    }
}
