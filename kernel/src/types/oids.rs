//! OIDs of PostgreSQL's built-in types, as pg_type has them: those that some code names. The others stand with their types.

use crate::base::Oid;

macro_rules! oids {
    ($($name:ident = $value:literal),* $(,)?) => {
        $(pub const $name: Oid = Oid($value);)*
    };
}

oids! {
    BOOL = 16, BYTEA = 17, NAME = 19, INT8 = 20, INT2 = 21, INT2VECTOR = 22, INT4 = 23, TEXT = 25, OID = 26, XID =
    28, CID = 29, OIDVECTOR = 30, JSON = 114, FLOAT4 = 700, FLOAT8 = 701, UNKNOWN = 705, BPCHAR = 1042, VARCHAR =
    1043, DATE = 1082, TIME = 1083, TIMESTAMP = 1114, TIMESTAMPTZ = 1184, INTERVAL = 1186, TIMETZ = 1266, NUMERIC
    = 1700, RECORD = 2249, ANY = 2276, VOID = 2278, JSONB = 3802,
}
