//! A bad network between a client and a server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Passes bytes on between TCP clients on a loopback port and a server; late, not at all, or until it is cut.
pub(crate) struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    delay_us: AtomicU64,
    stalled: AtomicBool,
    refusing: AtomicBool,
    /// Connections are numbered; those below this are lost.
    lost_below: AtomicU64,
    next: AtomicU64,
    ends: Mutex<Vec<TcpStream>>,
}

/// Where a proxy leads to.
#[derive(Clone)]
pub(crate) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<PathBuf> for Target {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl Proxy {
    /// A good network, to begin with.
    pub(crate) fn to(target: impl Into<Target>) -> Self {
        let target = target.into();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let line = Arc::new(Line::default());
        let shared = Arc::clone(&line);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !shared.refusing.load(Ordering::Relaxed) {
                    let _ = shared.join(client, &target);
                }
            }
        });
        Self { address, line }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds every piece up for so long, in either direction.
    pub(crate) fn delay(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.line.delay_us.store(micros, Ordering::Relaxed);
    }

    /// Passes nothing on any more, and keeps connections open.
    pub(crate) fn stall(&self) {
        self.line.stalled.store(true, Ordering::Relaxed);
    }

    /// Passes on again, what was held up first.
    pub(crate) fn flow(&self) {
        self.line.stalled.store(false, Ordering::Relaxed);
        self.line.refusing.store(false, Ordering::Relaxed);
    }

    /// Loses every connection there is, without a word to either end, as a router does that has forgotten them. New ones
    /// work.
    pub(crate) fn lose(&self) {
        let next = self.line.next.load(Ordering::Relaxed);
        self.line.lost_below.store(next, Ordering::Relaxed);
    }

    /// Cuts every connection, and each new one, until [`Proxy::flow`].
    pub(crate) fn cut(&self) {
        self.line.refusing.store(true, Ordering::Relaxed);
        for end in self.line.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

impl Line {
    fn join(self: &Arc<Self>, client: TcpStream, target: &Target) -> io::Result<()> {
        client.set_nodelay(true)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.ends.lock().unwrap().push(client.try_clone()?);
        match target {
            Target::Tcp(address) => {
                let server = TcpStream::connect(address)?;
                server.set_nodelay(true)?;
                let ends = (server.try_clone()?, client.try_clone()?);
                self.carry(number, client, server, |end| end.shutdown(Shutdown::Write));
                self.carry(number, ends.0, ends.1, |end| end.shutdown(Shutdown::Write));
            }
            Target::Unix(path) => {
                let server = UnixStream::connect(path)?;
                let ends = (server.try_clone()?, client.try_clone()?);
                self.carry(number, client, server, |end| end.shutdown(Shutdown::Write));
                self.carry(number, ends.0, ends.1, |end| end.shutdown(Shutdown::Write));
            }
        }
        Ok(())
    }

    fn holds_up(&self, number: u64) -> bool {
        self.stalled.load(Ordering::Relaxed) || number < self.lost_below.load(Ordering::Relaxed)
    }

    fn carry<R, W>(
        self: &Arc<Self>,
        number: u64,
        mut from: R,
        mut to: W,
        close: fn(&W) -> io::Result<()>,
    ) where
        R: Read + Send + 'static,
        W: Write + Send + 'static,
    {
        let line = Arc::clone(self);
        thread::spawn(move || {
            let mut piece = [0; 16 * 1024];
            while let Ok(length @ 1..) = from.read(&mut piece) {
                let delay = line.delay_us.load(Ordering::Relaxed);
                if delay > 0 {
                    thread::sleep(Duration::from_micros(delay));
                }
                while line.holds_up(number) {
                    thread::sleep(Duration::from_millis(1));
                }
                let Some(read) = piece.get(..length) else {
                    break;
                };
                if to.write_all(read).is_err() {
                    break;
                }
            }
            let _ = close(&to);
        });
    }
}
