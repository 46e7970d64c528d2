//! Temporary files by way of whoever runs the session. What is written is collected, and handed over when there is much of it; a file that is
//! gone before that has never been one. An operation that needs an answer is first a need, then, once answered, the result of the same call.
//! A long one is carried out in pieces, each a request of its own: they are copied by whoever runs the session, who holds others up meanwhile.

use crate::base::error::{fail, Res};
use crate::base::Need;
use ahash::AHashMap;
use parking_lot::Mutex;

/// So many bytes are collected of all files.
const COLLECTED: usize = 1 << 20;
/// Bytes of one request.
const PIECE: usize = 2 << 20;

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
    /// Bytes that were handed over; and those after them, of which so many were handed over as well.
    written: u64,
    collected: Vec<u8>,
    gone: usize,
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
    /// What the last request writes: files, and how many bytes.
    handed: Vec<(u64, usize)>,
    /// What has been read so far, and all of it.
    got: Vec<u8>,
    answer: Option<Vec<u8>>,
}

#[derive(Default)]
pub struct Desk {
    state: Mutex<State>,
}

impl Desk {
    /// What the last `Need::Spill` is about, or what is left of it; None: the call may be made again.
    pub fn request(&self) -> Option<Request> {
        let state = &mut *self.state.lock();
        Some(match state.pending? {
            Pending::Write => {
                let (mut left, mut writes) = (PIECE, Vec::new());
                state.handed.clear();
                for (&no, file) in &mut state.files {
                    let rest = file.collected.get(file.gone..).unwrap_or(&[]);
                    let piece = rest.get(..left).unwrap_or(rest);
                    if !piece.is_empty() {
                        file.exists = true;
                        left -= piece.len();
                        state.handed.push((no, piece.len()));
                        writes.push((no, file.written, piece.to_vec()));
                    }
                }
                Request::Write(writes)
            }
            Pending::Read { .. } if state.answer.is_some() => return None,
            Pending::Read { file, offset, len } => Request::Read {
                file,
                offset: offset + state.got.len() as u64,
                len: (len - state.got.len()).min(PIECE),
            },
        })
    }

    /// The request has been carried out; `data` is what was read. There may be another one now.
    pub fn answer(&self, data: Option<&[u8]>) {
        let state = &mut *self.state.lock();
        match state.pending {
            Some(Pending::Write) => {
                for (no, size) in state.handed.drain(..) {
                    if let Some(file) = state.files.get_mut(&no) {
                        file.written += size as u64;
                        file.gone += size;
                        state.collected -= size;
                        if file.gone == file.collected.len() {
                            file.collected.clear();
                            file.gone = 0;
                        }
                    }
                }
                if state.collected == 0 {
                    state.pending = None;
                }
            }
            Some(Pending::Read { len, .. }) => {
                let data = data.unwrap_or(&[]);
                if state.got.is_empty() {
                    state.got.reserve_exact(len);
                }
                state.got.extend_from_slice(data);
                if data.is_empty() || state.got.len() >= len {
                    state.answer = Some(std::mem::take(&mut state.got));
                }
            }
            None => {}
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
        self.got = Vec::new();
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
        if file.collected.is_empty() && file.collected.capacity() > 2 * COLLECTED {
            // Of a long value.
            file.collected = Vec::new();
        }
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
            let from = own.gone + from as usize;
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
                return match answer.len() == len {
                    true => Ok(answer),
                    false => too_short(),
                };
            }
        }
        state.ask(pending)
    }

    fn remove(&self, file: u64) {
        let mut state = self.state.lock();
        if let Some(own) = state.files.remove(&file) {
            state.collected -= own.collected.len() - own.gone;
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
        desk.answer(Some(b"\x07m"));
        assert_eq!(desk.read(b, COLLECTED as u64 - 1, 2).unwrap(), b"\x07m");
        assert!(waits(desk.read(b, 0, 2)));
        desk.answer(Some(b"x"));
        desk.answer(None);
        assert!(matches!(desk.read(b, 0, 2), Err(Stop::Error(e)) if e.code == *b"58030"));
        desk.remove(b);
        assert_eq!(desk.take_dropped(), [b]);
    }

    #[test]
    fn long_ones_are_carried_out_in_pieces() {
        let desk = Desk::default();
        let (a, b) = (desk.create().unwrap(), desk.create().unwrap());
        let long: Vec<u8> = (0..3 * PIECE + 5).map(|i| (i % 251) as u8).collect();
        desk.write(a, b"some").unwrap();
        desk.write(b, &long).unwrap();
        assert!(waits(desk.write(a, b"more")));
        let (mut disk, mut requests) = (vec![0; long.len()], 0);
        while let Some(Request::Write(writes)) = desk.request() {
            assert!(
                writes
                    .iter()
                    .map(|(_, _, bytes)| bytes.len())
                    .sum::<usize>()
                    <= PIECE
            );
            for (file, offset, bytes) in writes {
                if file == b {
                    disk[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
                }
            }
            desk.answer(None);
            requests += 1;
        }
        assert_eq!((requests, disk == long), (4, true));
        desk.write(a, b"more").unwrap();
        assert_eq!(desk.read(a, 4, 4).unwrap(), b"more");
        assert!(waits(desk.read(b, 3, 2 * PIECE)));
        while let Some(Request::Read { file, offset, len }) = desk.request() {
            assert!(file == b && len <= PIECE);
            // A read may give less than was asked for.
            desk.answer(Some(&disk[offset as usize..][..len.min(PIECE - 7)]));
        }
        assert_eq!(desk.read(b, 3, 2 * PIECE).unwrap(), &long[3..][..2 * PIECE]);
    }
}
