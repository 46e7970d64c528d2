//! Temporary files by way of whoever runs the session. What is written is collected, and handed over when there is much of it; a file that is
//! gone before that has never been one. An operation that needs an answer is first a need, then, once answered, the result of the same call.

use crate::base::error::{fail, Res};
use crate::base::Need;
use ahash::AHashMap;
use parking_lot::Mutex;

/// So many bytes are collected of all files.
const COLLECTED: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// What is to be written to files at offsets.
    Write(Vec<(u64, u64, Vec<u8>)>),
    Read {
        file: u64,
        offset: u64,
        len: usize,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    Write,
    Read { file: u64, offset: u64, len: usize },
}

#[derive(Default)]
struct File {
    /// Bytes that were handed over, and those after them.
    written: u64,
    collected: Vec<u8>,
    /// Something was to be written to it: there may be such a file.
    exists: bool,
}

#[derive(Default)]
struct State {
    next: u64,
    files: AHashMap<u64, File>,
    collected: usize,
    /// Files that nobody needs any more, not yet told.
    dropped: Vec<u64>,
    pending: Option<Pending>,
    answer: Option<Option<Vec<u8>>>,
}

#[derive(Default)]
pub struct Desk {
    state: Mutex<State>,
}

impl Desk {
    /// What the last `Need::Spill` is about.
    pub fn request(&self) -> Option<Request> {
        let mut state = self.state.lock();
        Some(match state.pending? {
            Pending::Write => {
                let files = state.files.iter_mut();
                let files = files.filter(|(_, file)| !file.collected.is_empty());
                let write = |(&no, file): (&u64, &mut File)| {
                    file.exists = true;
                    (no, file.written, file.collected.clone())
                };
                Request::Write(files.map(write).collect())
            }
            Pending::Read { file, offset, len } => Request::Read { file, offset, len },
        })
    }

    /// The request has been carried out; `data` is what was read.
    pub fn answer(&self, data: Option<Vec<u8>>) {
        let mut state = self.state.lock();
        if state.pending == Some(Pending::Write) {
            for file in state.files.values_mut() {
                file.written += file.collected.len() as u64;
                file.collected.clear();
            }
            (state.collected, state.pending) = (0, None);
        } else {
            state.answer = Some(data);
        }
    }

    /// Files to delete.
    pub fn take_dropped(&self) -> Vec<u64> {
        std::mem::take(&mut self.state.lock().dropped)
    }
}

impl State {
    fn ask<T>(&mut self, pending: Pending) -> Res<T> {
        self.pending = Some(pending);
        self.answer = None;
        Err(Need::Spill.into())
    }
}

impl crate::base::Spill for Desk {
    fn create(&self) -> Res<u64> {
        let mut state = self.state.lock();
        state.next += 1;
        let file = state.next;
        state.files.insert(file, File::default());
        Ok(file)
    }

    fn write(&self, file: u64, bytes: &[u8]) -> Res<()> {
        let mut state = self.state.lock();
        if state.collected >= COLLECTED {
            return state.ask(Pending::Write);
        }
        let Some(file) = state.files.get_mut(&file) else {
            return fail("XX000", "a temporary file is written after its removal");
        };
        file.collected.extend_from_slice(bytes);
        state.collected += bytes.len();
        Ok(())
    }

    fn read(&self, file: u64, offset: u64, len: usize) -> Res<Vec<u8>> {
        let mut state = self.state.lock();
        let Some(own) = state.files.get(&file) else {
            return fail("XX000", "a temporary file is read after its removal");
        };
        if let Some(from) = offset.checked_sub(own.written) {
            let from = from as usize;
            let collected = own.collected.get(from..from.saturating_add(len));
            return collected.map_or_else(too_short, |bytes| Ok(bytes.to_vec()));
        }
        if offset.saturating_add(len as u64) > own.written {
            return state.ask(Pending::Write);
        }
        let pending = Pending::Read { file, offset, len };
        if state.pending == Some(pending) {
            if let Some(answer) = state.answer.take() {
                state.pending = None;
                return match answer {
                    Some(bytes) if bytes.len() == len => Ok(bytes),
                    _ => too_short(),
                };
            }
        }
        state.ask(pending)
    }

    fn remove(&self, file: u64) {
        let mut state = self.state.lock();
        if let Some(own) = state.files.remove(&file) {
            state.collected -= own.collected.len();
            if own.exists {
                state.dropped.push(file);
            }
        }
    }
}

fn too_short<T>() -> Res<T> {
    fail(
        "58030",
        "could not read from temporary file: it is too short",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Spill;
    use crate::base::Stop;

    fn waits<T>(result: Res<T>) -> bool {
        matches!(result, Err(Stop::Need(Need::Spill)))
    }

    #[test]
    fn little_is_never_written_and_much_is_written_at_once() {
        let desk = Desk::default();
        let (a, b) = (desk.create().unwrap(), desk.create().unwrap());
        desk.write(a, b"first").unwrap();
        desk.write(b, &[7; COLLECTED]).unwrap();
        assert_eq!(desk.read(a, 1, 3).unwrap(), b"irs");
        desk.remove(a);
        assert!(desk.take_dropped().is_empty());
        assert!(waits(desk.write(b, b"more")));
        let writes = vec![(b, 0, vec![7; COLLECTED])];
        assert_eq!(desk.request(), Some(Request::Write(writes)));
        desk.answer(None);
        desk.write(b, b"more").unwrap();
        assert_eq!(desk.read(b, COLLECTED as u64, 4).unwrap(), b"more");
        // Half of it is in the file.
        assert!(waits(desk.read(b, COLLECTED as u64 - 1, 2)));
        let writes = vec![(b, COLLECTED as u64, b"more".to_vec())];
        assert_eq!(desk.request(), Some(Request::Write(writes)));
        desk.answer(None);
        assert!(waits(desk.read(b, COLLECTED as u64 - 1, 2)));
        desk.answer(Some(b"\x07m".to_vec()));
        assert_eq!(desk.read(b, COLLECTED as u64 - 1, 2).unwrap(), b"\x07m");
        assert!(waits(desk.read(b, 0, 2)));
        desk.answer(Some(b"x".to_vec()));
        assert!(matches!(desk.read(b, 0, 2), Err(Stop::Error(e)) if e.code == *b"58030"));
        desk.remove(b);
        assert_eq!(desk.take_dropped(), [b]);
    }
}
