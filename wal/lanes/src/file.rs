//! A journal file, as a lane writes it.
//!
//! A durable write goes past the page cache (O_DIRECT, with RWF_DSYNC): that costs half the processor time of a write and an fdatasync,
//! and two thirds of the wait. It is made of whole blocks: the block in which the last write ended is kept, and written once more
//! with what follows, as the page cache would. Where a file system can't do that the page cache is used.

use crate::lane::Write;
use parking_lot::Mutex;
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, Ordering};

/// Offsets, lengths and addresses are multiples of this: what the coarsest disks ask for.
const BLOCK: usize = 4096;
/// Longer writes are made piece by piece.
const PIECE: usize = 256 << 10;
/// The system takes no more parts at once.
const PARTS_MAX: usize = 1000;

#[cfg(test)]
thread_local! {
    /// What this thread made durable: from where to where.
    pub static SYNCED: std::cell::RefCell<Vec<std::ops::Range<u64>>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Memory that begins at a multiple of `BLOCK`.
struct Blocks {
    bytes: Vec<u8>,
    skew: usize,
}

impl Blocks {
    fn new(size: usize) -> Blocks {
        let bytes = vec![0; size + BLOCK];
        // Never grown: it stays where it is.
        let skew = bytes.as_ptr().align_offset(BLOCK);
        Blocks { bytes, skew }
    }

    fn get(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.skew..).unwrap_or_default()
    }
}

/// What has not filled its block yet.
struct Tail {
    blocks: Blocks,
    /// Where the block stands in the file.
    at: u64,
    filled: usize,
}

pub struct LogFile {
    file: File,
    /// fdatasync after each write, or the like.
    durable: bool,
    /// Whole blocks, past the page cache.
    direct: AtomicBool,
    tail: Mutex<Tail>,
}

impl LogFile {
    /// An empty file that is there already.
    pub fn open(path: &str, durable: bool) -> io::Result<LogFile> {
        let direct = OFlags::DIRECT.bits() as i32;
        let opened = match durable {
            true => File::options().write(true).custom_flags(direct).open(path),
            false => Err(Errno::INVAL.into()),
        };
        match opened {
            Ok(file) => Ok(LogFile::new(file, durable, true)),
            Err(error) if is_unfit(&error) => {
                let file = File::options().write(true).open(path)?;
                Ok(LogFile::new(file, durable, false))
            }
            Err(error) => Err(error),
        }
    }

    pub fn new(file: File, durable: bool, direct: bool) -> LogFile {
        LogFile {
            file,
            durable,
            direct: AtomicBool::new(direct),
            tail: Mutex::new(Tail {
                blocks: Blocks::new(if direct { PIECE } else { 0 }),
                at: 0,
                filled: 0,
            }),
        }
    }

    /// All parts, one behind the other, with the space that is reserved behind them; durable if the file is.
    pub fn write(&self, write: &Write) -> io::Result<()> {
        if self.direct.load(Ordering::Relaxed) {
            match self.write_blocks(write) {
                Err(error) if is_unfit(&error) => {
                    self.direct.store(false, Ordering::Relaxed);
                    let flags = rustix::fs::fcntl_getfl(&self.file)?;
                    rustix::fs::fcntl_setfl(&self.file, flags - OFlags::DIRECT)?;
                }
                result => return result,
            }
        }
        put(&self.file, write)?;
        match self.durable {
            true => self.file.sync_data()?,
            false => return Ok(()),
        }
        #[cfg(test)]
        SYNCED.with_borrow_mut(|synced| synced.push(0..u64::MAX));
        Ok(())
    }

    fn write_blocks(&self, write: &Write) -> io::Result<()> {
        let mut tail = self.tail.lock();
        let Tail { blocks, at, filled } = &mut *tail;
        if *at + *filled as u64 != write.offset {
            return Err(Errno::INVAL.into()); // not one write behind the other: only the page cache can do that
        }
        if let Some((from, size)) = write.reserve {
            let end = (from + size as u64) / BLOCK as u64 * BLOCK as u64;
            let from = from.next_multiple_of(BLOCK as u64);
            let size = end.saturating_sub(from) as usize;
            let mut zeros = Blocks::new(size);
            let zeros = zeros.get().get(..size).unwrap_or_default();
            self.put(zeros, from, ReadWriteFlags::empty())?;
        }
        let blocks = blocks.get();
        let dsync = ReadWriteFlags::DSYNC;
        let mut synced = false;
        for part in &write.parts {
            let mut rest = (**part).as_ref();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(PIECE - *filled));
                if let Some(room) = blocks.get_mut(*filled..*filled + now.len()) {
                    room.copy_from_slice(now);
                }
                *filled += now.len();
                rest = later;
                synced = false;
                if *filled == PIECE {
                    self.put(blocks.get(..PIECE).unwrap_or_default(), *at, dsync)?;
                    (*at, *filled, synced) = (*at + PIECE as u64, 0, true);
                }
            }
        }
        if synced || *filled == 0 {
            return Ok(());
        }
        let padded = filled.next_multiple_of(BLOCK);
        blocks.get_mut(*filled..padded).unwrap_or_default().fill(0);
        self.put(blocks.get(..padded).unwrap_or_default(), *at, dsync)?;
        let whole = *filled / BLOCK * BLOCK;
        blocks.copy_within(whole..*filled, 0);
        (*at, *filled) = (*at + whole as u64, *filled - whole);
        Ok(())
    }

    fn put(&self, mut blocks: &[u8], mut at: u64, flags: ReadWriteFlags) -> io::Result<()> {
        while !blocks.is_empty() {
            match rustix::io::pwritev2(&self.file, &[IoSlice::new(blocks)], at, flags) {
                Ok(0) => return Err(Errno::NOSPC.into()),
                Ok(size) => {
                    // Less than a block: the disk is full in its middle.
                    let whole = size / BLOCK * BLOCK;
                    if whole == 0 {
                        return Err(Errno::NOSPC.into());
                    }
                    #[cfg(test)]
                    if flags.contains(ReadWriteFlags::DSYNC) {
                        SYNCED.with_borrow_mut(|synced| synced.push(at..at + whole as u64));
                    }
                    at += whole as u64;
                    blocks = blocks.get(whole..).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Whether the file, or the system, can't write blocks past the page cache.
fn is_unfit(error: &io::Error) -> bool {
    let unfit = [Errno::INVAL, Errno::OPNOTSUPP];
    unfit
        .iter()
        .any(|one| error.raw_os_error() == Some(one.raw_os_error()))
}

/// By the page cache.
fn put(file: &File, write: &Write) -> io::Result<()> {
    if let Some((at, size)) = write.reserve {
        file.write_all_at(&vec![0; size], at)?;
    }
    let mut offset = write.offset;
    for some in write.parts.chunks(PARTS_MAX) {
        let mut slices: Vec<IoSlice<'_>> = some
            .iter()
            .map(|part| IoSlice::new((**part).as_ref()))
            .collect();
        let mut rest = slices.as_mut_slice();
        while rest.iter().any(|slice| !slice.is_empty()) {
            match rustix::io::pwritev(file, rest, offset) {
                Ok(0) => return Err(Errno::NOSPC.into()),
                Ok(size) => {
                    offset += size as u64;
                    IoSlice::advance_slices(&mut rest, size);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
