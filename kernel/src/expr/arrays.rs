//! Arrays that many values are looked up in: `= ANY (array)` and `<> ALL (array)`, IN and NOT IN among them.

use super::env::{ELEMENT_BYTES, SET_MIN};
use crate::base::{pace, Res};
use crate::types::array::Array;
use crate::types::registry::TypeInfo;
use crate::types::shared::Text;
use crate::types::Datum;
use ahash::{AHashMap, AHashSet};
use smallvec::SmallVec;
use std::sync::Arc;

/// What decides whether two values are equal.
#[derive(Clone, Copy)]
pub enum Equality {
    /// That of what is held, also across types.
    Plain,
    /// That of the type which both are of.
    Of(&'static TypeInfo),
}

impl Equality {
    /// Of the function of an `=` operator over elements of this type; `None`: they are compared one by one.
    pub fn of(func: &str, element: &'static TypeInfo) -> Option<Equality> {
        match func {
            "int2eq" | "int4eq" | "int8eq" | "int24eq" | "int42eq" | "int28eq" | "int82eq"
            | "int48eq" | "int84eq" | "oideq" | "date_eq" | "timestamp_eq" | "time_eq"
            | "texteq" | "nameeq" | "uuid_eq" => Some(Equality::Plain),
            "float8eq" | "float4eq" | "bpchareq" | "booleq" | "chareq" => {
                Some(Equality::Of(element))
            }
            _ => (element.comparison("eq")? == func).then_some(Equality::Of(element)),
        }
    }
}

type ByHash = AHashMap<u64, SmallVec<[Datum; 1]>>;

#[derive(Default)]
pub struct ValueSet {
    ints: AHashSet<i64>,
    texts: AHashSet<Text>,
    uuids: AHashSet<[u8; 16]>,
    /// Of a type with an equality of its own: by hash.
    typed: Option<(&'static TypeInfo, ByHash)>,
    len: usize,
    has_null: bool,
}

impl ValueSet {
    /// `None`: there are values of other kinds.
    pub fn of(values: &[Datum], equality: Equality) -> Res<Option<ValueSet>> {
        let mut set = ValueSet::default();
        if let Equality::Of(info) = equality {
            set.typed = Some((info, AHashMap::new()));
        }
        for value in values {
            pace::step(ELEMENT_BYTES)?;
            if !set.add(value) {
                return Ok(None);
            }
        }
        Ok(Some(set))
    }

    fn add(&mut self, value: &Datum) -> bool {
        self.len += 1;
        match (&mut self.typed, value) {
            (_, Datum::Null) => self.has_null = true,
            (Some((info, values)), value) => {
                let same = values.entry(info.hash(value)).or_default();
                if !same.iter().any(|one| info.equal(one, value)) {
                    same.push(value.clone());
                }
            }
            (None, Datum::Int(i)) => {
                self.ints.insert(*i);
            }
            (None, Datum::Text(t)) => {
                self.texts.insert(t.clone());
            }
            (None, Datum::Uuid(u)) => {
                self.uuids.insert(*u);
            }
            _ => return false,
        }
        true
    }

    /// Is the value one of them?
    pub fn has(&self, value: &Datum) -> Option<bool> {
        let found = match (&self.typed, value) {
            _ if self.len == 0 => return Some(false),
            (_, Datum::Null) => return None,
            (Some((info, values)), value) => values
                .get(&info.hash(value))
                .is_some_and(|same| same.iter().any(|one| info.equal(one, value))),
            (None, Datum::Int(i)) => self.ints.contains(i),
            (None, Datum::Text(t)) => self.texts.contains(t),
            (None, Datum::Uuid(u)) => self.uuids.contains(u),
            _ => false,
        };
        (found || !self.has_null).then_some(found)
    }
}

/// So many arrays of an execution are known at once.
const KNOWN: usize = 8;

#[derive(Clone)]
enum Made {
    /// One value has been looked up in it.
    Once,
    /// None: they must be compared one by one.
    Set(Option<Arc<ValueSet>>),
}

/// Arrays of an execution that values have been looked up in (parameters, subplans' answers), and their elements as sets.
#[derive(Default, Clone)]
pub struct Arrays(AHashMap<usize, (Arc<Array>, Made)>);

impl Arrays {
    /// The elements as a set, where there are many and `rows` values, or those of another call too, are looked up.
    pub fn set(
        &mut self,
        array: &Arc<Array>,
        equality: Equality,
        rows: usize,
    ) -> Res<Option<Arc<ValueSet>>> {
        let size = array.values.len();
        if size < SET_MIN {
            return Ok(None);
        }
        let place = Arc::as_ptr(array) as usize;
        let known = match self.0.get(&place) {
            Some((_, Made::Set(set))) => return Ok(set.clone()),
            Some((_, Made::Once)) => true,
            None => false,
        };
        let made = match known || rows > 1 {
            true => {
                pace::heavy(size.saturating_mul(ELEMENT_BYTES))?;
                Made::Set(ValueSet::of(&array.values, equality)?.map(Arc::new))
            }
            false => Made::Once,
        };
        if self.0.len() >= KNOWN {
            self.0.clear();
        }
        let set = match &made {
            Made::Set(set) => set.clone(),
            Made::Once => None,
        };
        // It stands there as long as it is known.
        self.0.insert(place, (array.clone(), made));
        Ok(set)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Oid;
    use crate::types::oids;
    use crate::types::registry;
    use crate::types::settings::Settings;

    fn read(typ: Oid, texts: &[Option<&str>]) -> Vec<Datum> {
        let info = registry::get(typ).unwrap();
        let one = |text: &Option<&str>| {
            text.map_or(Datum::Null, |text| {
                info.input(text, -1, &Settings::default()).unwrap()
            })
        };
        texts.iter().map(one).collect()
    }

    #[test]
    fn equal_is_what_the_type_says() {
        for (typ, func, member, same, other) in [
            (oids::NUMERIC, "numeric_eq", "1.50", "1.5", "1.51"),
            (oids::FLOAT8, "float8eq", "-0", "0", "1"),
            (oids::FLOAT8, "float8eq", "NaN", "NaN", "Infinity"),
            (oids::BPCHAR, "bpchareq", "ab  ", "ab", "a b"),
            (oids::BYTEA, "byteaeq", "\\x01", "\\x01", "\\x0100"),
            (oids::INTERVAL, "interval_eq", "1 day", "24 hours", "1 hour"),
            (oids::JSONB, "jsonb_eq", "{\"a\":1.0}", "{\"a\": 1}", "{}"),
            (oids::TEXT, "texteq", "a", "a", "a "),
            (oids::INT4, "int84eq", "7", "7", "8"),
        ] {
            let equality = Equality::of(func, registry::get(typ).unwrap()).unwrap();
            let values = read(typ, &[Some(member), Some(same)]);
            let set = ValueSet::of(&values, equality).unwrap().unwrap();
            let found = |text| set.has(&read(typ, &[Some(text)])[0]);
            assert_eq!(
                (found(same), found(other)),
                (Some(true), Some(false)),
                "{func}"
            );
            assert_eq!(set.has(&Datum::Null), None);
            let values = read(typ, &[None, Some(member)]);
            let set = ValueSet::of(&values, equality).unwrap().unwrap();
            let found = |text| set.has(&read(typ, &[Some(text)])[0]);
            assert_eq!((found(same), found(other)), (Some(true), None), "{func}");
            let none = ValueSet::of(&[], equality).unwrap().unwrap();
            assert_eq!(none.has(&Datum::Null), Some(false));
        }
        assert!(Equality::of("int4lt", registry::get(oids::INT4).unwrap()).is_none());
    }
}
