//! Threads that write to files and make them durable (fdatasync), and tell when they have.
//!
//! A *lane* is one thread with its queue: what is submitted to a lane is done in order. Syncs of different lanes run side by side and
//! share one commit of the file system's own journal. `start` wakes one thread, and threads wake each other: a wake-up is a system call
//! that the event loop need not pay for every lane. Nothing here needs the GIL: a completion is put on a list, and one byte on
//! a socket tells the event loop to look.

mod signal;

use parking_lot::{Condvar, Mutex};
pub use signal::Signal;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::RawFd;
use std::sync::Arc;

/// The system takes no more parts at once.
const PARTS_MAX: usize = 1000;

/// Bytes to be written, kept by their owner until the write is over.
pub trait Part: Send + 'static {
    fn bytes(&self) -> &[u8];
}

/// A file that is there already, opened for writing.
#[derive(Clone)]
pub struct Synced(Arc<File>);

impl Synced {
    pub fn open(path: &str) -> io::Result<Synced> {
        Ok(Synced(Arc::new(File::options().write(true).open(path)?)))
    }
}

/// One write and sync.
pub struct Job<P> {
    pub file: Synced,
    pub offset: u64,
    pub parts: Vec<P>,
    /// What its completion is called.
    pub number: u64,
}

/// A job is over. `parts` go back to who knows how to drop them.
pub struct Done<P> {
    pub number: u64,
    pub result: io::Result<()>,
    pub parts: Vec<P>,
}

struct Lane<P> {
    queue: Mutex<Queue<P>>,
    changed: Condvar,
}

struct Queue<P> {
    jobs: VecDeque<Job<P>>,
    stopped: bool,
    asleep: bool,
}

struct Shared<P> {
    lanes: Vec<Lane<P>>,
    done: Mutex<Vec<Done<P>>>,
    signal: Signal,
}

pub struct Syncer<P: Part> {
    shared: Arc<Shared<P>>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

impl<P: Part> Syncer<P> {
    pub fn new(lanes: usize) -> io::Result<Syncer<P>> {
        let lane = || Lane {
            queue: Mutex::new(Queue {
                jobs: VecDeque::new(),
                stopped: false,
                asleep: false,
            }),
            changed: Condvar::new(),
        };
        let shared = Arc::new(Shared {
            lanes: (0..lanes).map(|_| lane()).collect(),
            done: Mutex::default(),
            signal: Signal::new()?,
        });
        let mut threads = Vec::with_capacity(lanes);
        for number in 0..lanes {
            let shared = shared.clone();
            let named = std::thread::Builder::new().name(format!("syncer-{number}"));
            threads.push(named.spawn(move || shared.run(number))?);
        }
        let threads = Mutex::new(threads);
        Ok(Syncer { shared, threads })
    }

    /// Readable when `take` has something.
    pub fn descriptor(&self) -> RawFd {
        self.shared.signal.descriptor()
    }

    /// Queue a job; `start` begins it. False: there is no such lane.
    pub fn submit(&self, lane: usize, job: Job<P>) -> bool {
        let Some(lane) = self.shared.lanes.get(lane) else {
            return false;
        };
        lane.queue.lock().jobs.push_back(job);
        true
    }

    /// Begin what was submitted.
    pub fn start(&self) {
        self.shared.wake_next();
    }

    /// What is over, in the order in which it ended.
    pub fn take(&self) -> Vec<Done<P>> {
        // Before the list is taken: what comes after that signals anew.
        self.shared.signal.clear();
        std::mem::take(&mut *self.shared.done.lock())
    }

    /// End after what was submitted.
    pub fn stop(&self) {
        for lane in &self.shared.lanes {
            lane.queue.lock().stopped = true;
            lane.changed.notify_one();
        }
        for thread in self.threads.lock().drain(..) {
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
    }
}

impl<P: Part> Shared<P> {
    /// Wake a lane that has something to do and sleeps. It does the same when it has woken.
    fn wake_next(&self) {
        for lane in &self.lanes {
            let mut queue = lane.queue.lock();
            if queue.asleep && !queue.jobs.is_empty() {
                // Nobody else need wake it.
                queue.asleep = false;
                drop(queue);
                lane.changed.notify_one();
                return;
            }
        }
    }

    fn run(&self, lane: usize) {
        while let Some(job) = self.lanes.get(lane).and_then(Lane::next) {
            self.wake_next();
            let result = write(&job).and_then(|()| job.file.0.sync_data());
            self.done.lock().push(Done {
                number: job.number,
                result,
                parts: job.parts,
            });
            self.signal.raise();
        }
    }
}

impl<P> Lane<P> {
    /// None: the lane has stopped.
    fn next(&self) -> Option<Job<P>> {
        let mut queue = self.queue.lock();
        loop {
            match queue.jobs.pop_front() {
                Some(job) => return Some(job),
                None if queue.stopped => return None,
                None => {
                    queue.asleep = true;
                    self.changed.wait(&mut queue);
                    queue.asleep = false;
                }
            }
        }
    }
}

/// All parts, one behind the other.
fn write<P: Part>(job: &Job<P>) -> io::Result<()> {
    let mut offset = job.offset;
    for some in job.parts.chunks(PARTS_MAX) {
        let mut slices: Vec<IoSlice<'_>> =
            some.iter().map(|part| IoSlice::new(part.bytes())).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            match rustix::io::pwritev(&*job.file.0, rest, offset) {
                Ok(0) if rest.iter().any(|slice| !slice.is_empty()) => {
                    return Err(io::Error::from_raw_os_error(
                        rustix::io::Errno::NOSPC.raw_os_error(),
                    ));
                }
                Ok(size) => {
                    offset += size as u64;
                    IoSlice::advance_slices(&mut rest, size);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
