//! Values and their types: text, binary and stored forms, order, keys.

pub mod abbreviations;
pub mod array;
pub mod arraytext;
pub mod arraytype;
pub mod boolean;
pub mod bytea;
pub mod calendar;
pub mod date;
pub mod dateparse;
pub mod datepieces;
pub mod dateput;
pub mod datetoken;
pub mod datum;
pub mod float;
pub mod hash;
pub mod inet;
pub mod int;
pub mod interval;
pub mod intervalparse;
pub mod json;
pub mod jsonb;
pub mod key;
pub mod name;
pub mod numeric;
pub mod oids;
pub mod record;
pub mod registry;
pub mod settings;
pub mod shared;
pub mod store;
#[cfg(test)]
mod tests;
pub mod text;
pub mod time;
pub mod timestamp;
pub mod uuid;
pub mod wire;
pub mod zone;

/// The types of each file.
const FAMILIES: &[&[TypeInfo]] = &[
    arraytype::TYPES,
    boolean::TYPES,
    bytea::TYPES,
    date::TYPES,
    float::TYPES,
    inet::TYPES,
    int::TYPES,
    interval::TYPES,
    json::TYPES,
    jsonb::TYPES,
    name::TYPES,
    numeric::TYPES,
    record::TYPES,
    text::TYPES,
    time::TYPES,
    timestamp::TYPES,
    uuid::TYPES,
];

pub use datum::{Datum, Interval, Record, TimeTz};
pub use numeric::Numeric;
pub use registry::{Repr, TypeInfo};
pub use settings::Settings;
pub use shared::{Blob, Text};

/// "No type modifier."
pub const NO_TYPMOD: i32 = -1;
