//! Functions and operators of inet and cidr.

use super::registry::{pure, Function};
use super::strings::text_out;
use crate::base::error::{fail, Res};
use crate::types::inet::Address;
use crate::types::Datum;

fn pair(args: &[Datum]) -> Res<(Address, Address)> {
    Ok((Address::of(&args[0])?, Address::of(&args[1])?))
}

fn set_masklen(args: &[Datum]) -> Res<Address> {
    let (address, bits) = (Address::of(&args[0])?, args[1].int()?);
    match u8::try_from(if bits == -1 {
        i64::from(address.bits_max())
    } else {
        bits
    }) {
        Ok(bits) if bits <= address.bits_max() => Ok(address.with_bits(bits)),
        _ => fail("22023", format!("invalid mask length: {bits}")),
    }
}

pub const FAMILIES: &[&[Function]] = &[&[
    pure("network_host", |_, args| {
        text_out(Address::of(&args[0])?.host())
    }),
    pure("network_show", |_, args| {
        text_out(Address::of(&args[0])?.show())
    }),
    pure("network_family", |_, args| {
        Ok(Datum::Int(if Address::of(&args[0])?.is_v4() {
            4
        } else {
            6
        }))
    }),
    pure("network_masklen", |_, args| {
        Ok(Datum::Int(Address::of(&args[0])?.bits().into()))
    }),
    pure("network_network", |_, args| {
        let address = Address::of(&args[0])?;
        Ok(address.masked(address.bits()).datum())
    }),
    pure("inet_to_cidr", |_, args| {
        let address = Address::of(&args[0])?;
        Ok(address.masked(address.bits()).datum())
    }),
    pure("network_broadcast", |_, args| {
        let address = Address::of(&args[0])?;
        Ok(address
            .change(address.bits(), |octet, mask| octet | !mask)
            .datum())
    }),
    pure("network_netmask", |_, args| {
        let address = Address::of(&args[0])?;
        let mask = address.change(address.bits(), |_, mask| mask);
        Ok(mask.with_bits(address.bits_max()).datum())
    }),
    pure("network_hostmask", |_, args| {
        let address = Address::of(&args[0])?;
        let mask = address.change(address.bits(), |_, mask| !mask);
        Ok(mask.with_bits(address.bits_max()).datum())
    }),
    pure("inet_set_masklen", |_, args| Ok(set_masklen(args)?.datum())),
    pure("cidr_set_masklen", |_, args| {
        let address = set_masklen(args)?;
        Ok(address.masked(address.bits()).datum())
    }),
    pure("inet_same_family", |_, args| {
        let (a, b) = pair(args)?;
        Ok(Datum::Bool(a.is_v4() == b.is_v4()))
    }),
    pure("network_sub", |_, args| {
        let (a, b) = pair(args)?;
        Ok(Datum::Bool(b.holds(&a) && a.bits() > b.bits()))
    }),
    pure("network_subeq", |_, args| {
        let (a, b) = pair(args)?;
        Ok(Datum::Bool(b.holds(&a)))
    }),
    pure("network_sup", |_, args| {
        let (a, b) = pair(args)?;
        Ok(Datum::Bool(a.holds(&b) && b.bits() > a.bits()))
    }),
    pure("network_supeq", |_, args| {
        let (a, b) = pair(args)?;
        Ok(Datum::Bool(a.holds(&b)))
    }),
    pure("network_overlap", |_, args| {
        let (a, b) = pair(args)?;
        Ok(Datum::Bool(a.holds(&b) || b.holds(&a)))
    }),
]];
