//! Values and their types: text, binary and stored forms, order, keys.

pub mod array;
pub mod arraytext;
pub mod arraytype;
pub mod boolean;
pub mod bytea;
pub mod datum;
pub mod float;
pub mod hash;
pub mod int;
pub mod key;
pub mod name;
pub mod numeric;
pub mod oids;
pub mod record;
pub mod registry;
pub mod settings;
pub mod store;
pub mod text;
pub mod uuid;
pub mod wire;
pub mod zone;

pub use datum::{Datum, Interval, Record, Text, TimeTz};
pub use numeric::Numeric;
pub use registry::{Repr, TypeInfo};
pub use settings::Settings;

/// "No type modifier."
pub const NO_TYPMOD: i32 = -1;
