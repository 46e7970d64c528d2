//! A thread that waits for fractions of a millisecond, which no poll can.

use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::time::Duration;

#[derive(Default)]
struct State {
    wait: Option<(u64, Duration)>,
    stopped: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

pub struct Timer {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Timer {
    /// `over` is called with the number of each wait that has passed.
    pub fn new(over: impl Fn(u64) + Send + 'static) -> io::Result<Timer> {
        let shared: Arc<Shared> = Arc::default();
        let running = shared.clone();
        let thread = std::thread::Builder::new()
            .name("log timer".to_owned())
            .spawn(move || running.run(over))?;
        Ok(Timer {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Wait so long from now, or from the end of the wait under way. A wait that has not begun is replaced.
    pub fn set(&self, number: u64, wait: Duration) {
        let mut state = self.shared.state.lock();
        state.wait = Some((number, wait));
        self.shared.changed.notify_one();
    }

    fn end(&self) {
        self.shared.state.lock().stopped = true;
        self.shared.changed.notify_one();
    }

    pub fn stop(&self) {
        self.end();
        let thread = self.thread.lock().take();
        // A thread that panicked has ended too.
        let _ = thread.map(std::thread::JoinHandle::join);
    }
}

impl Drop for Timer {
    /// Not waited for: it may be the thread itself that drops it.
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn run(&self, over: impl Fn(u64)) {
        loop {
            let (number, wait) = {
                let mut state = self.state.lock();
                loop {
                    match state.wait.take() {
                        _ if state.stopped => return,
                        Some(wait) => break wait,
                        None => self.changed.wait(&mut state),
                    }
                }
            };
            std::thread::sleep(wait);
            over(number);
        }
    }
}
