//! Listening sockets: made on tx, shared by the workers, and passed on when the server is replaced.

use authkv_config::{Layers, Listen};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use tokio::net::{TcpStream, UnixStream};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Who may connect to a unix socket: the owner and the group.
const UNIX_MODE: u32 = 0o660;

/// A listening socket, and its address.
pub struct Listener {
    pub listen: Listen,
    pub socket: Socket,
}

/// A connection.
pub enum Accepted {
    Tcp(TcpStream, SocketAddr, Layers),
    Unix(UnixStream),
}

/// A connection on its way to the event loop of another thread.
pub enum Passed {
    Tcp(std::net::TcpStream, SocketAddr, Layers),
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    /// Removes the connection from the event loop of this thread. Errors: those of the system.
    pub fn pass(self) -> io::Result<Passed> {
        Ok(match self {
            Accepted::Tcp(stream, address, layers) => {
                Passed::Tcp(stream.into_std()?, address, layers)
            }
            Accepted::Unix(stream) => Passed::Unix(stream.into_std()?),
        })
    }
}

impl Passed {
    /// Adds the connection to the event loop of this thread. Errors: those of the system.
    pub fn accept(self) -> io::Result<Accepted> {
        Ok(match self {
            Passed::Tcp(stream, address, layers) => {
                Accepted::Tcp(TcpStream::from_std(stream)?, address, layers)
            }
            Passed::Unix(stream) => Accepted::Unix(UnixStream::from_std(stream)?),
        })
    }
}

impl Listener {
    /// Listens on an address. The port that the system chooses for 0 is stored in `listen`. Replaces a unix socket on which
    /// nobody listens. Errors: those of the system.
    pub fn bind(listen: &Listen) -> io::Result<Self> {
        let (socket, listen) = match listen {
            Listen::Tcp { address, layers } => {
                let domain = Domain::for_address(*address);
                let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
                socket.set_reuse_address(true)?;
                socket.bind(&(*address).into())?;
                let bound = socket.local_addr()?.as_socket().unwrap_or(*address);
                let listen = Listen::Tcp {
                    address: bound,
                    layers: *layers,
                };
                (socket, listen)
            }
            Listen::Unix(path) => {
                remove_stale(path)?;
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.bind(&SockAddr::unix(path)?)?;
                fs::set_permissions(path, fs::Permissions::from_mode(UNIX_MODE))?;
                (socket, listen.clone())
            }
        };
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self { listen, socket })
    }

    /// Another handle of the socket, for the same address written as in `listen`.
    pub fn share(&self, listen: &Listen) -> io::Result<Self> {
        let mut shared = listen.clone();
        if let (Listen::Tcp { address, .. }, Listen::Tcp { address: bound, .. }) =
            (&mut shared, &self.listen)
        {
            *address = *bound;
        }
        Ok(Self {
            listen: shared,
            socket: self.socket.try_clone()?,
        })
    }

    /// The socket in the event loop of this thread.
    pub fn into_async(self) -> io::Result<AsyncListener> {
        Ok(match self.listen {
            Listen::Tcp { layers, .. } => {
                let listener = tokio::net::TcpListener::from_std(self.socket.into())?;
                AsyncListener::Tcp(listener, layers)
            }
            Listen::Unix(_) => {
                AsyncListener::Unix(tokio::net::UnixListener::from_std(self.socket.into())?)
            }
        })
    }

    /// Removes the file of a unix socket that is not used any more.
    pub fn remove_file(&self) {
        if let Listen::Unix(path) = &self.listen {
            // The file may be gone already.
            let _ = fs::remove_file(path);
        }
    }
}

/// A listening socket in an event loop.
pub enum AsyncListener {
    Tcp(tokio::net::TcpListener, Layers),
    Unix(tokio::net::UnixListener),
}

impl AsyncListener {
    pub async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            AsyncListener::Tcp(listener, layers) => {
                let (stream, address) = listener.accept().await?;
                Accepted::Tcp(stream, address, *layers)
            }
            AsyncListener::Unix(listener) => Accepted::Unix(listener.accept().await?.0),
        })
    }
}

/// Removes the file of a socket whose process has ended.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    // Nonblocking, because a process may live and not accept.
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}
