//! The storage node's journal: how batches stand in its files, and how a file is read back after a crash or with rot in it.
//!
//! Entry: `6J` (2 bytes), kind (1), how many stand before it in its write, 255 for more (1), length (4), sequence number (8), CRC32C of those 16 bytes' last 14 and the
//! payload's CRC (4), CRC32C of the payload (4), payload. The header has its own checksum, so a damaged payload is skipped (a
//! hole, healed by gossip) and what follows is still found; where no further header can be found, the file ends (a torn tail).
//!
//! A write begins when the one before is durable. So what is missing before the beginning of a later write had been acknowledged; what
//! is missing in the last write had not.

use super::batch::{u32_at, u64_at};
use crate::base::Res;

const MAGIC: [u8; 2] = *b"6J";
pub const HEADER: usize = 24;

/// Append one entry to `out`.
pub fn frame(out: &mut Vec<u8>, kind: u8, sequence: u64, payload: &[u8]) {
    put_header(out, kind, 0, sequence, payload);
    out.extend_from_slice(payload);
}

/// Append what stands before an entry's payload. `within`: how many stand before it in its write.
pub fn put_header(out: &mut Vec<u8>, kind: u8, within: usize, sequence: u64, payload: &[u8]) {
    let at = out.len();
    out.extend_from_slice(&MAGIC);
    out.push(kind);
    out.push(u8::try_from(within).unwrap_or(u8::MAX));
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    let payload_crc = crc32c::crc32c(payload);
    let header_crc = crc32c::crc32c_append(payload_crc, &out[at + 2..at + 16]);
    out.extend_from_slice(&header_crc.to_le_bytes());
    out.extend_from_slice(&payload_crc.to_le_bytes());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub kind: u8,
    pub sequence: u64,
    /// Everything with a lower number was durable when this was written.
    pub begin: u64,
    /// Where the payload stands in the file.
    pub at: usize,
    pub len: usize,
}

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scan {
    pub entries: Vec<Found>,
    /// End of the last sound entry: everything after it is a torn tail, to be cut off.
    pub end: usize,
    /// Entries before `end` that are damaged.
    pub damaged: usize,
}

fn header(bytes: &[u8], at: usize) -> Option<(Found, u32)> {
    let read = || -> Res<(Found, u32)> {
        let payload_crc = u32_at(bytes, at + 20)?;
        let sequence = u64_at(bytes, at + 8)?;
        let within = bytes.get(at + 3).copied().unwrap_or(0);
        let found = Found {
            kind: bytes.get(at + 2).copied().unwrap_or(0),
            sequence,
            begin: sequence.saturating_sub(within.into()),
            at: at + HEADER,
            len: u32_at(bytes, at + 4)? as usize,
        };
        Ok((found, payload_crc))
    };
    if bytes.get(at..at + 2)? != MAGIC {
        return None;
    }
    let (found, payload_crc) = read().ok()?;
    let crc = u32_at(bytes, at + 16).ok()?;
    (crc32c::crc32c_append(payload_crc, bytes.get(at + 2..at + 16)?) == crc)
        .then_some((found, payload_crc))
}

/// Read a whole file. Sequence numbers must rise: what does not is an older file's remains and ends the scan.
pub fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan::default();
    let mut at = 0;
    let mut last = None;
    let mut skipped = 0;
    while at + HEADER <= bytes.len() {
        let Some((found, crc)) = header(bytes, at) else {
            // Look for the next header; zeros (space reserved ahead) hold none.
            match bytes[at + 1..].windows(2).position(|pair| pair == MAGIC) {
                Some(skip) => at += 1 + skip,
                None => break,
            }
            continue;
        };
        if last.is_some_and(|last| found.sequence <= last) {
            break;
        }
        let Some(payload) = bytes.get(found.at..found.at + found.len) else {
            at += 2;
            continue;
        };
        if crc32c::crc32c(payload) != crc {
            skipped += 1;
            at = found.at + found.len;
            continue;
        }
        // Numbers rise by one, so a gap counts what was lost with its header.
        let lost = last.map_or(0, |last| found.sequence - last - 1) as usize;
        scan.damaged += lost.max(skipped);
        skipped = 0;
        last = Some(found.sequence);
        scan.entries.push(found);
        at = found.at + found.len;
        scan.end = at;
    }
    scan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (Vec<u8>, Vec<usize>) {
        let mut out = Vec::new();
        let mut ends = Vec::new();
        for i in 0..5u64 {
            frame(
                &mut out,
                1,
                10 + i,
                format!("payload 6J number {i}").as_bytes(),
            );
            ends.push(out.len());
        }
        (out, ends)
    }

    #[test]
    fn a_file_reads_back_with_space_reserved_behind_it() {
        let (mut bytes, ends) = file();
        bytes.extend_from_slice(&[0; 300]);
        let scan = scan(&bytes);
        assert_eq!(
            (scan.entries.len(), scan.end, scan.damaged),
            (5, ends[4], 0)
        );
        assert_eq!(
            &bytes[scan.entries[3].at..scan.entries[3].at + scan.entries[3].len],
            b"payload 6J number 3"
        );
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_cut_at_the_last_whole_entry() {
        let (bytes, ends) = file();
        for len in ends[3]..ends[4] {
            let found = scan(&bytes[..len]);
            assert_eq!(
                (found.entries.len(), found.end, found.damaged),
                (4, ends[3], 0),
                "cut at {len}"
            );
        }
    }

    #[test]
    fn any_flipped_bit_costs_one_entry_only() {
        let (bytes, ends) = file();
        for bit in ends[1] * 8..ends[2] * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let found = scan(&damaged);
            let numbers: Vec<u64> = found.entries.iter().map(|e| e.sequence).collect();
            assert_eq!(found.end, ends[4], "bit {bit}");
            assert_eq!(
                (numbers, found.damaged),
                (vec![10, 11, 13, 14], 1),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn an_entry_says_where_its_write_began() {
        let mut out = Vec::new();
        for (sequence, within) in [(10u64, 0), (11, 0), (12, 1), (400, 300)] {
            put_header(&mut out, 1, within, sequence, b"entry");
            out.extend_from_slice(b"entry");
        }
        let begins: Vec<u64> = scan(&out).entries.iter().map(|e| e.begin).collect();
        assert_eq!(
            begins,
            [10, 11, 11, 145],
            "later than it was, where it can't be told"
        );
    }

    #[test]
    fn remains_of_an_older_use_of_the_space_are_not_entries() {
        let (mut bytes, ends) = file();
        frame(&mut bytes, 1, 3, b"old");
        assert_eq!(scan(&bytes).end, ends[4]);
    }
}
