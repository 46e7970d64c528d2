//! inet and cidr.
//!
//! A value is `[4 or 6][network][bits][address]`: the network is the address with all bits right of the mask cleared. Compared as
//! bytes that is PostgreSQL's order: family, network, length of the mask, address.

use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::{hash, Datum};
use crate::base::error::{corrupt, fail, Res, Stop};
use crate::base::Oid;
use crate::base::SqlError;
use core::net::{Ipv4Addr, Ipv6Addr};
use std::cmp::Ordering;

pub struct InetOps;
pub struct CidrOps;

pub const TYPES: &[TypeInfo] = &[
    TypeInfo::new(Oid(650), Oid(651), "cidr", Repr::Bytes, &CidrOps).comparisons("network_"),
    TypeInfo::new(Oid(869), Oid(1041), "inet", Repr::Bytes, &InetOps).comparisons("network_"),
];

/// An address with the length of its mask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Address {
    V4([u8; 4], u8),
    V6([u8; 16], u8),
}

impl Address {
    pub fn of(datum: &Datum) -> Res<Address> {
        let bytes = datum.bytes()?;
        let (rest, found) = match bytes.split_first() {
            Some((4, rest)) => (rest, v4(rest)),
            Some((6, rest)) => (rest, v6(rest)),
            _ => (bytes, None),
        };
        match found {
            Some(address) => Ok(address),
            None => corrupt(format!("an inet value of {} bytes", rest.len())),
        }
    }

    pub fn datum(self) -> Datum {
        let network = self.masked(self.bits());
        let mut out = vec![if self.is_v4() { 4 } else { 6 }];
        out.extend_from_slice(network.octets());
        out.push(self.bits());
        out.extend_from_slice(self.octets());
        Datum::Bytes(out.into())
    }

    pub fn is_v4(&self) -> bool {
        matches!(self, Address::V4(..))
    }

    pub fn bits(&self) -> u8 {
        match self {
            Address::V4(_, bits) | Address::V6(_, bits) => *bits,
        }
    }

    pub fn bits_max(&self) -> u8 {
        if self.is_v4() {
            32
        } else {
            128
        }
    }

    pub fn octets(&self) -> &[u8] {
        match self {
            Address::V4(octets, _) => octets,
            Address::V6(octets, _) => octets,
        }
    }

    pub fn with_bits(self, bits: u8) -> Address {
        match self {
            Address::V4(octets, _) => Address::V4(octets, bits),
            Address::V6(octets, _) => Address::V6(octets, bits),
        }
    }

    /// Each octet with the mask's octet beside it.
    pub fn change(self, bits: u8, with: impl Fn(u8, u8) -> u8) -> Address {
        let mask = |at: usize| {
            let left = usize::from(bits).saturating_sub(at * 8).min(8);
            !(0xffu16 >> left) as u8
        };
        let mut changed = self;
        let octets: &mut [u8] = match &mut changed {
            Address::V4(octets, _) => octets,
            Address::V6(octets, _) => octets,
        };
        for (at, octet) in octets.iter_mut().enumerate() {
            *octet = with(*octet, mask(at));
        }
        changed
    }

    pub fn masked(self, bits: u8) -> Address {
        self.change(bits, |octet, mask| octet & mask)
    }

    pub fn host(&self) -> String {
        match self {
            Address::V4(octets, _) => Ipv4Addr::from(*octets).to_string(),
            Address::V6(octets, _) => Ipv6Addr::from(*octets).to_string(),
        }
    }

    fn text(&self, always: bool) -> String {
        match always || self.bits() != self.bits_max() {
            true => format!("{}/{}", self.host(), self.bits()),
            false => self.host(),
        }
    }

    pub fn show(&self) -> String {
        self.text(true)
    }

    /// Is `other`'s network this one's, or a part of it?
    pub fn holds(&self, other: &Address) -> bool {
        self.is_v4() == other.is_v4()
            && self.bits() <= other.bits()
            && self.masked(self.bits()).octets() == other.masked(self.bits()).octets()
    }
}

fn v4(bytes: &[u8]) -> Option<Address> {
    let octets: [u8; 4] = bytes.get(5..)?.try_into().ok()?;
    Some(Address::V4(octets, *bytes.get(4)?))
}

fn v6(bytes: &[u8]) -> Option<Address> {
    let octets: [u8; 16] = bytes.get(17..)?.try_into().ok()?;
    Some(Address::V6(octets, *bytes.get(16)?))
}

fn number(text: &str) -> Option<u8> {
    let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Fewer than four octets are a network's, whose mask must be there; cidr's may be left to the old classes.
fn parse_v4(address: &str, bits: Option<u8>, cidr: bool) -> Option<Address> {
    let mut octets = [0u8; 4];
    let mut count = 0u8;
    for part in address.split('.') {
        *octets.get_mut(usize::from(count))? = number(part)?;
        count += 1;
    }
    let class = match octets[0] {
        240.. => 32,
        224.. => 8,
        192.. => 24,
        128.. => 16,
        _ => 8,
    };
    let bits = match bits {
        Some(bits) => bits,
        None if count == 4 && !cidr => 32,
        None if cidr => class.max(count * 8),
        None => return None,
    };
    let fits = bits <= 32 && (cidr || bits / 8 <= count);
    fits.then_some(Address::V4(octets, bits))
}

fn parse(text: &str, cidr: bool) -> Option<Address> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(number(bits)?)),
        None => (text, None),
    };
    if !address.contains(':') {
        return parse_v4(address, bits, cidr);
    }
    let octets = address.parse::<Ipv6Addr>().ok()?.octets();
    let bits = bits.unwrap_or(128);
    (bits <= 128).then_some(Address::V6(octets, bits))
}

fn read(name: &str, text: &str, cidr: bool) -> Res<Datum> {
    let Some(address) = parse(text, cidr) else {
        return super::text::syntax(name, text);
    };
    if cidr && address.masked(address.bits()) != address {
        let error = SqlError::new("22P02", format!("invalid cidr value: \"{text}\""));
        return Err(Stop::Error(
            error.detail("Value has bits set to right of mask."),
        ));
    }
    Ok(address.datum())
}

/// [family 2 or 3][bits][is it cidr][octets][address]
fn receive(name: &str, bytes: &[u8], cidr: bool) -> Res<Datum> {
    let invalid = |what: &str| fail("22P03", format!("{what} in external \"{name}\" value"));
    let (Some((head, address)), Some(&bits)) = (bytes.split_first_chunk::<4>(), bytes.get(1))
    else {
        return invalid("invalid length");
    };
    let found = match (head[0], address.len()) {
        (2, 4) => address
            .try_into()
            .ok()
            .map(|octets| Address::V4(octets, bits)),
        (3, 16) => address
            .try_into()
            .ok()
            .map(|octets| Address::V6(octets, bits)),
        (2 | 3, _) => return invalid("invalid length"),
        _ => return invalid("invalid address family"),
    };
    match found {
        Some(address) if address.bits() > address.bits_max() => invalid("invalid bits"),
        Some(address) if cidr && address.masked(bits) != address => invalid("invalid bits"),
        Some(address) => Ok(address.datum()),
        None => invalid("invalid length"),
    }
}

fn put(value: &Datum, cidr: bool, out: &mut Vec<u8>) -> Res<()> {
    let address = Address::of(value)?;
    let octets = address.octets();
    let family = if address.is_v4() { 2 } else { 3 };
    out.extend_from_slice(&[family, address.bits(), u8::from(cidr), octets.len() as u8]);
    out.extend_from_slice(octets);
    Ok(())
}

macro_rules! ops {
    ($ops:ident, $name:literal, $cidr:literal) => {
        impl TypeOps for $ops {
            fn input(&self, _: &TypeInfo, text: &str, _: i32, _: &Settings) -> Res<Datum> {
                read($name, text, $cidr)
            }

            fn output(
                &self,
                _: &TypeInfo,
                value: &Datum,
                _: &Settings,
                out: &mut Vec<u8>,
            ) -> Res<()> {
                out.extend_from_slice(Address::of(value)?.text($cidr).as_bytes());
                Ok(())
            }

            fn recv(&self, _: &TypeInfo, bytes: &[u8], _: i32, _: &Settings) -> Res<Datum> {
                receive($name, bytes, $cidr)
            }

            fn send(
                &self,
                _: &TypeInfo,
                value: &Datum,
                _: &Settings,
                out: &mut Vec<u8>,
            ) -> Res<()> {
                put(value, $cidr, out)
            }

            fn compare(&self, _: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
                a.bytes()
                    .unwrap_or_default()
                    .cmp(b.bytes().unwrap_or_default())
            }

            fn hash(&self, _: &TypeInfo, value: &Datum) -> u64 {
                hash::bytes(value.bytes().unwrap_or_default())
            }
        }
    };
}

ops!(InetOps, "inet", false);
ops!(CidrOps, "cidr", true);
