//! Text and bytes as values hold them: what is short stands inline or in an allocation of its own, what is long is shared. A clone
//! of a long one is a reference to the same bytes, and a `String` or `Vec` is taken over as it is: no function that a value of
//! hundreds of megabytes is given to costs a copy of it.

use crate::base::{pace, Res};
use compact_str::CompactString;
use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::Utf8Error;
use std::sync::Arc;

/// Bytes from which on a text is shared. Copying a shorter one costs about as much as counting its references does.
const LONG: usize = pace::LONG;

/// UTF-8.
#[derive(Clone)]
pub struct Text(Held);

#[derive(Clone)]
enum Held {
    Own(CompactString),
    Shared(Arc<String>),
}

impl Text {
    pub fn new(text: &str) -> Text {
        match text.len() < LONG {
            true => Text(Held::Own(CompactString::new(text))),
            false => Text(Held::Shared(Arc::new(text.to_owned()))),
        }
    }

    /// A copy, made in pieces between which a cancel is seen.
    pub fn copied(text: &str) -> Res<Text> {
        if text.len() < LONG {
            return Ok(Text::new(text));
        }
        let mut out = String::new();
        pace::append(&mut out, text)?;
        Ok(out.into())
    }

    /// Both, one behind the other.
    pub fn joined(a: &str, b: &str) -> Res<Text> {
        if a.len() + b.len() < LONG {
            let mut out = CompactString::with_capacity(a.len() + b.len());
            out.push_str(a);
            out.push_str(b);
            return Ok(Text(Held::Own(out)));
        }
        let mut out = String::with_capacity(a.len() + b.len());
        pace::append(&mut out, a)?;
        pace::append(&mut out, b)?;
        Ok(out.into())
    }

    pub fn from_utf8(bytes: &[u8]) -> Result<Text, Utf8Error> {
        match bytes.len() < LONG {
            true => CompactString::from_utf8(bytes).map(|text| Text(Held::Own(text))),
            false => std::str::from_utf8(bytes).map(Text::new),
        }
    }

    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Held::Own(text) => text.as_str(),
            Held::Shared(text) => text.as_str(),
        }
    }

    /// Copied only if others have it too.
    pub fn into_string(self) -> String {
        match self.0 {
            Held::Own(text) => text.into_string(),
            Held::Shared(text) => Arc::unwrap_or_clone(text),
        }
    }

    /// Bytes of memory beside the value itself.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Held::Own(text) if !text.is_heap_allocated() => 0,
            _ => self.len(),
        }
    }
}

impl Default for Text {
    fn default() -> Text {
        Text(Held::Own(CompactString::default()))
    }
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Text {
    #[inline]
    fn eq(&self, other: &Text) -> bool {
        match (&self.0, &other.0) {
            (Held::Shared(a), Held::Shared(b)) if Arc::ptr_eq(a, b) => true,
            _ => self.as_str() == other.as_str(),
        }
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        match text.len() < LONG {
            true => Text(Held::Own(text.into())),
            false => Text(Held::Shared(Arc::new(text))),
        }
    }
}

impl From<CompactString> for Text {
    fn from(text: CompactString) -> Text {
        match text.len() < LONG {
            true => Text(Held::Own(text)),
            false => Text(Held::Shared(Arc::new(text.into_string()))),
        }
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Text {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

/// Any bytes.
#[derive(Clone)]
pub struct Blob(Kept);

#[derive(Clone)]
enum Kept {
    Short(Arc<[u8]>),
    Long(Arc<Vec<u8>>),
}

impl Deref for Blob {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kept::Short(bytes) => bytes,
            Kept::Long(bytes) => bytes,
        }
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Blob) -> bool {
        match (&self.0, &other.0) {
            (Kept::Long(a), Kept::Long(b)) if Arc::ptr_eq(a, b) => true,
            _ => **self == **other,
        }
    }
}

impl Eq for Blob {}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Blob {
        match bytes.len() < LONG {
            true => Blob(Kept::Short(bytes.into())),
            false => Blob(Kept::Long(Arc::new(bytes.to_vec()))),
        }
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Blob {
        match bytes.len() < LONG {
            true => Blob(Kept::Short(bytes.into())),
            false => Blob(Kept::Long(Arc::new(bytes))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Datum;

    #[test]
    fn what_is_long_is_never_copied() {
        let long = "x".repeat(LONG);
        let at = long.as_ptr();
        let text = Datum::text(long);
        assert_eq!(text.clone().str().unwrap().as_ptr(), at);
        let bytes = vec![1; LONG];
        let at = bytes.as_ptr();
        let blob = Datum::Bytes(bytes.into());
        assert_eq!(blob.clone().bytes().unwrap().as_ptr(), at);
    }

    #[test]
    fn texts_and_bytes_of_any_length_are_what_they_were_made_of() {
        for len in [0, 1, 23, 24, 25, LONG - 1, LONG, LONG + 1, 3 << 20] {
            let text = "é".repeat(len / 2) + if len % 2 == 1 { "x" } else { "" };
            for made in [
                Text::new(&text),
                Text::from(text.clone()),
                Text::copied(&text).unwrap(),
                Text::joined(&text[..len / 4 * 2], &text[len / 4 * 2..]).unwrap(),
                Text::from_utf8(text.as_bytes()).unwrap(),
                Text::from(CompactString::new(&text)),
            ] {
                assert!(made.as_str() == text && made == made.clone());
                assert_eq!(made.heap_bytes(), if len < 25 { 0 } else { len });
            }
            let bytes = text.into_bytes();
            assert!(*Blob::from(&*bytes) == *bytes && *Blob::from(bytes.clone()) == *bytes);
        }
        assert!(Text::from_utf8(&[0xff]).is_err() && Text::from_utf8(&[0xff; LONG]).is_err());
    }

    #[test]
    fn a_value_is_three_words() {
        assert_eq!(std::mem::size_of::<Datum>(), 24);
    }
}
