//! md5() and sha224() to sha512().

use super::registry::{pure, Function};
use crate::base::{pace, Res};
use crate::types::Datum;
use md5::Md5;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// Bytes between two looks whether somebody has cancelled.
const CHECKED: usize = 1 << 20;

fn digest<D: Digest>(bytes: &[u8]) -> Res<Vec<u8>> {
    let mut digest = D::new();
    for piece in bytes.chunks(CHECKED) {
        pace::check()?;
        digest.update(piece);
    }
    Ok(digest.finalize().to_vec())
}

fn md5(bytes: &[u8]) -> Res<Datum> {
    super::encoding::hex(&digest::<Md5>(bytes)?)
}

fn sha<D: Digest>(bytes: &[u8]) -> Res<Datum> {
    Ok(Datum::blob(&digest::<D>(bytes)?))
}

pub const FAMILIES: &[&[Function]] = &[&[
    pure("md5_text", |_, a| md5(a[0].str()?.as_bytes())),
    pure("md5_bytea", |_, a| md5(a[0].bytes()?)),
    pure("sha224_bytea", |_, a| sha::<Sha224>(a[0].bytes()?)),
    pure("sha256_bytea", |_, a| sha::<Sha256>(a[0].bytes()?)),
    pure("sha384_bytea", |_, a| sha::<Sha384>(a[0].bytes()?)),
    pure("sha512_bytea", |_, a| sha::<Sha512>(a[0].bytes()?)),
]];

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::sync::Arc;

    #[test]
    fn a_digest_in_pieces_is_that_of_the_whole() {
        let bytes: Vec<u8> = (0..3 * CHECKED + 7).map(|i| i as u8).collect();
        assert_eq!(
            digest::<Sha256>(&bytes).unwrap(),
            Sha256::digest(&bytes).to_vec()
        );
        let _pace = pace::enter(&Arc::new(AtomicBool::new(true)), false);
        assert!(digest::<Md5>(&bytes).is_err());
    }
}
