//! A storage node's foreground: accept, journal, fdatasync, acknowledge.

use crate::file::LogFile;
use crate::link::{Answers, Door, Frames};
use crate::{Message, Signal, Way};
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

/// What is to be written: `parts` one behind the other at `offset`; before that so many zeros at `reserve.0`.
pub struct Write {
    pub offset: u64,
    pub parts: Vec<Message>,
    pub reserve: Option<(u64, usize)>,
}

pub enum Begin {
    Nothing,
    /// A file is wanted first: the host is told.
    File,
    Write(Write),
}

/// What a durable write lets go.
pub struct Written {
    /// Acknowledgements as messages, by volume.
    pub told: Vec<(u64, Message)>,
    pub began_to_hold: bool,
    /// How many entries are durable now.
    pub durable: u64,
}

/// What a node decides. No I/O.
pub trait Intake: Send + Sync + 'static {
    /// A writer's message (batches, hints); answers what the writer is told at once.
    fn message(&self, message: &Message) -> Vec<Message>;
    fn begin(&self) -> Begin;
    fn written(&self) -> Written;
    fn failed(&self);
}

/// What the host must do.
pub enum Event {
    /// Begin a new journal file.
    File,
    /// A write or sync failed; the file is not used any more.
    Failed(io::Error),
    /// As many entries are durable as `watch` asked for.
    Durable,
    /// Acknowledgements wait for room in memory.
    Holding,
    /// Acknowledgements for a volume that has no way to its writer here.
    Told(u64, Message),
    /// The link of the writer with this ticket is over.
    Left(u64, u64),
}

type Back = Arc<dyn Way>;

#[derive(Default)]
struct Queue {
    messages: Vec<(Arc<From>, Message)>,
    bytes: usize,
    /// Look what there is to write.
    kicked: bool,
    stopped: bool,
    asleep: bool,
}

/// Whom a message is from.
struct From {
    volume: u64,
    ticket: u64,
    back: Back,
}

/// Who may have acknowledgements of a volume: the holder of the ticket.
struct Writer {
    ticket: u64,
    back: Option<Back>,
}

struct Shared {
    intake: Arc<dyn Intake>,
    /// fdatasync after each write; without it nothing survives a crash of the machine.
    durable: bool,
    /// Messages of more bytes than this are dropped: gossip brings them again.
    queue_bytes: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
    file: Mutex<Option<Arc<LogFile>>>,
    writers: Mutex<HashMap<u64, Writer>>,
    /// Connections that threads read, by ticket.
    links: Mutex<HashMap<u64, Arc<Answers>>>,
    stopped: AtomicBool,
    /// The host waits for so many entries.
    watched: AtomicU64,
    events: Mutex<Vec<Event>>,
    signal: Signal,
}

/// One node's thread.
pub struct Lane {
    shared: Arc<Shared>,
    door: Door,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Lane {
    pub fn new(
        name: &str,
        intake: Arc<dyn Intake>,
        durable: bool,
        queue_bytes: usize,
    ) -> io::Result<Lane> {
        let shared = Arc::new(Shared {
            intake,
            durable,
            queue_bytes,
            queue: Mutex::default(),
            changed: Condvar::new(),
            file: Mutex::default(),
            writers: Mutex::default(),
            links: Mutex::default(),
            stopped: AtomicBool::new(false),
            watched: AtomicU64::new(u64::MAX),
            events: Mutex::default(),
            signal: Signal::new()?,
        });
        let running = shared.clone();
        let thread = std::thread::Builder::new()
            .name(format!("lane {name}"))
            .spawn(move || running.run())?;
        Ok(Lane {
            shared,
            door: Door::default(),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Readable when `take` has something.
    pub fn descriptor(&self) -> RawFd {
        self.shared.signal.descriptor()
    }

    pub fn take(&self) -> Vec<Event> {
        // Before the list is taken: what comes after that signals anew.
        self.shared.signal.clear();
        std::mem::take(&mut *self.shared.events.lock())
    }

    /// Writes go to this file from now on, which is there already, and empty.
    pub fn open_file(&self, path: &str) -> io::Result<()> {
        self.set_file(LogFile::open(path, self.shared.durable)?);
        Ok(())
    }

    pub(crate) fn set_file(&self, file: LogFile) {
        *self.shared.file.lock() = Some(Arc::new(file));
        self.kick();
    }

    /// There may be something to write.
    pub fn kick(&self) {
        self.shared.queue.lock().kicked = true;
        self.shared.changed.notify_one();
    }

    /// `Event::Durable` once `count` entries are durable. Whoever calls looks afterwards whether they are already.
    pub fn watch(&self, count: u64) {
        self.shared.watched.fetch_min(count, Ordering::SeqCst);
    }

    /// Whoever shows this ticket is the volume's writer from now on; None: nobody is.
    pub fn set_writer(&self, volume: u64, ticket: Option<u64>) {
        let mut writers = self.shared.writers.lock();
        match ticket {
            Some(ticket) => {
                writers.insert(volume, Writer { ticket, back: None });
            }
            None => {
                writers.remove(&volume);
            }
        }
    }

    /// Acknowledgements of a volume go to `back`. None: the ticket is not valid any more.
    pub fn enter(&self, volume: u64, ticket: u64, back: Back) -> Option<Entrance> {
        let mut writers = self.shared.writers.lock();
        let writer = writers.get_mut(&volume)?;
        if writer.ticket != ticket {
            return None;
        }
        writer.back = Some(back.clone());
        let shared = self.shared.clone();
        let from = From {
            volume,
            ticket,
            back,
        };
        let from = Arc::new(from);
        Some(Entrance { shared, from })
    }

    /// Where the host sends a connection for `link`.
    pub fn door(&self) -> io::Result<RawFd> {
        self.door.descriptor()
    }

    #[cfg(test)]
    pub fn door_for_tests(&self) -> std::os::fd::BorrowedFd<'_> {
        self.door.outside()
    }

    /// Serve the connection that came through the door in a thread of its own: it is the writer's with this ticket. The first answer
    /// is `greeting`. False: the ticket is not valid any more.
    pub fn link(&self, volume: u64, ticket: u64, greeting: Message) -> io::Result<bool> {
        let socket = self.door.take()?;
        socket.set_nonblocking(false)?;
        let answers = Arc::new(Answers::new(socket));
        let Some(entrance) = self.enter(volume, ticket, answers.clone()) else {
            answers.close();
            return Ok(false);
        };
        self.shared.links.lock().insert(ticket, answers.clone());
        answers.send(&greeting);
        let Entrance { shared, from } = entrance;
        std::thread::Builder::new()
            .name(format!("link {ticket}"))
            .spawn(move || shared.serve(&from, &answers))?;
        Ok(true)
    }

    /// Send to the volume's writer, if it has a way here.
    pub fn tell(&self, volume: u64, message: Message) {
        self.shared.tell(volume, message);
    }

    /// End. A write under way is made; nothing is accepted or told any more.
    pub fn stop(&self) {
        {
            let mut queue = self.shared.queue.lock();
            queue.stopped = true;
            queue.messages.clear();
        }
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.changed.notify_one();
        self.shared.writers.lock().clear();
        for answers in self.shared.links.lock().values() {
            answers.close();
        }
        let thread = self.thread.lock().take();
        // A thread that panicked has ended too.
        let _ = thread.map(std::thread::JoinHandle::join);
    }
}

/// A writer's way into a lane.
pub struct Entrance {
    shared: Arc<Shared>,
    from: Arc<From>,
}

impl Way for Entrance {
    fn send(&self, message: &Message) {
        let size = (**message).as_ref().len();
        let mut queue = self.shared.queue.lock();
        if queue.stopped || queue.bytes + size > self.shared.queue_bytes {
            return;
        }
        queue.bytes += size;
        queue.messages.push((self.from.clone(), message.clone()));
        let asleep = std::mem::take(&mut queue.asleep);
        drop(queue);
        if asleep {
            self.shared.changed.notify_one();
        }
    }
}

impl Shared {
    fn run(&self) {
        while let Some(messages) = self.next() {
            for (from, message) in messages {
                self.deliver(&from, &message);
            }
            self.work();
        }
    }

    /// A link's thread: it writes what it brings, unless another thread is writing, which then does.
    fn serve(&self, from: &From, answers: &Answers) {
        let deliver = |message: &Message| self.deliver(from, message);
        answers.serve(&mut Frames::new(&[]), deliver, || self.work());
        answers.close();
        self.links.lock().remove(&from.ticket);
        let mut writers = self.writers.lock();
        if writers
            .get(&from.volume)
            .is_some_and(|writer| writer.ticket == from.ticket)
        {
            writers.remove(&from.volume);
        }
        drop(writers);
        self.event(Event::Left(from.volume, from.ticket));
    }

    fn deliver(&self, from: &From, message: &Message) {
        if self.stopped.load(Ordering::SeqCst) {
            return;
        }
        // Batches carry their epoch. What else a writer says counts only while it is one.
        if (**message).as_ref().first() == Some(&b'H') {
            let writers = self.writers.lock();
            if writers
                .get(&from.volume)
                .is_none_or(|writer| writer.ticket != from.ticket)
            {
                return;
            }
        }
        for answer in self.intake.message(message) {
            from.back.send(&answer);
        }
    }

    /// Write until there is nothing to write, or another thread does it.
    fn work(&self) {
        while !self.stopped.load(Ordering::SeqCst) {
            match self.intake.begin() {
                Begin::Nothing => return,
                Begin::File => return self.event(Event::File),
                Begin::Write(write) => self.write(&write),
            }
        }
    }

    /// What has come; None: the end.
    fn next(&self) -> Option<Vec<(Arc<From>, Message)>> {
        let mut queue = self.queue.lock();
        loop {
            if queue.stopped {
                return None;
            }
            if !queue.messages.is_empty() || queue.kicked {
                queue.kicked = false;
                queue.bytes = 0;
                return Some(std::mem::take(&mut queue.messages));
            }
            queue.asleep = true;
            self.changed.wait(&mut queue);
            queue.asleep = false;
        }
    }

    fn write(&self, write: &Write) {
        let file = self.file.lock().clone();
        let result = match file {
            Some(file) => file.write(write),
            None => Err(io::Error::from_raw_os_error(
                rustix::io::Errno::BADF.raw_os_error(),
            )),
        };
        if let Err(error) = result {
            *self.file.lock() = None;
            self.intake.failed();
            return self.event(Event::Failed(error));
        }
        let written = self.intake.written();
        for (volume, message) in written.told {
            self.tell(volume, message);
        }
        if written.began_to_hold {
            self.event(Event::Holding);
        }
        if written.durable >= self.watched.load(Ordering::SeqCst) {
            self.watched.store(u64::MAX, Ordering::SeqCst);
            self.event(Event::Durable);
        }
    }

    fn tell(&self, volume: u64, message: Message) {
        let back = match self.writers.lock().get(&volume) {
            Some(writer) => writer.back.clone(),
            None => return,
        };
        match back {
            Some(back) => back.send(&message),
            None => self.event(Event::Told(volume, message)),
        }
    }

    fn event(&self, event: Event) {
        self.events.lock().push(event);
        self.signal.raise();
    }
}
