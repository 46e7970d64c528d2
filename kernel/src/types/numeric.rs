//! numeric: placeholder of the shape until the arithmetic lands.

use num_bigint::BigInt;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum Numeric {
    /// value / 10^scale.
    Small {
        value: i64,
        scale: u16,
    },
    Big(Arc<Big>),
    NaN,
    PosInf,
    NegInf,
}

#[derive(Clone, Debug)]
pub struct Big {
    pub value: BigInt,
    pub scale: u16,
}
