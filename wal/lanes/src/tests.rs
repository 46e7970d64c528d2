use super::*;
use crate::file::LogFile;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub fn message(bytes: &[u8]) -> Message {
    Arc::new(bytes.to_vec())
}

/// What came this way.
#[derive(Default)]
pub struct Seen(Mutex<Vec<Vec<u8>>>);

impl Way for Seen {
    fn send(&self, message: &Message) {
        self.0.lock().push((**message).as_ref().to_vec());
    }
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not {what}");
        std::thread::yield_now();
    }
}

/// Takes every message but `no`, and writes what has come as one write.
#[derive(Default)]
pub struct Plain {
    pending: Mutex<Vec<Message>>,
    writing: Mutex<Vec<Message>>,
    at: AtomicU64,
    durable: AtomicU64,
    has_file: Mutex<bool>,
}

impl Intake for Plain {
    fn message(&self, bytes: &Message) -> Vec<Message> {
        if (**bytes).as_ref() == b"no" {
            return vec![message(b"X refused")];
        }
        self.pending.lock().push(bytes.clone());
        Vec::new()
    }

    fn begin(&self) -> Begin {
        let (mut pending, mut writing) = (self.pending.lock(), self.writing.lock());
        if pending.is_empty() && writing.is_empty() {
            return Begin::Nothing;
        }
        if !*self.has_file.lock() {
            return Begin::File;
        }
        writing.append(&mut pending);
        Begin::Write(Write {
            offset: self.at.load(Ordering::SeqCst),
            parts: writing.clone(),
            reserve: None,
        })
    }

    fn written(&self) -> Written {
        let writing = std::mem::take(&mut *self.writing.lock());
        let size: usize = writing.iter().map(|part| (**part).as_ref().len()).sum();
        self.at.fetch_add(size as u64, Ordering::SeqCst);
        let count = writing.len() as u64;
        let durable = self.durable.fetch_add(count, Ordering::SeqCst) + count;
        Written {
            told: vec![(
                1,
                message(&[&b"A12345678"[..], &durable.to_le_bytes()].concat()),
            )],
            began_to_hold: false,
            durable,
        }
    }

    fn failed(&self) {
        *self.has_file.lock() = false;
    }
}

impl Plain {
    pub fn begin_file(&self, lane: &Lane, path: &std::path::Path) {
        File::create(path).unwrap();
        lane.open_file(path.to_str().unwrap()).unwrap();
        self.at.store(0, Ordering::SeqCst);
        *self.has_file.lock() = true;
        lane.kick();
    }

    pub fn written_so_far(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }
}

impl Numbers {
    pub fn add(&self, flushes: &[u8]) {
        self.ready.lock().extend(flushes);
    }
}

impl Seen {
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

#[test]
fn messages_are_written_in_order_and_told_once_they_are_durable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let intake = Arc::new(Plain::default());
    let lane = Lane::new("a", intake.clone(), true, 1 << 20).unwrap();
    let writer = Arc::new(Seen::default());
    lane.set_writer(1, Some(7));
    assert!(lane.enter(1, 6, writer.clone()).is_none(), "a wrong ticket");
    let way = lane.enter(1, 7, writer.clone()).unwrap();
    way.send(&message(b"first "));
    until("asked for a file", || {
        matches!(lane.take()[..], [Event::File])
    });
    lane.watch(101);
    intake.begin_file(&lane, &path);
    for number in 0..100 {
        way.send(&message(format!("{number} ").as_bytes()));
    }
    way.send(&message(b"no"));
    until("durable", || {
        lane.take()
            .iter()
            .any(|event| matches!(event, Event::Durable))
    });
    let expected: String = (0..100).map(|number| format!("{number} ")).collect();
    assert_eq!(
        std::fs::read_to_string(&path)
            .unwrap()
            .trim_end_matches('\0'),
        format!("first {expected}")
    );
    until("refused", || {
        writer.0.lock().contains(&b"X refused".to_vec())
    });
    until("told", || {
        writer
            .0
            .lock()
            .iter()
            .any(|m| m.ends_with(&101u64.to_le_bytes()))
    });
    // Another writer has come: the first is told nothing more, even of what it sent.
    lane.set_writer(1, Some(8));
    writer.0.lock().clear();
    way.send(&message(b"late"));
    until("written", || intake.durable.load(Ordering::SeqCst) == 102);
    until("told to nobody here", || {
        lane.take()
            .iter()
            .any(|event| matches!(event, Event::Told(1, _)))
    });
    assert!(writer.0.lock().is_empty());
    lane.stop();
    way.send(&message(b"after the end"));
}

#[test]
fn a_failed_write_is_made_again_in_another_file_and_nothing_is_told_before() {
    let folder = tempfile::tempdir().unwrap();
    let (bad, good) = (folder.path().join("bad"), folder.path().join("good"));
    File::create(&bad).unwrap();
    let intake = Arc::new(Plain::default());
    let lane = Lane::new("a", intake.clone(), true, 1 << 20).unwrap();
    let writer = Arc::new(Seen::default());
    lane.set_writer(1, Some(1));
    let way = lane.enter(1, 1, writer.clone()).unwrap();
    *intake.has_file.lock() = true;
    lane.set_file(LogFile::new(File::open(&bad).unwrap(), true, true));
    way.send(&message(b"redo"));
    let mut failure = None;
    until("failed", || {
        for event in lane.take() {
            if let Event::Failed(error) = event {
                failure = error.raw_os_error();
            }
        }
        failure.is_some()
    });
    assert_eq!(failure, Some(9), "opened for reading: EBADF");
    assert!(writer.0.lock().is_empty());
    intake.begin_file(&lane, &good);
    until("told", || !writer.0.lock().is_empty());
    assert!(std::fs::read(&good).unwrap().starts_with(b"redo"));
    lane.stop();
}

#[test]
fn a_lane_that_does_not_keep_up_drops_what_is_too_much() {
    let intake = Arc::new(Plain::default());
    let lane = Lane::new("a", intake.clone(), true, 100).unwrap();
    lane.set_writer(1, Some(1));
    let way = lane.enter(1, 1, Arc::new(Seen::default())).unwrap();
    // It takes nothing meanwhile.
    let held = intake.pending.lock();
    for _ in 0..100 {
        way.send(&message(&[0; 10]));
    }
    drop(held);
    until("taken", || intake.pending.lock().len() > 1);
    std::thread::sleep(Duration::from_millis(20));
    assert!(
        intake.pending.lock().len() <= 21,
        "those at work, and 100 bytes"
    );
    lane.stop();
}

/// Flushes are numbers; one is under way at a time.
#[derive(Default)]
pub struct Numbers {
    ready: Mutex<VecDeque<u8>>,
    under_way: Mutex<Option<u8>>,
    acks: Mutex<Vec<usize>>,
}

impl Source for Numbers {
    fn urge(&self) {}

    fn next(&self) -> Option<Message> {
        let mut under_way = self.under_way.lock();
        if under_way.is_some() {
            return None;
        }
        *under_way = Some(self.ready.lock().pop_front()?);
        under_way.map(|number| message(&[number]))
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    fn hurry(&self) {}

    fn outstanding(&self) -> Vec<Message> {
        self.under_way
            .lock()
            .iter()
            .map(|number| message(&[*number]))
            .collect()
    }

    /// Two members are a quorum.
    fn ack(&self, member: usize, entries: &[u8]) -> Option<u64> {
        let mut under_way = self.under_way.lock();
        if *under_way != entries.first().copied() {
            return None;
        }
        let mut acks = self.acks.lock();
        acks.push(member);
        if acks.len() < 2 {
            return None;
        }
        acks.clear();
        under_way.take().map(u64::from)
    }
}

pub fn ack(number: u8) -> Message {
    message(&[b"A12345678".as_slice(), &[number]].concat())
}

#[test]
fn a_flush_goes_to_all_members_and_the_next_one_when_a_quorum_has_it() {
    let source = Arc::new(Numbers::default());
    let streams = Streams::new(source.clone(), 3).unwrap();
    let members: Vec<Arc<Seen>> = (0..3).map(|_| Arc::default()).collect();
    streams.attach(0, members[0].clone());
    streams.attach(1, members[1].clone());
    let risen = Arc::new(Mutex::new(Vec::new()));
    let list = risen.clone();
    streams.listen(Box::new(move |vdl| list.lock().push(vdl)));
    source.ready.lock().extend([1, 2]);
    streams.urge();
    let seen = |member: usize| members[member].0.lock().concat();
    assert_eq!((seen(0), seen(1), seen(2)), (vec![1], vec![1], vec![]));
    streams.back(0).send(&ack(1));
    assert_eq!(seen(0), [1], "one of two");
    // One that comes late gets what no quorum has.
    streams.attach(2, members[2].clone());
    assert_eq!(seen(2), [1]);
    streams.detach(1);
    streams.back(2).send(&ack(1));
    assert_eq!(
        (seen(0), seen(1), seen(2)),
        (vec![1, 2], vec![1], vec![1, 2])
    );
    assert_eq!(*risen.lock(), [1]);
    streams.back(0).send(&message(b"X no"));
    assert_eq!(streams.take(), (vec![(0, b"X no".to_vec())], vec![]));
    streams.close();
    source.ready.lock().push_back(3);
    streams.back(0).send(&ack(2));
    streams.back(2).send(&ack(2));
    assert_eq!((seen(0), risen.lock().len()), (vec![1, 2], 1), "closed");
}

/// Holds up who sends, until it is opened.
#[derive(Default)]
struct Gate {
    seen: Seen,
    is_open: Mutex<bool>,
    opened: parking_lot::Condvar,
}

impl Way for Gate {
    fn send(&self, message: &Message) {
        self.seen.send(message);
        let mut is_open = self.is_open.lock();
        while !*is_open {
            self.opened.wait(&mut is_open);
        }
    }
}

#[test]
fn nobody_waits_for_a_thread_that_sends_and_it_sends_what_comes_meanwhile() {
    let source = Arc::new(Numbers::default());
    let streams = Streams::new(source.clone(), 2).unwrap();
    let gate = Arc::new(Gate::default());
    streams.attach(0, gate.clone());
    source.add(&[1, 2]);
    let sender = streams.clone();
    let sending = std::thread::spawn(move || sender.pump());
    until("sending", || !gate.seen.is_empty());
    // These come back although the other thread still sends.
    streams.back(0).send(&ack(1));
    streams.back(1).send(&ack(1));
    streams.urge();
    assert_eq!(*gate.seen.0.lock(), [[1]]);
    *gate.is_open.lock() = true;
    gate.opened.notify_all();
    sending.join().unwrap();
    assert_eq!(*gate.seen.0.lock(), [[1], [2]]);
    streams.close();
}

/// Much to send at once.
struct Many(Mutex<usize>);

impl Source for Many {
    fn urge(&self) {}

    fn next(&self) -> Option<Message> {
        let mut left = self.0.lock();
        *left = left.checked_sub(1)?;
        Some(message(&[0; 100 << 10]))
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    fn hurry(&self) {
        unreachable!("nothing waits for others");
    }

    fn outstanding(&self) -> Vec<Message> {
        Vec::new()
    }

    fn ack(&self, _: usize, _: &[u8]) -> Option<u64> {
        None
    }
}

/// The threads that sent.
#[derive(Default)]
struct Senders(Mutex<Vec<String>>);

impl Way for Senders {
    fn send(&self, _: &Message) {
        let name = std::thread::current().name().unwrap_or("").to_owned();
        self.0.lock().push(name);
    }
}

#[test]
fn a_thread_that_has_sent_much_leaves_the_rest_to_the_timers() {
    let senders = Arc::new(Senders::default());
    let streams = Streams::new(Arc::new(Many(Mutex::new(50))), 1).unwrap();
    streams.attach(0, senders.clone());
    let pumping = streams.clone();
    std::thread::Builder::new()
        .name("a reactor".to_owned())
        .spawn(move || pumping.pump())
        .unwrap()
        .join()
        .unwrap();
    until("sent", || senders.0.lock().len() == 50);
    let all = senders.0.lock();
    let first = all.iter().filter(|name| *name == "a reactor").count();
    assert!((1..=3).contains(&first), "{first}");
    assert!(all.iter().skip(first).all(|name| name == "log timer"));
    streams.close();
}
