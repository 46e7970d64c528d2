//! TCP connections that carry the log: a storage node's end (`serve`, a thread that reads) and the writer's (`Links`, one thread for all).
//!
//! A message is framed by its length, u32 little-endian, as in `wal/real.py`. Python makes a connection and says hello on it; then the
//! descriptor is handed over through a `Door`.

use crate::{Message, Way};
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use parking_lot::Mutex;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};
use std::collections::HashMap;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// A longer message is a protocol error.
const MESSAGE_BYTES_MAX: usize = 1 << 28;
const READ_BYTES: usize = 64 << 10;
/// A member with more than this unsent is dropped from the stream; gossip heals it.
const BACKLOG_BYTES_MAX: usize = 32 << 20;
const WAKER: Token = Token(usize::MAX);

/// Descriptors come in here, one at a time, so that nobody need trust a number. It is made when it is first used.
#[derive(Default)]
pub struct Door(OnceLock<(UnixStream, UnixStream)>);

impl Door {
    /// The end that is kept here, and the host's.
    fn ends(&self) -> io::Result<&(UnixStream, UnixStream)> {
        if let Some(ends) = self.0.get() {
            return Ok(ends);
        }
        let ends = UnixStream::pair()?;
        ends.0.set_nonblocking(true)?;
        Ok(self.0.get_or_init(|| ends))
    }

    /// Where the host sends a descriptor (SCM_RIGHTS, with one byte).
    pub fn descriptor(&self) -> io::Result<RawFd> {
        Ok(self.ends()?.1.as_raw_fd())
    }

    #[cfg(test)]
    pub fn outside(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.ends().unwrap().1)
    }

    /// The connection that was sent.
    pub fn take(&self) -> io::Result<TcpStream> {
        let inside = &self.ends()?.0;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let mut parts = [IoSliceMut::new(&mut byte)];
        rustix::net::recvmsg(inside, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
                if let Some(descriptor) = descriptors.next() {
                    let descriptor: OwnedFd = descriptor;
                    return Ok(TcpStream::from(descriptor));
                }
            }
        }
        Err(io::Error::new(
            ErrorKind::NotFound,
            "no descriptor was sent",
        ))
    }
}

/// Bytes as they come, and the messages in them.
pub struct Frames {
    partial: Vec<u8>,
}

impl Frames {
    pub fn new(first: &[u8]) -> Frames {
        Frames {
            partial: first.to_vec(),
        }
    }

    /// The messages that are whole now. An error: these are no messages.
    pub fn add(&mut self, bytes: &[u8]) -> io::Result<Vec<Message>> {
        self.partial.extend_from_slice(bytes);
        let mut found: Vec<Message> = Vec::new();
        let mut at = 0;
        while let Some(head) = self.partial.get(at..at + 4) {
            let length = head
                .try_into()
                .map_or(usize::MAX, |head| u32::from_le_bytes(head) as usize);
            if length > MESSAGE_BYTES_MAX {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    "a message is too long",
                ));
            }
            let Some(body) = self.partial.get(at + 4..at + 4 + length) else {
                break;
            };
            found.push(Arc::new(body.to_vec()));
            at += 4 + length;
        }
        self.partial.drain(..at);
        Ok(found)
    }
}

/// As much of a message as the socket takes; how much that was. 0: it takes nothing now.
fn send_some(socket: &impl std::os::fd::AsFd, parts: &[&[u8]]) -> io::Result<usize> {
    let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    loop {
        let mut control = rustix::net::SendAncillaryBuffer::default();
        match rustix::net::sendmsg(socket, &slices, &mut control, flags) {
            Ok(sent) => return Ok(sent),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The storage node's end: answers go straight to the socket.
pub struct Answers {
    socket: TcpStream,
    order: Mutex<()>,
}

impl Answers {
    pub fn new(socket: TcpStream) -> Answers {
        Answers {
            socket,
            order: Mutex::new(()),
        }
    }

    pub fn close(&self) {
        // It may be closed already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Deliver messages until the connection ends; `idle` after those of one read.
    pub fn serve(
        &self,
        frames: &mut Frames,
        mut deliver: impl FnMut(&Message),
        mut idle: impl FnMut(),
    ) {
        let mut buffer = vec![0; READ_BYTES];
        let mut size = 0;
        loop {
            let Ok(messages) = frames.add(buffer.get(..size).unwrap_or(&[])) else {
                return self.close();
            };
            messages.iter().for_each(&mut deliver);
            idle();
            match (&self.socket).read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => size = read,
                Err(error) if error.kind() == ErrorKind::Interrupted => size = 0,
                Err(_) => return,
            }
        }
    }
}

impl Way for Answers {
    /// Acknowledgements are short: a writer whose socket takes no more of them reads none, and is as good as gone.
    fn send(&self, message: &Message) {
        let bytes = (**message).as_ref();
        let head = (bytes.len() as u32).to_le_bytes();
        let _order = self.order.lock();
        match send_some(&self.socket, &[&head, bytes]) {
            Ok(sent) if sent == 4 + bytes.len() => {}
            _ => self.close(),
        }
    }
}

/// What has not gone out yet.
#[derive(Default)]
struct Backlog {
    messages: std::collections::VecDeque<Vec<u8>>,
    bytes: usize,
}

/// The writer's end of one connection.
pub struct Link {
    member: usize,
    socket: Mutex<mio::net::TcpStream>,
    backlog: Mutex<Backlog>,
    over: AtomicBool,
    /// Closed by its user, who need not be told.
    dropped: AtomicBool,
    /// Closed because it did not take what was sent.
    slow: AtomicBool,
}

impl Link {
    fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        // The thread sees the end, and tells.
        let _ = self.socket.lock().shutdown(Shutdown::Both);
    }

    fn write_backlog(&self) {
        let mut backlog = self.backlog.lock();
        while let Some(first) = backlog.messages.front() {
            let sent = send_some(&*self.socket.lock(), &[first]);
            match sent {
                Ok(0) => return,
                Ok(sent) if sent == first.len() => {
                    backlog.messages.pop_front();
                    backlog.bytes -= sent;
                }
                Ok(sent) => {
                    if let Some(first) = backlog.messages.front_mut() {
                        first.drain(..sent);
                    }
                    backlog.bytes -= sent;
                }
                Err(_) => {
                    drop(backlog);
                    return self.end();
                }
            }
        }
    }
}

impl Way for Link {
    fn close(&self) {
        self.dropped.store(true, Ordering::SeqCst);
        self.end();
    }

    fn send(&self, message: &Message) {
        if self.over.load(Ordering::SeqCst) {
            return;
        }
        let bytes = (**message).as_ref();
        let head = (bytes.len() as u32).to_le_bytes();
        let mut backlog = self.backlog.lock();
        let mut sent = 0;
        if backlog.messages.is_empty() {
            // Not in the match: the lock would last as long, and `end` takes it.
            let result = send_some(&*self.socket.lock(), &[&head, bytes]);
            match result {
                Ok(some) => sent = some,
                Err(_) => {
                    drop(backlog);
                    return self.end();
                }
            }
        }
        if sent == 4 + bytes.len() {
            return;
        }
        let mut rest = [&head[..], bytes].concat();
        rest.drain(..sent);
        backlog.bytes += rest.len();
        backlog.messages.push_back(rest);
        if backlog.bytes > BACKLOG_BYTES_MAX {
            drop(backlog);
            self.slow.store(true, Ordering::SeqCst);
            self.end();
        }
    }
}

/// What comes by a link.
pub enum Heard<'a> {
    Message(&'a Message),
    /// It is over; was it too slow?
    Over(bool),
}

/// Told of what comes from a member.
pub type Deliver = Box<dyn Fn(usize, Heard<'_>) + Send + Sync>;

struct Shared {
    registry: Registry,
    waker: Waker,
    links: Mutex<HashMap<usize, (Arc<Link>, Frames)>>,
    next: AtomicUsize,
    stopped: AtomicBool,
}

/// All of a writer's links, read by one thread.
pub struct Links {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Links {
    pub fn new(deliver: Deliver) -> io::Result<Links> {
        let poll = Poll::new()?;
        let shared = Arc::new(Shared {
            registry: poll.registry().try_clone()?,
            waker: Waker::new(poll.registry(), WAKER)?,
            links: Mutex::default(),
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let running = shared.clone();
        let thread = std::thread::Builder::new()
            .name("log links".to_owned())
            .spawn(move || running.run(poll, &deliver))?;
        Ok(Links {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// A connection of a member's, and what has been read of it so far.
    pub fn add(&self, member: usize, socket: TcpStream, first: &[u8]) -> io::Result<Arc<Link>> {
        socket.set_nonblocking(true)?;
        let token = self.shared.next.fetch_add(1, Ordering::SeqCst);
        let link = Arc::new(Link {
            member,
            socket: Mutex::new(mio::net::TcpStream::from_std(socket)),
            backlog: Mutex::default(),
            over: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            slow: AtomicBool::new(false),
        });
        let mut links = self.shared.links.lock();
        links.insert(token, (link.clone(), Frames::new(first)));
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered =
            self.shared
                .registry
                .register(&mut *link.socket.lock(), Token(token), both);
        if registered.is_err() {
            links.remove(&token);
        }
        registered.map(|()| link)
    }

    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // It can only fail when the descriptor is gone, with the thread.
        let _ = self.shared.waker.wake();
        let thread = self.thread.lock().take();
        // A thread that panicked has ended too.
        let _ = thread.map(std::thread::JoinHandle::join);
    }
}

impl Shared {
    fn run(&self, mut poll: Poll, deliver: &Deliver) {
        let mut events = Events::with_capacity(64);
        let mut buffer = vec![0; READ_BYTES];
        while !self.stopped.load(Ordering::SeqCst) {
            if poll.poll(&mut events, None).is_err() {
                continue; // a signal
            }
            for event in &events {
                if event.token() != WAKER {
                    let ended = event.is_read_closed() || event.is_error();
                    self.polled(event.token().0, ended, &mut buffer, deliver);
                }
            }
        }
        for (link, _) in self.links.lock().values() {
            link.end();
        }
        self.links.lock().clear();
    }

    fn keep(&self, token: usize, link: Arc<Link>, frames: Frames) {
        self.links.lock().insert(token, (link, frames));
    }

    fn polled(&self, token: usize, ended: bool, buffer: &mut [u8], deliver: &Deliver) {
        let Some((link, mut frames)) = self.links.lock().remove(&token) else {
            return;
        };
        link.write_backlog();
        loop {
            let read = link.socket.lock().read(buffer);
            match read {
                Ok(0) => break,
                Ok(size) => {
                    let Ok(messages) = frames.add(buffer.get(..size).unwrap_or(&[])) else {
                        break;
                    };
                    for message in &messages {
                        deliver(link.member, Heard::Message(message));
                    }
                    // A short read has emptied the socket: the poll says when there is more.
                    if size < buffer.len() && !ended {
                        return self.keep(token, link, frames);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.keep(token, link, frames);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        link.end();
        // It is polled no more once it is dropped.
        let _ = self.registry.deregister(&mut *link.socket.lock());
        if !link.dropped.load(Ordering::SeqCst) {
            deliver(link.member, Heard::Over(link.slow.load(Ordering::SeqCst)));
        }
    }
}
