//! numeric: placeholder of the shape; the owner of `types/` decides the representation.

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Numeric;
