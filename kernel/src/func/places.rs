//! Where things are in a text: characters by number, parts by what they are. A text of any length is gone through in blocks, between
//! which a cancel is seen.

use crate::base::{pace, Res};
use memchr::memmem::Finder;

/// Bytes whose characters are counted at once.
const COUNTED: usize = 1 << 16;
/// Bytes that are searched at once.
const SEARCHED: usize = 1 << 20;

/// The text in blocks that are counted at once.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = rest.len().min(COUNTED);
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (block, behind) = rest.split_at(end);
        rest = behind;
        (!block.is_empty()).then_some(block)
    })
}

fn count(block: &str) -> usize {
    match block.is_ascii() {
        true => block.len(),
        false => block.chars().count(),
    }
}

/// How many characters a text has.
pub fn chars(text: &str) -> Res<usize> {
    let mut all = 0;
    for block in blocks(text) {
        pace::step(block.len())?;
        all += count(block);
    }
    Ok(all)
}

/// Byte position of the character with this number; the end when there are fewer.
pub fn byte_at(text: &str, character: usize) -> Res<usize> {
    let (mut at, mut left) = (0, character);
    for block in blocks(text) {
        pace::step(block.len())?;
        // Counting is much faster than looking for the place.
        let count = count(block);
        if count > left {
            let behind = match count == block.len() {
                true => left,
                false => block
                    .char_indices()
                    .nth(left)
                    .map_or(block.len(), |(at, _)| at),
            };
            return Ok(at + behind);
        }
        left -= count;
        at += block.len();
    }
    Ok(text.len())
}

/// A part that is looked for.
pub struct Search<'a>(Finder<'a>);

impl<'a> Search<'a> {
    pub fn new(part: &'a [u8]) -> Search<'a> {
        Search(Finder::new(part))
    }

    /// Where it is found first, from a byte on.
    pub fn find(&self, bytes: &[u8], from: usize) -> Res<Option<usize>> {
        let part = self.0.needle().len();
        let step = SEARCHED.max(part);
        let mut at = from;
        while at <= bytes.len() {
            let end = bytes.len().min(at + step + part);
            let found = self.0.find(bytes.get(at..end).unwrap_or(&[]));
            if found.is_some() || end == bytes.len() {
                return Ok(found.map(|found| at + found));
            }
            pace::step(step)?;
            at += step;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::sync::Arc;

    #[test]
    fn characters_are_where_they_are() {
        let long = "é".repeat(COUNTED) + "x" + &"ab".repeat(COUNTED) + "ü";
        assert_eq!(chars(&long).unwrap(), long.chars().count());
        let all: Vec<usize> = long.char_indices().map(|(at, _)| at).collect();
        for number in [
            0,
            1,
            COUNTED / 2,
            COUNTED - 1,
            COUNTED,
            COUNTED + 1,
            3 * COUNTED,
        ] {
            assert_eq!(byte_at(&long, number).unwrap(), all[number]);
        }
        assert_eq!(byte_at(&long, all.len()).unwrap(), long.len());
        assert_eq!((chars("").unwrap(), byte_at("", 3).unwrap()), (0, 0));
    }

    #[test]
    fn a_part_is_found_across_the_pieces_that_are_searched() {
        for place in [0, SEARCHED - 3, SEARCHED - 1, SEARCHED, 2 * SEARCHED - 2] {
            let mut bytes = vec![b'a'; 3 * SEARCHED];
            bytes[place..place + 4].copy_from_slice(b"b  b");
            let search = Search::new(b"b  b");
            assert_eq!(search.find(&bytes, 0).unwrap(), Some(place));
            assert_eq!(search.find(&bytes, place).unwrap(), Some(place));
            assert_eq!(search.find(&bytes, place + 1).unwrap(), None);
            let long = Search::new(&bytes[place..]);
            assert_eq!(long.find(&bytes, 0).unwrap(), Some(place));
        }
        let empty = Search::new(b"");
        assert_eq!(empty.find(b"ab", 2).unwrap(), Some(2));
        assert_eq!(empty.find(b"ab", 3).unwrap(), None);
        assert_eq!(Search::new(b"abc").find(b"ab", 0).unwrap(), None);
    }

    #[test]
    fn a_cancel_is_seen() {
        let text = "a".repeat(4 << 20);
        let _pace = pace::enter(&Arc::new(AtomicBool::new(true)), false);
        assert!(chars(&text).is_err() && byte_at(&text, text.len()).is_err());
        assert!(Search::new(b"b").find(text.as_bytes(), 0).is_err());
    }
}
