//! Temporary files by way of whoever runs the session: an operation is first a need, then, once answered, the result of the same call.

use crate::base::error::{fail, Res};
use crate::base::Need;
use ahash::AHashMap;
use parking_lot::Mutex;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Write {
        file: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    Read {
        file: u64,
        offset: u64,
        len: usize,
    },
}

#[derive(Default)]
struct State {
    next: u64,
    /// Length of each open file.
    files: AHashMap<u64, u64>,
    /// Files that nobody needs any more, not yet told.
    dropped: Vec<u64>,
    pending: Option<Request>,
    answer: Option<Option<Vec<u8>>>,
}

#[derive(Default)]
pub struct Desk {
    state: Mutex<State>,
}

impl Desk {
    /// What the last `Need::Spill` is about.
    pub fn request(&self) -> Option<Request> {
        self.state.lock().pending.clone()
    }

    /// The request has been carried out; `data` is what was read.
    pub fn answer(&self, data: Option<Vec<u8>>) {
        self.state.lock().answer = Some(data);
    }

    /// Files to delete.
    pub fn take_dropped(&self) -> Vec<u64> {
        std::mem::take(&mut self.state.lock().dropped)
    }

    /// The answer to `request`, if it is the one that was asked and answered; else it is asked now.
    fn exchange(&self, state: &mut State, request: Request) -> Res<Option<Vec<u8>>> {
        if state.pending.as_ref() == Some(&request) {
            if let Some(answer) = state.answer.take() {
                state.pending = None;
                return Ok(answer);
            }
        }
        state.pending = Some(request);
        state.answer = None;
        Err(Need::Spill.into())
    }
}

impl crate::expr::Spill for Desk {
    fn create(&self) -> Res<u64> {
        let mut state = self.state.lock();
        state.next += 1;
        let file = state.next;
        state.files.insert(file, 0);
        Ok(file)
    }

    fn write(&self, file: u64, bytes: &[u8]) -> Res<()> {
        let mut state = self.state.lock();
        let Some(offset) = state.files.get(&file).copied() else {
            return fail("XX000", "a temporary file is written after its removal");
        };
        self.exchange(
            &mut state,
            Request::Write {
                file,
                offset,
                bytes: bytes.to_vec(),
            },
        )?;
        state.files.insert(file, offset + bytes.len() as u64);
        Ok(())
    }

    fn read(&self, file: u64, offset: u64, len: usize) -> Res<Vec<u8>> {
        let mut state = self.state.lock();
        match self.exchange(&mut state, Request::Read { file, offset, len })? {
            Some(bytes) if bytes.len() == len => Ok(bytes),
            _ => fail(
                "58030",
                "could not read from temporary file: it is too short",
            ),
        }
    }

    fn remove(&self, file: u64) {
        let mut state = self.state.lock();
        if state.files.remove(&file).is_some() {
            state.dropped.push(file);
        }
    }
}
