//! One reactor thread: polls its sockets, reads, lets sessions answer, writes.

use crate::connection::{Connection, Got, Io, State, OUTPUT_BYTES_MAX, READ_BYTES};
use crate::notice::Notice;
use crate::shared::{Command, Shared};
use crate::{Said, Session};
use mio::net::TcpListener;
use mio::{Events, Poll, Token};
use parking_lot::MutexGuard;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const LISTENER: Token = Token(0);
pub const WAKER: Token = Token(1);
pub const FIRST_TOKEN: u64 = 2;
/// A sleeper looks again after this long even when nobody woke it.
const RECHECK: Duration = Duration::from_secs(5);
/// After an accept that failed (no descriptors left).
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// A client that does not read what is left for it is closed after this long.
const LINGER: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
const LINGER_LOOK: Duration = Duration::from_secs(1);
/// Beyond this many the list of sleepers is cleaned of those that have gone on.
const SLEEPERS: usize = 64;
/// A session that keeps time and waits for the log for longer does so with the host.
const LATE: Duration = Duration::from_millis(50);
/// Reads from one connection before others have their turn.
const TURNS: usize = 4;

struct Parked {
    lsn: u64,
    connection: Arc<Connection>,
}

impl PartialEq for Parked {
    fn eq(&self, other: &Parked) -> bool {
        self.lsn == other.lsn
    }
}

impl Eq for Parked {}

impl PartialOrd for Parked {
    fn partial_cmp(&self, other: &Parked) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Parked {
    fn cmp(&self, other: &Parked) -> std::cmp::Ordering {
        self.lsn.cmp(&other.lsn)
    }
}

pub struct Thread {
    shared: Arc<Shared>,
    number: usize,
    poll: Poll,
    listener: Option<TcpListener>,
    accept_failed: bool,
    next_thread: usize,
    buffer: Vec<u8>,
    output: Vec<u8>,
    /// Those that have gone on before their LSN was durable are still in it.
    parked: BinaryHeap<Reverse<Parked>>,
    /// Of the parked, those that keep time, and when they were parked.
    timed: VecDeque<(Instant, Parked)>,
    /// Connections that have more to read, after their turn.
    ready: VecDeque<Arc<Connection>>,
    asleep: Vec<Arc<Connection>>,
    rechecked: Instant,
    lingering: bool,
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

impl Thread {
    pub fn new(
        shared: Arc<Shared>,
        number: usize,
        poll: Poll,
        listener: Option<TcpListener>,
    ) -> Thread {
        Thread {
            shared,
            number,
            poll,
            listener,
            accept_failed: false,
            next_thread: 0,
            buffer: vec![0; READ_BYTES],
            output: Vec::new(),
            parked: BinaryHeap::new(),
            timed: VecDeque::new(),
            ready: VecDeque::new(),
            asleep: Vec::new(),
            rechecked: Instant::now(),
            lingering: false,
        }
    }

    pub fn run(mut self) {
        let mut events = Events::with_capacity(256);
        while !self.shared.stopping.load(Ordering::SeqCst) {
            let timeout = match () {
                () if !self.ready.is_empty() => Some(Duration::ZERO),
                () if self.accept_failed => Some(ACCEPT_AGAIN),
                () if !self.timed.is_empty() => Some(self.until_late()),
                () if self.lingering => Some(LINGER_LOOK),
                () if !self.asleep.is_empty() => Some(RECHECK),
                () => None,
            };
            if self.poll.poll(&mut events, timeout).is_err() {
                continue; // a signal
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKER => {}
                    token => {
                        let dead = event.is_write_closed() || event.is_error();
                        let ended = event.is_read_closed() || dead;
                        self.polled(token, event.is_readable() || ended, ended, dead);
                    }
                }
            }
            self.after_events();
        }
    }

    fn after_events(&mut self) {
        if self.accept_failed || self.shared.deaf.load(Ordering::SeqCst) {
            self.accept();
        }
        let commands = std::mem::take(&mut *self.shared.peers[self.number].commands.lock());
        for Command(connection) in commands {
            self.go_on(&connection);
        }
        let writing = std::mem::take(&mut *self.shared.peers[self.number].writing.lock());
        for connection in writing {
            let mut io = connection.io.lock();
            io.writing = false;
            self.turn(&connection, io, false);
        }
        for _ in 0..self.ready.len() {
            if let Some(connection) = self.ready.pop_front() {
                self.look(&connection);
            }
        }
        self.recheck();
        // Last: whoever has been parked since the poll is looked at once, in case VDL moved before anybody knew of it.
        self.unpark();
        self.hand_late();
        self.linger();
    }

    fn accept(&mut self) {
        if self.shared.deaf.load(Ordering::SeqCst) {
            self.listener = None;
        }
        let Some(listener) = &self.listener else {
            return;
        };
        self.accept_failed = false;
        loop {
            match listener.accept() {
                Ok(_) if self.shared.connections.read().len() >= self.shared.connections_max => {}
                Ok((socket, address)) => {
                    // A socket without it is slower, not wrong.
                    let _ = socket.set_nodelay(true);
                    // A client whose machine is gone ends with its transaction and locks some day.
                    let _ = socket2::SockRef::from(&socket).set_keepalive(true);
                    let token = self.shared.tokens.fetch_add(1, Ordering::Relaxed);
                    let thread = self.next_thread % self.shared.peers.len();
                    self.next_thread += 1;
                    let connection = Arc::new(Connection::new(token, thread, socket));
                    connection.heard(now());
                    self.shared.connections.write().insert(token, connection);
                    self.shared.notices.push(accepted(token, address));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    self.accept_failed = true;
                    return;
                }
            }
        }
    }

    /// The poll has something of a socket.
    fn polled(&mut self, token: Token, readable: bool, ended: bool, dead: bool) {
        let found = self
            .shared
            .connections
            .read()
            .get(&(token.0 as u64))
            .cloned();
        let Some(connection) = found else {
            return;
        };
        let mut io = connection.io.lock();
        io.readable |= readable;
        io.ended |= ended;
        // Nobody reads behind TLS that has ended, while a plain client may have closed its half only.
        let dead = dead || (ended && io.tls.is_some());
        self.turn(&connection, io, dead);
    }

    /// Write and read for a while.
    fn turn<'a>(
        &mut self,
        connection: &'a Arc<Connection>,
        mut io: MutexGuard<'a, Io>,
        dead: bool,
    ) {
        if !io.drained() && !self.shared.write(connection, &mut io) {
            return;
        }
        let done = io.state == State::Closing && io.drained();
        // The host's statement and whoever waits end with their client.
        if done
            || (dead
                && matches!(
                    io.state,
                    State::Host | State::Parked(_) | State::Asleep | State::Closing
                ))
        {
            return self.shared.lost(connection, &mut io);
        }
        self.read(connection, io);
    }

    fn look(&mut self, connection: &Arc<Connection>) {
        self.read(connection, connection.io.lock());
    }

    /// Read and answer, if the thread owns the connection.
    fn read<'a>(&mut self, connection: &'a Arc<Connection>, mut io: MutexGuard<'a, Io>) {
        let Some(session) = connection.session.get() else {
            return;
        };
        for _ in 0..TURNS {
            if io.state != State::Idle || !io.readable || io.output.len() >= OUTPUT_BYTES_MAX {
                return;
            }
            match io.read(&mut self.buffer) {
                Got::Nothing => return,
                Got::End => return self.shared.finish(connection, &mut io),
                Got::Bytes(size) => {
                    io.state = State::Running;
                    drop(io);
                    let now = now();
                    connection.heard(now);
                    let input = self.buffer.get(..size).unwrap_or(&[]);
                    let said = guarded(session, &mut self.output, |session, output| {
                        session.feed(input, now, output)
                    });
                    self.said(connection, session, said);
                    io = connection.io.lock();
                }
            }
        }
        if io.state == State::Idle && io.readable {
            drop(io);
            self.ready.push_back(connection.clone());
        }
    }

    /// A wait is over; the state is `Running`.
    fn go_on(&mut self, connection: &Arc<Connection>) {
        if let Some(session) = connection.session.get() {
            let said = guarded(session, &mut self.output, |session, output| {
                session.run(output)
            });
            self.said(connection, session, said);
            self.look(connection);
        }
    }

    /// Write what a session has put out. Was it woken while it ran?
    fn write(
        &mut self,
        connection: &Arc<Connection>,
        session: &Arc<dyn Session>,
        io: &mut Io,
    ) -> bool {
        if io.output.is_empty() {
            std::mem::swap(&mut io.output.bytes, &mut self.output);
        } else {
            io.output.bytes.append(&mut self.output);
        }
        if std::mem::take(&mut io.flush) {
            session.take_output(&mut io.output.bytes);
        }
        if io.socket.is_some() {
            self.shared.write(connection, io);
        }
        if io.output.is_empty() {
            // The buffer is used for the next one.
            std::mem::swap(&mut io.output.bytes, &mut self.output);
        }
        std::mem::take(&mut io.woken)
    }

    /// Deal with what a session has said: write, and decide who owns the connection now.
    fn said(&mut self, connection: &Arc<Connection>, session: &Arc<dyn Session>, said: Said) {
        let mut said = said;
        loop {
            self.pass_on(session, said);
            let mut io = connection.io.lock();
            let woken = self.write(connection, session, &mut io);
            match said {
                _ if io.socket.is_none() => {
                    io.output.clear();
                    return self.shared.give_up(connection, &mut io);
                }
                // Told to end perhaps, or what it waits for has come.
                Said::Idle | Said::Asleep | Said::Durable(_) if woken => {}
                Said::Durable(lsn) => {
                    io.state = State::Parked(lsn);
                    drop(io);
                    return self.park(connection, session, lsn);
                }
                _ if io.closing => {
                    io.state = State::Host;
                    return self.shared.finish(connection, &mut io);
                }
                Said::Idle => {
                    connection.heard(now());
                    io.state = State::Idle;
                    return;
                }
                Said::Asleep if session.sleeps_here() => {
                    io.state = State::Asleep;
                    let listed = std::mem::replace(&mut io.listed, true);
                    drop(io);
                    if !listed {
                        self.sleep(connection.clone());
                    }
                    return;
                }
                Said::Asleep | Said::Host => {
                    io.state = State::Host;
                    drop(io);
                    self.shared.notices.push(Notice::Handed(connection.token));
                    if woken {
                        self.shared.notices.push(Notice::Woken(session.number()));
                    }
                    return;
                }
            }
            drop(io);
            said = guarded(session, &mut self.output, |session, output| {
                session.run(output)
            });
        }
    }

    fn park(&mut self, connection: &Arc<Connection>, session: &Arc<dyn Session>, lsn: u64) {
        let parked = || Parked {
            lsn,
            connection: connection.clone(),
        };
        if !session.sleeps_here() {
            self.timed.push_back((Instant::now(), parked()));
        }
        // Before VDL is looked at (`unpark`): whoever moves it afterwards sees that somebody waits.
        self.shared.peers[self.number]
            .parked
            .fetch_add(1, Ordering::SeqCst);
        self.parked.push(Reverse(parked()));
    }

    fn until_late(&self) -> Duration {
        let first = self.timed.front();
        first.map_or(LATE, |(since, _)| LATE.saturating_sub(since.elapsed()))
    }

    /// Give the host those that have waited for too long.
    fn hand_late(&mut self) {
        while self.until_late().is_zero() {
            let Some((_, Parked { lsn, connection })) = self.timed.pop_front() else {
                return;
            };
            let mut io = connection.io.lock();
            if io.state == State::Parked(lsn) {
                io.state = State::Host;
                drop(io);
                self.shared.notices.push(Notice::Handed(connection.token));
            }
        }
    }

    fn sleep(&mut self, connection: Arc<Connection>) {
        self.asleep.push(connection);
        if self.asleep.len() > SLEEPERS {
            self.asleep.retain(|one| {
                let mut io = one.io.lock();
                io.listed = io.state == State::Asleep;
                io.listed
            });
        }
    }

    /// What a session leaves for others: redo to be sent, sessions to be woken.
    fn pass_on(&self, session: &Arc<dyn Session>, said: Said) {
        for number in session.take_woken() {
            if !self.shared.wake(number) {
                self.shared.notices.push(Notice::Woken(number));
            }
        }
        if matches!(said, Said::Durable(_)) || session.gathered() >= self.shared.gather_bytes {
            self.shared.urge();
        }
    }

    /// Go on with those whose LSN is durable.
    fn unpark(&mut self) {
        loop {
            match self.parked.peek() {
                Some(Reverse(parked))
                    if parked
                        .connection
                        .session
                        .get()
                        .is_none_or(|session| session.durable() >= parked.lsn) => {}
                _ => return,
            }
            if let Some(Reverse(Parked { lsn, connection })) = self.parked.pop() {
                self.shared.peers[self.number]
                    .parked
                    .fetch_sub(1, Ordering::SeqCst);
                let mut io = connection.io.lock();
                if io.state == State::Parked(lsn) {
                    io.state = State::Running;
                    drop(io);
                    self.go_on(&connection);
                }
            }
        }
    }

    /// Sleepers look again now and then.
    fn recheck(&mut self) {
        if self.asleep.is_empty() || self.rechecked.elapsed() < RECHECK {
            return;
        }
        self.rechecked = Instant::now();
        for connection in std::mem::take(&mut self.asleep) {
            let mut io = connection.io.lock();
            io.listed = false;
            if io.state == State::Asleep {
                io.state = State::Running;
                drop(io);
                self.go_on(&connection);
            }
        }
    }

    /// Close those whose clients have not taken what was left for them.
    fn linger(&mut self) {
        // Not under the list's lock: who adds to it has the connection's.
        let all = std::mem::take(&mut *self.shared.peers[self.number].lingering.lock());
        let mut left = Vec::new();
        for (since, connection) in all {
            let mut io = connection.io.lock();
            if since.elapsed() >= LINGER {
                self.shared.lost(&connection, &mut io);
            } else if io.socket.is_some() {
                drop(io);
                left.push((since, connection));
            }
        }
        self.lingering = !left.is_empty();
        self.shared.peers[self.number].lingering.lock().extend(left);
    }
}

fn accepted(token: u64, address: SocketAddr) -> Notice {
    Notice::Accepted {
        token,
        host: address.ip().to_string(),
        port: address.port(),
    }
}

/// A session that panics is the host's, which ends it; the thread and the others go on.
fn guarded(
    session: &Arc<dyn Session>,
    output: &mut Vec<u8>,
    call: impl FnOnce(&Arc<dyn Session>, &mut Vec<u8>) -> Said,
) -> Said {
    catch_unwind(AssertUnwindSafe(|| call(session, output))).unwrap_or(Said::Host)
}
