//! What threads and host share, and the host's calls.

use crate::connection::{Connection, Got, Io, State, Token, Wrote, OUTPUT_BYTES_MAX, READ_BYTES};
use crate::notice::{Notice, Notices};
use crate::thread::{self, Thread, LISTENER, WAKER};
use crate::tls::{Tls, TlsConfig};
use crate::Session;
use mio::{Interest, Poll, Registry, Waker};
use parking_lot::{Mutex, RwLock};
use sixfold_lanes::Streams;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Instant;

const BACKLOG: i32 = 1024;
const STACK_BYTES: usize = 16 << 20;

/// What others ask of a thread: go on with a session that was woken. Its state is `Running` already.
pub struct Command(pub Arc<Connection>);

/// A thread as others see it.
pub struct Peer {
    pub registry: Registry,
    waker: Waker,
    pub commands: Mutex<Vec<Command>>,
    /// Connections that have more to write, after their turn.
    pub writing: Mutex<Vec<Arc<Connection>>>,
    /// How many connections wait for the log there.
    pub parked: AtomicUsize,
    /// Connections that are over for the host and have output left, and since when.
    pub lingering: Mutex<Vec<(Instant, Arc<Connection>)>>,
}

impl Peer {
    pub fn send(&self, command: Command) {
        let mut commands = self.commands.lock();
        commands.push(command);
        if commands.len() == 1 {
            self.wake();
        }
    }

    pub fn wake(&self) {
        // It can only fail when the descriptor is gone, with the thread.
        let _ = self.waker.wake();
    }
}

pub struct Shared {
    pub peers: Vec<Peer>,
    pub connections: RwLock<HashMap<Token, Arc<Connection>>>,
    pub sessions: RwLock<HashMap<u64, Arc<Connection>>>,
    pub notices: Notices,
    pub tokens: AtomicU64,
    pub stopping: AtomicBool,
    /// The host is told of so much redo although nobody waits for it.
    pub gather_bytes: u64,
    /// So many sockets are kept at once.
    pub connections_max: usize,
    /// The log, when threads carry it; else the host does.
    pub log: RwLock<Option<Arc<Streams>>>,
    /// Nobody is accepted any more.
    pub deaf: AtomicBool,
}

/// A listening socket and the threads that serve its clients.
pub struct Reactor {
    pub(crate) shared: Arc<Shared>,
    address: SocketAddr,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

fn listener(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        let bound = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )
        .and_then(|socket| {
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        match bound {
            Ok(socket) => return Ok(socket.into()),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

impl Reactor {
    /// Listen at the first of the host's addresses that can be listened at. Who comes when there are `connections_max` sockets
    /// is closed at once: a burst of clients never takes the descriptors that the host's files need.
    pub fn open(
        host: &str,
        port: u16,
        threads: usize,
        gather_bytes: u64,
        connections_max: usize,
    ) -> io::Result<Reactor> {
        let listener = listener(host, port)?;
        let address = listener.local_addr()?;
        let mut listener = Some(mio::net::TcpListener::from_std(listener));
        let mut polls = Vec::new();
        let mut peers = Vec::new();
        for _ in 0..threads.max(1) {
            let poll = Poll::new()?;
            peers.push(Peer {
                registry: poll.registry().try_clone()?,
                waker: Waker::new(poll.registry(), WAKER)?,
                commands: Mutex::default(),
                writing: Mutex::default(),
                parked: AtomicUsize::new(0),
                lingering: Mutex::default(),
            });
            polls.push(poll);
        }
        if let (Some(listener), Some(poll)) = (&mut listener, polls.first()) {
            poll.registry()
                .register(listener, LISTENER, Interest::READABLE)?;
        }
        let shared = Arc::new(Shared {
            peers,
            connections: RwLock::default(),
            sessions: RwLock::default(),
            notices: Notices::new()?,
            tokens: AtomicU64::new(thread::FIRST_TOKEN),
            stopping: AtomicBool::new(false),
            gather_bytes,
            connections_max,
            log: RwLock::default(),
            deaf: AtomicBool::new(false),
        });
        let mut running = Vec::new();
        for (number, poll) in polls.into_iter().enumerate() {
            let thread = Thread::new(shared.clone(), number, poll, listener.take());
            let name = format!("reactor-{number}");
            running.push(
                std::thread::Builder::new()
                    .name(name)
                    // Plans that nest deep are let go of here, if nowhere else.
                    .stack_size(STACK_BYTES)
                    .spawn(move || thread.run())?,
            );
        }
        Ok(Reactor {
            shared,
            address,
            threads: Mutex::new(running),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Readable when `take` has something.
    pub fn descriptor(&self) -> RawFd {
        self.shared.notices.descriptor()
    }

    /// Whether there is redo to send, and what else has happened.
    pub fn take(&self) -> (bool, Vec<Notice>) {
        self.shared.notices.take()
    }

    fn find(&self, token: Token) -> Option<Arc<Connection>> {
        self.shared.connections.read().get(&token).cloned()
    }

    /// Give an accepted connection its session; a thread begins to read. One that can't be polled is `Lost`.
    pub fn attach(&self, token: Token, session: Arc<dyn Session>) -> io::Result<()> {
        let Some(connection) = self.find(token) else {
            return Ok(()); // it has gone already
        };
        let registry = &self.shared.peers[connection.thread].registry;
        let number = session.number();
        if connection.session.set(session).is_err() {
            return Err(io::Error::other("the connection has a session already"));
        }
        self.shared
            .sessions
            .write()
            .insert(number, connection.clone());
        let mut io = connection.io.lock();
        io.state = State::Idle;
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = io.socket.as_mut().is_some_and(|socket| {
            registry
                .register(socket, mio::Token(token as usize), both)
                .is_ok()
        });
        if !registered {
            self.shared.lost(&connection, &mut io);
        }
        Ok(())
    }

    /// The host has done with a connection that it owns. What has come meanwhile is given to it instead: it goes on.
    /// None: a thread owns it again.
    pub fn release(&self, token: Token, now: i64) -> Option<Vec<u8>> {
        let connection = self.find(token)?;
        let mut io = connection.io.lock();
        if io.state != State::Host {
            return None;
        }
        if io.readable && io.output.len() < OUTPUT_BYTES_MAX {
            let mut buffer = vec![0; READ_BYTES];
            match io.read(&mut buffer) {
                Got::Bytes(size) => {
                    connection.heard(now);
                    buffer.truncate(size);
                    return Some(buffer);
                }
                Got::Nothing => {}
                Got::End => {
                    self.shared.finish(&connection, &mut io);
                    return None;
                }
            }
        }
        connection.heard(now);
        io.state = State::Idle;
        None
    }

    /// Write what the session has to say; how much could not be written yet. `Drained` tells when that is 0 again.
    pub fn flush(&self, token: Token) -> usize {
        let Some(connection) = self.find(token) else {
            return 0;
        };
        let mut io = connection.io.lock();
        if io.state == State::Running {
            io.flush = true;
            return 0;
        }
        let said = match connection.session.get() {
            Some(session) => session.take_output(&mut io.output.bytes),
            None => true,
        };
        if !said {
            io.flush = true;
        }
        if !self.shared.write(&connection, &mut io) {
            return 0;
        }
        io.told_full = !io.drained();
        io.output.len().max(usize::from(io.told_full))
    }

    /// A session is to go on: true when it is kept here.
    pub fn wake(&self, number: u64) -> bool {
        self.shared.wake(number)
    }

    /// The log is durable up to a later place.
    pub fn durable(&self) {
        self.shared.durable();
    }

    /// Threads carry the log from now on: those who wait for it ask these streams, and are woken by them.
    pub fn carry(&self, streams: &Arc<Streams>) {
        let shared = Arc::downgrade(&self.shared);
        streams.listen(Box::new(move |_| {
            if let Some(shared) = shared.upgrade() {
                shared.durable();
            }
        }));
        *self.shared.log.write() = Some(streams.clone());
    }

    /// Whether a statement runs or waits here.
    pub fn busy(&self, token: Token) -> bool {
        self.find(token).is_some_and(|connection| {
            matches!(
                connection.io.lock().state,
                State::Running | State::Parked(_) | State::Asleep
            )
        })
    }

    /// When the client last sent something or a statement ended, in microseconds since 1970.
    pub fn last_input(&self, token: Token) -> i64 {
        self.find(token).map_or(0, |connection| {
            connection.last_input.load(Ordering::Relaxed)
        })
    }

    /// Close after what is left has gone out; or at once.
    pub fn close(&self, token: Token, at_once: bool) {
        let Some(connection) = self.find(token) else {
            return;
        };
        let mut io = connection.io.lock();
        if at_once {
            io.output.clear();
            self.shared.lost(&connection, &mut io);
        } else {
            self.shared.finish(&connection, &mut io);
        }
    }

    /// TLS from here on, after what the session still has to say in plain. False: the connection is gone, or can't be told.
    pub fn secure(&self, token: Token, config: &TlsConfig) -> io::Result<bool> {
        let Some(connection) = self.find(token) else {
            return Ok(false);
        };
        let mut io = connection.io.lock();
        if let Some(session) = connection.session.get() {
            session.take_output(&mut io.output.bytes);
        }
        let free = io.state == State::Host && io.tls.is_none();
        if !free || io.write() != Wrote::All || !io.drained() {
            return Ok(false);
        }
        io.tls = Some(Box::new(Tls::new(config)?));
        Ok(true)
    }

    /// Accept nobody any more.
    pub fn stop_listening(&self) {
        self.shared.deaf.store(true, Ordering::SeqCst);
        if let Some(peer) = self.shared.peers.first() {
            peer.wake();
        }
    }

    /// End the threads; what is open is closed.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for peer in &self.shared.peers {
            peer.wake();
        }
        for thread in self.threads.lock().drain(..) {
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
        self.shared.connections.write().clear();
        self.shared.sessions.write().clear();
    }
}

impl Shared {
    pub fn durable(&self) {
        for peer in &self.peers {
            if peer.parked.load(Ordering::SeqCst) > 0 {
                peer.wake();
            }
        }
    }

    /// There is redo that somebody waits for, or much.
    pub fn urge(&self) {
        match &*self.log.read() {
            Some(streams) => streams.urge(),
            None => self.notices.redo(),
        }
    }

    /// True: the session is a thread's, which goes on with it. False: the host keeps it, or nobody.
    pub fn wake(&self, number: u64) -> bool {
        let Some(connection) = self.sessions.read().get(&number).cloned() else {
            return false;
        };
        let mut io = connection.io.lock();
        match io.state {
            // An idle one may have been told to end, and one that waits for the log to give up.
            State::Asleep | State::Idle | State::Parked(_) => {
                io.state = State::Running;
                self.peers[connection.thread].send(Command(connection.clone()));
                true
            }
            State::Running => {
                io.woken = true;
                true
            }
            State::Host | State::Closing => false,
        }
    }

    /// Write what the socket takes, and tell the host when it waits for that. False: the connection was lost.
    pub fn write(&self, connection: &Arc<Connection>, io: &mut Io) -> bool {
        match io.write() {
            Wrote::All => {}
            Wrote::Turn => self.write_on(connection, io),
            Wrote::Gone => {
                self.lost(connection, io);
                return false;
            }
        }
        if io.drained() && std::mem::take(&mut io.told_full) {
            self.notices.push(Notice::Drained(connection.token));
        }
        true
    }

    /// The socket takes more, after others have had their turn.
    fn write_on(&self, connection: &Arc<Connection>, io: &mut Io) {
        if !std::mem::replace(&mut io.writing, true) {
            let peer = &self.peers[connection.thread];
            peer.writing.lock().push(connection.clone());
            peer.wake();
        }
    }

    /// No more of this connection: what is left of its session is the host's.
    pub fn lost(&self, connection: &Arc<Connection>, io: &mut Io) {
        let Some(mut socket) = io.socket.take() else {
            return;
        };
        // A socket that was never registered has nothing to take back.
        let _ = self.peers[connection.thread]
            .registry
            .deregister(&mut socket);
        let _ = socket.shutdown(Shutdown::Both);
        match io.state {
            // Only then may the session end: the thread tells.
            State::Running => {}
            _ => self.give_up(connection, io),
        }
    }

    /// Tell the host that a connection without a socket is over.
    pub fn give_up(&self, connection: &Arc<Connection>, io: &mut Io) {
        io.state = State::Closing;
        io.output.clear();
        self.tell_lost(connection, io);
        self.connections.write().remove(&connection.token);
    }

    fn tell_lost(&self, connection: &Arc<Connection>, io: &mut Io) {
        self.forget_session(connection);
        if !std::mem::replace(&mut io.told_lost, true) {
            self.notices.push(Notice::Lost(connection.token));
        }
    }

    /// Close once everything has gone out. The session ends now: a client that does not read must not keep its locks.
    pub fn finish(&self, connection: &Arc<Connection>, io: &mut Io) {
        match io.state {
            State::Running | State::Parked(_) => {
                io.closing = true;
                return;
            }
            State::Closing => return,
            State::Idle | State::Asleep | State::Host => {}
        }
        if let Some(session) = connection.session.get() {
            session.take_output(&mut io.output.bytes);
        }
        if let Some(tls) = &mut io.tls {
            tls.goodbye();
        }
        match io.write() {
            Wrote::Turn => self.write_on(connection, io),
            Wrote::All if !io.drained() => {}
            Wrote::All | Wrote::Gone => return self.lost(connection, io),
        }
        io.state = State::Closing;
        self.tell_lost(connection, io);
        let peer = &self.peers[connection.thread];
        peer.lingering
            .lock()
            .push((Instant::now(), connection.clone()));
        peer.wake();
    }

    fn forget_session(&self, connection: &Arc<Connection>) {
        if let Some(session) = connection.session.get() {
            let mut sessions = self.sessions.write();
            // Another server's session may have the same number by now.
            if sessions
                .get(&session.number())
                .is_some_and(|known| Arc::ptr_eq(known, connection))
            {
                sessions.remove(&session.number());
            }
        }
    }
}
