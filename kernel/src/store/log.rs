//! The log tail: redo that is written and not yet taken by the sender, cut only at the ends of MTRs.

use crate::base::Lsn;
use std::collections::VecDeque;

/// Raw stream bytes `[start, end)`: whole MTRs, decodable with `redo::Decoder::new(start, &records)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flush {
    pub start: Lsn,
    pub end: Lsn,
    pub records: Vec<u8>,
}

pub(super) struct LogTail {
    start: u64,
    bytes: Vec<u8>,
    /// Ends of the MTRs in `bytes`, rising.
    ends: VecDeque<u64>,
}

impl LogTail {
    pub fn new(start: Lsn) -> LogTail {
        LogTail {
            start: start.0,
            bytes: Vec::new(),
            ends: VecDeque::new(),
        }
    }

    pub fn end(&self) -> Lsn {
        Lsn(self.start + self.bytes.len() as u64)
    }

    pub fn append(&mut self, mtr: &[u8]) -> Lsn {
        self.bytes.extend_from_slice(mtr);
        let end = self.end();
        self.ends.push_back(end.0);
        end
    }

    /// At least one MTR, and as many more as keep the flush below `max_bytes`.
    pub fn take(&mut self, max_bytes: usize) -> Option<Flush> {
        let mut end = self.ends.pop_front()?;
        while let Some(next) = self.ends.front() {
            if next - self.start > max_bytes as u64 {
                break;
            }
            end = *next;
            self.ends.pop_front();
        }
        let rest = self.bytes.split_off((end - self.start) as usize);
        let records = std::mem::replace(&mut self.bytes, rest);
        let start = Lsn(std::mem::replace(&mut self.start, end));
        Some(Flush {
            start,
            end: Lsn(end),
            records,
        })
    }
}
