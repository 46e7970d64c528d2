//! Where a call runs, for work too deep down to be told: on the event loop, where nothing may take long, or in a worker
//! thread; and whether somebody has cancelled it.
//!
//! Whoever lets a session work says so with [`enter`], on the thread that works. Deep work asks [`heavy`] before it begins, and
//! [`check`] now and then.

use super::error::{fail, Res};
use super::Need;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Bytes of long values that one step on the event loop may touch.
pub const INLINE_BYTES: usize = 1 << 20;
/// Shorter values do not count.
pub const LONG: usize = 4 << 10;
/// Bytes, or steps of about a nanosecond, between two looks whether somebody has cancelled.
const CHECK: usize = 1 << 20;

thread_local! {
    /// What is left of INLINE_BYTES; none: not on the event loop.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    static CANCEL: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
    /// Bytes of long values that may still be made; none: any.
    static ROOM: Cell<Option<usize>> = const { Cell::new(None) };
    /// Work done since the last look.
    static STEPS: Cell<usize> = const { Cell::new(0) };
    /// How often somebody has looked.
    #[cfg(test)]
    pub static LOOKS: Cell<usize> = const { Cell::new(0) };
}

/// Until it is dropped, this thread works for one session.
pub struct Entered(());

/// `inline`: on the event loop. The same call will be made again in a worker thread after `Need::Slice`.
pub fn enter(cancel: &Arc<AtomicBool>, inline: bool) -> Entered {
    LEFT.set(inline.then_some(INLINE_BYTES));
    CANCEL.with_borrow_mut(|current| *current = Some(cancel.clone()));
    Entered(())
}

/// For a thread that helps this one: it sees the same cancel.
pub fn helper() -> impl Fn() -> Option<Entered> + Send + Sync {
    let cancel = CANCEL.with_borrow(Clone::clone);
    move || cancel.as_ref().map(|flag| enter(flag, false))
}

impl Drop for Entered {
    fn drop(&mut self) {
        LEFT.set(None);
        CANCEL.with_borrow_mut(|current| *current = None);
    }
}

/// Before work that takes long whatever its values are: on the event loop it is `Need::Slice`.
pub fn aside() -> Res<()> {
    match LEFT.get() {
        None => Ok(()),
        Some(_) => Err(Need::Slice.into()),
    }
}

/// Before work on a value of so many bytes (or that takes as long): a cancel is seen, and too much for the event loop is
/// `Need::Slice`, before anything has happened.
#[inline]
pub fn heavy(bytes: usize) -> Res<()> {
    if bytes < LONG {
        return Ok(());
    }
    begin(bytes)
}

#[cold]
fn begin(bytes: usize) -> Res<()> {
    check()?;
    match LEFT.get() {
        None => Ok(()),
        Some(left) if left > bytes => {
            LEFT.set(Some(left - bytes));
            Ok(())
        }
        Some(_) => Err(Need::Slice.into()),
    }
}

/// Work that can be done anew, on less: `None`, given up, as soon as it has made long values of more bytes than that; else how many.
pub fn making_at_most<T>(bytes: usize, work: impl FnOnce() -> Res<T>) -> Res<Option<(T, usize)>> {
    let before = ROOM.replace(Some(bytes));
    let result = work();
    match ROOM.replace(before) {
        Some(left) => Ok(Some((result?, bytes - left))),
        None => Ok(None),
    }
}

/// A value of so many bytes has been made.
#[inline]
pub fn made(bytes: usize) -> Res<()> {
    if bytes < LONG {
        return Ok(());
    }
    match ROOM.get() {
        None => Ok(()),
        Some(left) if left >= bytes => {
            ROOM.set(Some(left - bytes));
            Ok(())
        }
        Some(_) => {
            ROOM.set(None);
            Err(Need::Slice.into())
        }
    }
}

/// In the midst of long work.
pub fn check() -> Res<()> {
    #[cfg(test)]
    LOOKS.set(LOOKS.get() + 1);
    let cancelled =
        CANCEL.with_borrow(|flag| flag.as_ref().is_some_and(|f| f.load(Ordering::Relaxed)));
    match cancelled {
        false => Ok(()),
        true => fail("57014", "canceling statement due to user request"),
    }
}

/// The same, in a loop of many small steps: this one was so many bytes, or as much work.
#[inline]
pub fn step(bytes: usize) -> Res<()> {
    let steps = STEPS.get() + bytes;
    if steps < CHECK {
        STEPS.set(steps);
        return Ok(());
    }
    STEPS.set(0);
    check()
}

/// A text to be worked through, in pieces that take no longer than one may go on unasked.
pub fn pieces(text: &str) -> impl Iterator<Item = Res<&str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = rest.len().min(CHECK);
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        (!piece.is_empty()).then(|| step(piece.len()).map(|()| piece))
    })
}

/// Copy a text that may be long.
pub fn append(out: &mut String, text: &str) -> Res<()> {
    out.reserve(text.len());
    pieces(text).try_for_each(|piece| piece.map(|piece| out.push_str(piece)))
}

/// Copy bytes that may be many.
#[inline]
pub fn append_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Res<()> {
    if bytes.len() >= LONG {
        return append_long(out, bytes);
    }
    out.extend_from_slice(bytes);
    Ok(())
}

#[cold]
fn append_long(out: &mut Vec<u8>, bytes: &[u8]) -> Res<()> {
    out.reserve(bytes.len());
    for piece in bytes.chunks(CHECK) {
        step(piece.len())?;
        out.extend_from_slice(piece);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Stop;

    #[test]
    fn pieces_are_the_whole_text() {
        let text = format!("a{}", "é".repeat(2 * CHECK));
        let mut copy = String::new();
        append(&mut copy, &text).unwrap();
        assert!(copy == text && pieces(&text).count() == 4);
        let mut bytes = Vec::new();
        append_bytes(&mut bytes, &text.as_bytes()[..7]).unwrap();
        append_bytes(&mut bytes, &text.as_bytes()[7..]).unwrap();
        assert!(bytes == text.as_bytes());
        let _pace = enter(&Arc::new(AtomicBool::new(true)), false);
        assert!(append(&mut copy, &text).is_err());
        assert!(append_bytes(&mut bytes, text.as_bytes()).is_err());
        assert!((0..=CHECK).any(|_| step(1).is_err()));
    }

    #[test]
    fn who_makes_too_much_gives_up() {
        let make = |count: usize| move || (0..count).try_for_each(|_| made(LONG));
        assert!(make(100)().is_ok());
        assert!(matches!(
            making_at_most(10 * LONG, make(10)),
            Ok(Some(((), bytes))) if bytes == 10 * LONG
        ));
        assert!(matches!(making_at_most(10 * LONG, make(11)), Ok(None)));
        let inner = || making_at_most(2 * LONG, make(3));
        assert!(matches!(making_at_most(LONG, inner), Ok(Some((None, 0)))));
        assert!(make(100)().is_ok());
    }

    #[test]
    fn much_work_leaves_the_event_loop_and_a_cancel_is_seen_everywhere() {
        let flag = Arc::new(AtomicBool::new(false));
        assert!(heavy(usize::MAX).is_ok());
        {
            let _pace = enter(&flag, true);
            assert!(heavy(INLINE_BYTES / 2).is_ok());
            assert!(matches!(
                heavy(INLINE_BYTES / 2),
                Err(Stop::Need(Need::Slice))
            ));
        }
        let _pace = enter(&flag, false);
        assert!(heavy(usize::MAX).is_ok());
        flag.store(true, Ordering::Relaxed);
        assert!(matches!(heavy(LONG), Err(Stop::Error(e)) if e.code == *b"57014"));
        assert!(check().is_err());
    }
}
