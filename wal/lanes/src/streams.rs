//! The writer's side: every flush goes to all members, and VDL rises when a quorum has acknowledged.

use crate::link::{Door, Heard, Links};
use crate::timer::Timer;
use crate::{Message, Signal, Way};
use parking_lot::{Mutex, RwLock};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{fence, AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// What a writer decides. No I/O.
pub trait Source: Send + Sync + 'static {
    /// Somebody waits for the redo so far.
    fn urge(&self);
    /// The next flush, if one is to go out now: it counts as sent. Never called by two at once.
    fn next(&self) -> Option<Message>;
    /// How long what waits now may go on waiting for more to go with it. Zero: nothing waits for that.
    fn patience(&self) -> Duration;
    /// It has waited long enough.
    fn hurry(&self);
    /// Flushes that no quorum has yet, oldest first.
    fn outstanding(&self) -> Vec<Message>;
    /// A member's acknowledgements; VDL, when it rose by them.
    fn ack(&self, member: usize, entries: &[u8]) -> Option<u64>;
}

/// A thread that has sent so much leaves what comes behind to the timer's: it has others to see to.
const TURN_BYTES: usize = 256 << 10;

/// (member, message)
type Refusals = Vec<(usize, Vec<u8>)>;

/// Called with every rise of VDL, by whatever thread learnt of it.
type Listener = Box<dyn Fn(u64) + Send + Sync>;

#[derive(Default)]
struct Sending {
    /// Flushes so far.
    count: u64,
    /// The flush after these many is waited for.
    timed: Option<u64>,
}

pub struct Streams {
    source: Arc<dyn Source>,
    members: Vec<RwLock<Option<Arc<dyn Way>>>>,
    /// Held while a flush goes out: all members get all flushes in one order.
    sending: Mutex<Sending>,
    /// Somebody has asked for a look at what is to go out, since the last one began.
    wanted: AtomicBool,
    timer: Timer,
    listeners: RwLock<Vec<Listener>>,
    /// The host waits for VDL to reach this.
    watched: AtomicU64,
    /// The host wants to know of every rise.
    attentive: AtomicBool,
    closed: AtomicBool,
    refusals: Mutex<Refusals>,
    /// Members whose link is over, and whether they were too slow.
    lost: Mutex<Vec<(usize, bool)>>,
    door: Door,
    /// Made with the first link.
    links: OnceLock<Links>,
    signal: Signal,
}

impl Streams {
    pub fn new(source: Arc<dyn Source>, members: usize) -> io::Result<Arc<Streams>> {
        let itself: Arc<OnceLock<Weak<Streams>>> = Arc::default();
        let timed = itself.clone();
        let timer = Timer::new(move |count| {
            if let Some(streams) = timed.get().and_then(Weak::upgrade) {
                streams.waited(count);
            }
        })?;
        let streams = Arc::new(Streams {
            source,
            timer,
            members: (0..members).map(|_| RwLock::default()).collect(),
            sending: Mutex::default(),
            wanted: AtomicBool::new(false),
            listeners: RwLock::default(),
            watched: AtomicU64::new(u64::MAX),
            attentive: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            refusals: Mutex::default(),
            lost: Mutex::default(),
            door: Door::default(),
            links: OnceLock::new(),
            signal: Signal::new()?,
        });
        // It is the first and only one.
        let _ = itself.set(Arc::downgrade(&streams));
        Ok(streams)
    }

    /// Readable when VDL has risen to what is watched, or a member has refused.
    pub fn descriptor(&self) -> RawFd {
        self.signal.descriptor()
    }

    /// What members have refused; and those that are gone, and whether they were too slow.
    pub fn take(&self) -> (Refusals, Vec<(usize, bool)>) {
        self.signal.clear();
        let refusals = std::mem::take(&mut *self.refusals.lock());
        (refusals, std::mem::take(&mut *self.lost.lock()))
    }

    pub fn listen(&self, listener: Listener) {
        self.listeners.write().push(listener);
    }

    /// Signal when VDL has reached `lsn`. Whoever calls looks afterwards whether it has already.
    pub fn watch(&self, lsn: u64) {
        self.watched.fetch_min(lsn, Ordering::SeqCst);
    }

    /// Signal on every rise from now on.
    pub fn attend(&self) {
        self.attentive.store(true, Ordering::SeqCst);
    }

    /// Flushes go to this member from now on, those first that no quorum has: they may live in this process only.
    pub fn attach(&self, member: usize, way: Arc<dyn Way>) {
        let order = self.sending.lock();
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        for message in self.source.outstanding() {
            way.send(&message);
        }
        if let Some(place) = self.members.get(member) {
            *place.write() = Some(way);
        }
        drop(order);
        self.look_again();
    }

    /// Where the host sends a connection for `link`.
    pub fn door(&self) -> io::Result<RawFd> {
        self.door.descriptor()
    }

    #[cfg(test)]
    pub fn door_for_tests(&self) -> std::os::fd::BorrowedFd<'_> {
        self.door.outside()
    }

    /// The connection that came through the door leads to this member. `first`: what has been read of it so far.
    pub fn link(self: &Arc<Streams>, member: usize, first: &[u8]) -> io::Result<()> {
        let socket = self.door.take()?;
        let streams = Arc::downgrade(self);
        if self.links.get().is_none() {
            let links = Links::new(Box::new(move |member, heard| {
                if let Some(streams) = streams.upgrade() {
                    match heard {
                        Heard::Message(message) => streams.message(member, (**message).as_ref()),
                        Heard::Over(slow) => streams.lost(member, slow),
                    }
                }
            }))?;
            // Only the host makes links: nobody was faster.
            let _ = self.links.set(links);
        }
        if let Some(links) = self.links.get() {
            let link = links.add(member, socket, first)?;
            self.attach(member, link);
        }
        Ok(())
    }

    fn lost(&self, member: usize, slow: bool) {
        self.detach(member);
        self.lost.lock().push((member, slow));
        self.signal.raise();
    }

    pub fn detach(&self, member: usize) {
        let way = self
            .members
            .get(member)
            .and_then(|place| place.write().take());
        if let Some(way) = way {
            way.close();
        }
    }

    /// Somebody waits for the redo so far: it goes out now, or when what is under way is durable.
    pub fn urge(&self) {
        self.source.urge();
        self.pump();
    }

    /// Send what is to go out. Nobody waits for a thread that is at it: that one looks again before it is done.
    pub fn pump(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        self.look_again();
    }

    /// Also after `sending` was held for something else.
    fn look_again(&self) {
        loop {
            // Before the lock is tried, and after it was let go of: of two threads one sees what the other has done.
            fence(Ordering::SeqCst);
            if !self.wanted.load(Ordering::SeqCst) {
                return;
            }
            let Some(mut sending) = self.sending.try_lock() else {
                return;
            };
            if self.wanted.swap(false, Ordering::SeqCst) && self.pump_in(&mut sending, TURN_BYTES) {
                self.wanted.store(true, Ordering::SeqCst);
                return self.timer.set(sending.count, Duration::ZERO);
            }
        }
    }

    /// True: `max` bytes have gone, and there may be more.
    fn pump_in(&self, sending: &mut Sending, max: usize) -> bool {
        if self.closed.load(Ordering::SeqCst) {
            return false;
        }
        let mut gone = 0;
        while let Some(message) = self.source.next() {
            sending.count += 1;
            self.send(&message);
            gone += (*message).as_ref().len();
            if gone >= max {
                return true;
            }
        }
        let patience = self.source.patience();
        if !patience.is_zero() && sending.timed != Some(sending.count) {
            sending.timed = Some(sending.count);
            self.timer.set(sending.count, patience);
        }
        false
    }

    /// In the timer's thread: the flush after these many has been waited for, or has been left to it.
    fn waited(&self, count: u64) {
        let mut sending = self.sending.lock();
        if sending.count == count && sending.timed == Some(count) {
            self.source.hurry();
        }
        self.wanted.store(false, Ordering::SeqCst);
        self.pump_in(&mut sending, usize::MAX);
        drop(sending);
        self.look_again();
    }

    /// To every member, outside of the log (hints).
    pub fn send(&self, message: &Message) {
        for place in &self.members {
            if let Some(way) = &*place.read() {
                way.send(message);
            }
        }
    }

    fn ack(&self, member: usize, entries: &[u8]) {
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        let Some(vdl) = self.source.ack(member, entries) else {
            return;
        };
        self.moved(vdl);
        self.pump();
    }

    /// VDL rose.
    pub fn moved(&self, vdl: u64) {
        for listener in &*self.listeners.read() {
            listener(vdl);
        }
        let reached = vdl >= self.watched.load(Ordering::SeqCst);
        if reached {
            self.watched.store(u64::MAX, Ordering::SeqCst);
        }
        if reached || self.attentive.load(Ordering::SeqCst) {
            self.signal.raise();
        }
    }

    /// A member's hot message.
    fn message(&self, member: usize, message: &[u8]) {
        match message.first() {
            Some(b'A') => self.ack(member, message.get(9..).unwrap_or(&[])),
            Some(b'X') => {
                self.refusals.lock().push((member, message.to_vec()));
                self.signal.raise();
            }
            _ => {}
        }
    }

    /// Nothing is sent or learnt any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for member in 0..self.members.len() {
            self.detach(member);
        }
        self.listeners.write().clear();
        self.timer.stop();
        if let Some(links) = self.links.get() {
            links.stop();
        }
    }

    /// The way back from a member.
    pub fn back(self: &Arc<Streams>, member: usize) -> Arc<dyn Way> {
        Arc::new(Back {
            streams: Arc::downgrade(self),
            member,
        })
    }
}

struct Back {
    streams: Weak<Streams>,
    member: usize,
}

impl Way for Back {
    fn send(&self, message: &Message) {
        if let Some(streams) = self.streams.upgrade() {
            streams.message(self.member, (**message).as_ref());
        }
    }
}
