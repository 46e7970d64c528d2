//! Values between SQL and Python, by the table in `_kernel.pyi`.

use super::common::plain;
use crate::base::error::{fail, Res};
use crate::base::Oid;
use crate::types::array::Array;
use crate::types::datum::{Interval, Record, TimeTz};
use crate::types::registry::{self, Repr, TypeInfo};
use crate::types::settings::Settings;
use crate::types::{oids, Datum};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyList, PyString, PyTuple};
use pyo3::IntoPyObjectExt;
use std::sync::Arc;

fn decimal(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static DECIMAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = DECIMAL.get_or_try_init(py, || {
        py.import("decimal")?.getattr("Decimal").map(Bound::unbind)
    })?;
    Ok(class.bind(py))
}

pub fn info(py: Python<'_>, typ: Oid) -> PyResult<&'static TypeInfo> {
    plain(py, registry::get(typ))
}

pub fn to_python<'py>(
    py: Python<'py>,
    info: &'static TypeInfo,
    value: &Datum,
) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Datum::Null => Ok(py.None().into_bound(py)),
        Datum::Bool(value) => value.into_bound_py_any(py),
        Datum::Int(value) => value.into_bound_py_any(py),
        Datum::Float(value) => value.into_bound_py_any(py),
        Datum::Text(text) => text.as_str().into_bound_py_any(py),
        Datum::Bytes(_) if info.ops.is_text_in_python() => {
            plain(py, info.text(value, &Settings::default()))?.into_bound_py_any(py)
        }
        Datum::Bytes(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Datum::Numeric(_) => {
            decimal(py)?.call1((plain(py, info.text(value, &Settings::default()))?,))
        }
        Datum::Interval(value) => (value.months, value.days, value.micros).into_bound_py_any(py),
        Datum::TimeTz(value) => (value.micros, value.zone).into_bound_py_any(py),
        Datum::Uuid(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Datum::Array(array) => {
            let elem = self::info(py, array.elem)?;
            let lengths: Vec<usize> = array
                .dims
                .iter()
                .map(|&(length, _)| length.max(0) as usize)
                .collect();
            nested(py, elem, &lengths, &array.values).map(Bound::into_any)
        }
        Datum::Record(record) => {
            let fields: Vec<Bound<'py, PyAny>> = record
                .types
                .iter()
                .zip(&record.values)
                .map(|(&typ, value)| to_python(py, self::info(py, typ)?, value))
                .collect::<PyResult<_>>()?;
            Ok(PyTuple::new(py, fields)?.into_any())
        }
    }
}

fn nested<'py>(
    py: Python<'py>,
    elem: &'static TypeInfo,
    lengths: &[usize],
    values: &[Datum],
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    match lengths {
        [] => {}
        [_] => {
            for value in values {
                list.append(to_python(py, elem, value)?)?;
            }
        }
        [first, rest @ ..] => {
            let size = values.len() / (*first).max(1);
            for part in values.chunks(size.max(1)) {
                list.append(nested(py, elem, rest, part)?)?;
            }
        }
    }
    Ok(list)
}

/// A Python value as one of type `info`. `str` is the type's input form, except where the type's values are `str`.
pub fn from_python(value: &Bound<'_, PyAny>, info: &'static TypeInfo) -> PyResult<Datum> {
    let py = value.py();
    if value.is_none() {
        return Ok(Datum::Null);
    }
    if let Ok(text) = value.cast::<PyString>() {
        let text = text.to_cow()?;
        return match info.repr {
            Repr::Text => Ok(Datum::text(text)),
            _ => plain(py, info.input(&text, -1, &Settings::default())),
        };
    }
    Ok(match info.repr {
        Repr::Bool => Datum::Bool(value.cast::<PyBool>()?.is_true()),
        Repr::Char | Repr::Int2 | Repr::Int4 | Repr::Oid | Repr::Int8 => {
            Datum::Int(integer(value, info)?)
        }
        Repr::Float4 => Datum::Float(f64::from(value.extract::<f64>()? as f32)),
        Repr::Float8 => Datum::Float(value.extract()?),
        Repr::Numeric => plain(
            py,
            info.input(value.str()?.to_cow()?.as_ref(), -1, &Settings::default()),
        )?,
        Repr::Bytes => Datum::Bytes(value.extract::<Vec<u8>>()?.into()),
        Repr::Interval => {
            let (months, days, micros) = value.extract()?;
            Datum::Interval(Interval {
                months,
                days,
                micros,
            })
        }
        Repr::TimeTz => {
            let (micros, zone) = value.extract()?;
            Datum::TimeTz(TimeTz { micros, zone })
        }
        Repr::Uuid => Datum::Uuid(value.extract()?),
        Repr::Array => {
            let vector = matches!(info.oid, oids::INT2VECTOR | oids::OIDVECTOR);
            let first = if vector { 0 } else { 1 };
            array(value, self::info(py, info.elem)?, first)?
        }
        Repr::Record => record(value)?,
        Repr::Text | Repr::Pseudo => {
            let got = value.get_type().name()?.to_string();
            return Err(PyTypeError::new_err(format!(
                "a value of type {} cannot be a {got}",
                info.name
            )));
        }
    })
}

fn integer(value: &Bound<'_, PyAny>, info: &TypeInfo) -> PyResult<i64> {
    let number: i64 = value.extract()?;
    let fits = match info.repr {
        Repr::Char => (0..=255).contains(&number),
        Repr::Int2 => i16::try_from(number).is_ok(),
        // Dates keep ±infinity at the ends of i32.
        Repr::Int4 => i32::try_from(number).is_ok(),
        Repr::Oid => u32::try_from(number).is_ok(),
        _ => true,
    };
    match fits {
        true => Ok(number),
        false => Err(PyValueError::new_err(format!(
            "{number} is out of range for type {}",
            info.name
        ))),
    }
}

/// A list whose subscripts begin at `first`.
fn array(value: &Bound<'_, PyAny>, elem: &'static TypeInfo, first: i32) -> PyResult<Datum> {
    let mut dims = Vec::new();
    let mut at = value.clone();
    while let Ok(list) = at.cast::<PyList>() {
        if list.is_empty() {
            break;
        }
        dims.push((i32::try_from(list.len())?, first));
        at = list.get_item(0)?;
    }
    if dims.is_empty() {
        return match value.len()? {
            0 => Ok(Datum::Array(Arc::new(Array::empty(elem.oid)))),
            _ => Err(PyTypeError::new_err("an array must be a list")),
        };
    }
    let mut values = Vec::new();
    gather(value, &dims, elem, &mut values)?;
    Ok(Datum::Array(Arc::new(Array {
        elem: elem.oid,
        dims,
        values,
    })))
}

fn gather(
    value: &Bound<'_, PyAny>,
    dims: &[(i32, i32)],
    elem: &'static TypeInfo,
    out: &mut Vec<Datum>,
) -> PyResult<()> {
    let Some(((length, _), rest)) = dims.split_first() else {
        out.push(from_python(value, elem)?);
        return Ok(());
    };
    let list = value.cast::<PyList>()?;
    if list.len() != *length as usize {
        return Err(PyValueError::new_err(
            "multidimensional arrays must have sub-arrays of one length",
        ));
    }
    list.iter()
        .try_for_each(|item| gather(&item, rest, elem, out))
}

/// A record's field types are guessed from its values.
fn record(value: &Bound<'_, PyAny>) -> PyResult<Datum> {
    let tuple = value.cast::<PyTuple>()?;
    let mut types = Vec::with_capacity(tuple.len());
    let mut values = Vec::with_capacity(tuple.len());
    for item in tuple.iter() {
        let typ = if item.is_instance_of::<PyBool>() {
            oids::BOOL
        } else if item.is_instance_of::<PyInt>() {
            oids::INT8
        } else if item.is_instance_of::<PyFloat>() {
            oids::FLOAT8
        } else {
            oids::TEXT
        };
        types.push(typ);
        values.push(from_python(&item, info(value.py(), typ)?)?);
    }
    Ok(Datum::Record(Arc::new(Record {
        types: Arc::from(types),
        values,
    })))
}

/// Values that come from Python without a declared type (host functions' answers).
pub fn guess(value: &Bound<'_, PyAny>) -> PyResult<Datum> {
    if value.is_none() {
        Ok(Datum::Null)
    } else if let Ok(value) = value.cast::<PyBool>() {
        Ok(Datum::Bool(value.is_true()))
    } else if value.is_instance_of::<PyInt>() {
        Ok(Datum::Int(value.extract()?))
    } else if value.is_instance_of::<PyFloat>() {
        Ok(Datum::Float(value.extract()?))
    } else if let Ok(text) = value.cast::<PyString>() {
        Ok(Datum::text(text.to_cow()?))
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        Ok(Datum::blob(bytes.as_bytes()))
    } else if let Ok(list) = value.cast::<PyList>() {
        guess_array(list)
    } else if value.is_instance_of::<PyTuple>() {
        record(value)
    } else {
        // Decimals.
        let text = value.str()?;
        plain(
            value.py(),
            info(value.py(), oids::NUMERIC)?.input(&text.to_cow()?, -1, &Settings::default()),
        )
    }
}

fn guess_array(list: &Bound<'_, PyList>) -> PyResult<Datum> {
    let first = list.iter().find(|item| !item.is_none());
    let elem = match first {
        Some(item) if item.is_instance_of::<PyBool>() => oids::BOOL,
        Some(item) if item.is_instance_of::<PyInt>() => oids::INT8,
        Some(item) if item.is_instance_of::<PyFloat>() => oids::FLOAT8,
        _ => oids::TEXT,
    };
    let values = list
        .iter()
        .map(|item| guess(&item))
        .collect::<PyResult<Vec<_>>>()?;
    Ok(Datum::Array(Arc::new(Array::from_values(elem, values))))
}

/// A value of no known type to Python, by how it is held.
pub fn by_kind<'py>(py: Python<'py>, value: &Datum) -> PyResult<Bound<'py, PyAny>> {
    let typ = match value {
        Datum::Numeric(_) => oids::NUMERIC,
        Datum::Bytes(_) => oids::BYTEA,
        _ => oids::TEXT,
    };
    to_python(py, info(py, typ)?, value)
}

/// What a Python call raised, as an SQL error: a KernelError's (or any error's with `code` and `message`) own, else XX000.
pub fn raised<T>(py: Python<'_>, error: &PyErr) -> Res<T> {
    let value = error.value(py);
    let text = |name: &str| {
        value
            .getattr(name)
            .ok()
            .and_then(|field| field.extract::<Option<String>>().ok())
            .flatten()
    };
    match (text("code"), text("message")) {
        (Some(code), Some(message)) if code.len() == 5 => {
            let mut sql = crate::base::SqlError::new(&code, message);
            sql.detail = text("detail");
            sql.hint = text("hint");
            sql.constraint = text("constraint");
            sql.table = text("table");
            sql.schema = text("schema");
            sql.column = text("column");
            sql.datatype = text("datatype");
            Err(sql.into())
        }
        _ => fail("XX000", format!("{error}")),
    }
}
