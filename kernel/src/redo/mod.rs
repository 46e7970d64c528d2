//! Redo: what a record is, how it stands in the stream, and the only code that changes a page.

pub mod apply;
mod body;
pub mod record;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod version;

pub use apply::apply;
pub use record::{Bits, Csns, IntoCells, Links, Record};
pub use stream::{Decoder, Entry, Raw};
