//! Reading the wire's binary forms: every read is checked, what is wrong is the client's error (08P01, 22P03).

use crate::base::error::{fail, Res};

/// 22P03: a value with bytes after its end.
pub const LEFT_OVER: &str = "incorrect binary data format";

pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    pub fn take(&mut self, len: usize) -> Res<&'a [u8]> {
        match self
            .at
            .checked_add(len)
            .and_then(|end| self.bytes.get(self.at..end))
        {
            Some(part) => {
                self.at += len;
                Ok(part)
            }
            None => fail("08P01", "insufficient data left in message"),
        }
    }

    pub fn array<const N: usize>(&mut self) -> Res<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub fn u8(&mut self) -> Res<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn i16(&mut self) -> Res<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Res<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Res<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Res<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Res<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Everything has been read, or 22P03.
    pub fn end(&self) -> Res<()> {
        if self.at == self.bytes.len() {
            return Ok(());
        }
        fail("22P03", LEFT_OVER)
    }
}

/// Exactly `N` bytes.
pub fn exact<const N: usize>(bytes: &[u8]) -> Res<[u8; N]> {
    let mut reader = Reader::new(bytes);
    let value = reader.array()?;
    reader.end()?;
    Ok(value)
}
