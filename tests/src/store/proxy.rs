//! A TCP proxy that breaks connections where it is told to.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// What a [`Proxy`] does with connections and their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Everything passes.
    None,
    /// New connections are closed at once. Open ones stay.
    Refuse,
    /// A connection is closed when the client sends: the server does not see the request.
    LoseRequest,
    /// A connection is closed when the server sends: it has executed the request.
    LoseResponse,
    /// What either side sends is kept until another fault is set.
    Hold,
}

/// A TCP proxy on a free port of the loopback interface, in front of a server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    fault: Fault,
    once: bool,
    open: Vec<TcpStream>,
    ended: bool,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Starts a proxy in front of `server`.
    ///
    /// # Errors
    /// If no port can be opened.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            fault: Fault::None,
            once: false,
            open: Vec::new(),
            ended: false,
        }));
        let proxy = Self { address, state: Arc::clone(&state) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let locked = lock(&state);
                if locked.ended {
                    return;
                }
                if locked.fault == Fault::Refuse {
                    continue;
                }
                drop(locked);
                // A server that is not there: the client sees a closed connection.
                if let Ok(server) = TcpStream::connect(server) {
                    let _ = connect(&state, &client, &server);
                }
            }
        });
        Ok(proxy)
    }

    /// The address to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what happens from now on, also on open connections.
    pub fn set(&self, fault: Fault) {
        let mut state = lock(&self.state);
        (state.fault, state.once) = (fault, false);
    }

    /// Sets what happens to the next request or response alone.
    pub fn set_once(&self, fault: Fault) {
        let mut state = lock(&self.state);
        (state.fault, state.once) = (fault, true);
    }

    /// Closes all open connections.
    pub fn cut(&self) {
        for stream in lock(&self.state).open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        lock(&self.state).ended = true;
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn connect(state: &Arc<Mutex<State>>, client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    for (from, to, loses) in
        [(client, server, Fault::LoseRequest), (server, client, Fault::LoseResponse)]
    {
        let _ = from.set_nodelay(true);
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        lock(state).open.push(from.try_clone()?);
        let state = Arc::clone(state);
        thread::spawn(move || {
            let _ = copy(&state, &from, &to, loses);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

fn copy(
    state: &Mutex<State>,
    mut from: &TcpStream,
    mut to: &TcpStream,
    loses: Fault,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        loop {
            let mut locked = lock(state);
            if locked.fault == loses {
                if locked.once {
                    locked.fault = Fault::None;
                }
                return Ok(());
            }
            if locked.fault != Fault::Hold {
                break;
            }
            drop(locked);
            thread::sleep(std::time::Duration::from_millis(5));
        }
        to.write_all(&buffer[..len])?;
    }
}
