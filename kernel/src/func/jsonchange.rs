//! jsonb values changed: concatenation, deletion, jsonb_set and jsonb_insert, nulls stripped.

use super::jsons::{strings, view};
use super::jsontext;
use super::registry::{lax, pure, Function};
use crate::base::error::{fail, Res};
use crate::base::SqlError;
use crate::types::jsonb::{self, Json};
use crate::types::Datum;

fn concat(a: Json, b: Json) -> Json {
    match (a, b) {
        (Json::Object(mut a), Json::Object(b)) => {
            a.extend(b);
            Json::object(a)
        }
        (Json::Array(mut a), Json::Array(b)) => {
            a.extend(b);
            Json::Array(a)
        }
        (Json::Array(mut a), b) => {
            a.push(b);
            Json::Array(a)
        }
        (a, Json::Array(b)) => Json::Array(std::iter::once(a).chain(b).collect()),
        (a, b) => Json::Array(vec![a, b]),
    }
}

fn delete_keys(value: &Datum, keys: &[&str]) -> Res<Datum> {
    let refuse = || fail("22023", "cannot delete from scalar");
    match view(value)?.tree()? {
        Json::Object(fields) => Json::Object(
            fields
                .into_iter()
                .filter(|(key, _)| !keys.contains(&key.as_str()))
                .collect(),
        )
        .datum(),
        Json::Array(items) => {
            let gone =
                |item: &Json| matches!(item, Json::String(text) if keys.contains(&text.as_str()));
            Json::Array(items.into_iter().filter(|item| !gone(item)).collect()).datum()
        }
        _ => refuse(),
    }
}

fn delete_index(args: &[Datum]) -> Res<Datum> {
    let index = args[1].int()?;
    match view(&args[0])?.tree()? {
        Json::Object(_) => fail("22023", "cannot delete from object using integer index"),
        Json::Array(mut items) => {
            let at = if index < 0 {
                index + items.len() as i64
            } else {
                index
            };
            match usize::try_from(at) {
                Ok(at) if at < items.len() => {
                    items.remove(at);
                    Json::Array(items).datum()
                }
                _ => Ok(args[0].clone()),
            }
        }
        _ => fail("22023", "cannot delete from scalar"),
    }
}

/// What to do at the end of a path.
enum Change {
    Set { value: Json, create: bool },
    Delete,
    Insert { value: Json, after: bool },
}

fn index_of(step: &str, at: usize) -> Res<i64> {
    match step.trim_start().parse::<i32>() {
        Ok(index) => Ok(index.into()),
        Err(_) => fail(
            "22P02",
            format!(
                "path element at position {} is not an integer: \"{step}\"",
                at + 1
            ),
        ),
    }
}

fn change(target: Json, path: &[&str], depth: usize, change: Change) -> Res<Json> {
    let Some(step) = path.get(depth) else {
        return Ok(target);
    };
    let last = depth + 1 == path.len();
    match target {
        Json::Object(fields) => change_object(fields, path, depth, step, last, change),
        Json::Array(items) => change_array(items, path, depth, step, last, change),
        scalar => Ok(scalar),
    }
}

fn change_object(
    mut fields: Vec<(String, Json)>,
    path: &[&str],
    depth: usize,
    step: &str,
    last: bool,
    what: Change,
) -> Res<Json> {
    let place = fields.binary_search_by(|(key, _)| jsonb::key_order(key, step));
    match (place, what) {
        (Ok(at), what) if !last => {
            let inner = std::mem::replace(&mut fields[at].1, Json::Null);
            fields[at].1 = change(inner, path, depth + 1, what)?;
        }
        (Ok(at), Change::Set { value, .. }) => fields[at].1 = value,
        (Ok(at), Change::Delete) => {
            fields.remove(at);
        }
        (Ok(_), Change::Insert { .. }) => {
            let error = SqlError::new("22023", "cannot replace existing key");
            return Err(error
                .hint("Try using the function jsonb_set to replace key value.")
                .into());
        }
        (
            Err(at),
            Change::Set {
                value,
                create: true,
            }
            | Change::Insert { value, .. },
        ) if last => {
            fields.insert(at, (step.to_owned(), value));
        }
        (Err(_), _) => {}
    }
    Ok(Json::Object(fields))
}

fn change_array(
    mut items: Vec<Json>,
    path: &[&str],
    depth: usize,
    step: &str,
    last: bool,
    what: Change,
) -> Res<Json> {
    let index = index_of(step, depth)?;
    let len = items.len() as i64;
    let at = if index < 0 { index + len } else { index };
    let inside = (0..len).contains(&at);
    if !last {
        if inside {
            let at = at as usize;
            let inner = std::mem::replace(&mut items[at], Json::Null);
            items[at] = change(inner, path, depth + 1, what)?;
        }
        return Ok(Json::Array(items));
    }
    match what {
        Change::Delete if inside => {
            items.remove(at as usize);
        }
        Change::Set { value, .. } if inside => items[at as usize] = value,
        Change::Insert { value, after } if inside => {
            items.insert(at as usize + usize::from(after), value)
        }
        // beyond either end, new elements are added there
        Change::Set {
            value,
            create: true,
        }
        | Change::Insert { value, .. } => {
            items.insert(if at < 0 { 0 } else { items.len() }, value);
        }
        _ => {}
    }
    Ok(Json::Array(items))
}

fn path_of(value: &Datum) -> Res<Vec<&str>> {
    let array = value.array()?;
    if array.dims.len() > 1 {
        return fail("2202E", "wrong number of array subscripts");
    }
    for (at, step) in array.values.iter().enumerate() {
        if step.is_null() {
            return fail(
                "22004",
                format!("path element at position {} is null", at + 1),
            );
        }
    }
    strings(array)
}

fn not_scalar(tree: &Json, what: &str) -> Res<()> {
    if matches!(tree, Json::Object(_) | Json::Array(_)) {
        return Ok(());
    }
    fail("22023", format!("cannot {what} scalar"))
}

fn is_empty(tree: &Json) -> bool {
    matches!(tree, Json::Object(f) if f.is_empty())
        || matches!(tree, Json::Array(i) if i.is_empty())
}

fn set(args: &[Datum], value: Json) -> Res<Datum> {
    let tree = view(&args[0])?.tree()?;
    not_scalar(&tree, "set path in")?;
    let create = args.get(3).map_or(Ok(true), Datum::bool)?;
    if is_empty(&tree) && !create {
        return Ok(args[0].clone());
    }
    change(tree, &path_of(&args[1])?, 0, Change::Set { value, create })?.datum()
}

fn set_lax(args: &[Datum]) -> Res<Datum> {
    if args[0].is_null() || args[1].is_null() || args[3].is_null() {
        return Ok(Datum::Null);
    }
    if args[4].is_null() {
        return fail("22023", "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"");
    }
    if !args[2].is_null() {
        return set(args, view(&args[2])?.tree()?);
    }
    match args[4].str()? {
        "raise_exception" => {
            let error = SqlError::new("22004", "JSON value must not be null");
            let error = error.detail("Exception was raised because null_value_treatment is \"raise_exception\".");
            let hint = "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.";
            Err(error.hint(hint).into())
        }
        "use_json_null" => set(args, Json::Null),
        "delete_key" => delete_path(args),
        "return_target" => Ok(args[0].clone()),
        _ => fail("22023", "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\""),
    }
}

fn delete_path(args: &[Datum]) -> Res<Datum> {
    let tree = view(&args[0])?.tree()?;
    not_scalar(&tree, "delete path in")?;
    if is_empty(&tree) {
        return Ok(args[0].clone());
    }
    change(tree, &path_of(&args[1])?, 0, Change::Delete)?.datum()
}

fn insert(args: &[Datum]) -> Res<Datum> {
    let tree = view(&args[0])?.tree()?;
    not_scalar(&tree, "set path in")?;
    let value = view(&args[2])?.tree()?;
    change(
        tree,
        &path_of(&args[1])?,
        0,
        Change::Insert {
            value,
            after: args[3].bool()?,
        },
    )?
    .datum()
}

fn strip_nulls(tree: Json) -> Json {
    match tree {
        Json::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| *value != Json::Null);
            Json::Object(kept.map(|(key, value)| (key, strip_nulls(value))).collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(strip_nulls).collect()),
        other => other,
    }
}

pub const FAMILIES: &[&[Function]] = &[&[
    pure("jsonb_concat", |_, a| {
        concat(view(&a[0])?.tree()?, view(&a[1])?.tree()?).datum()
    }),
    pure("jsonb_delete", |_, a| delete_keys(&a[0], &[a[1].str()?])),
    pure("jsonb_delete_array", |_, a| {
        let keys = a[1]
            .array()?
            .values
            .iter()
            .filter(|k| !k.is_null())
            .map(Datum::str)
            .collect::<Res<Vec<_>>>()?;
        delete_keys(&a[0], &keys)
    }),
    pure("jsonb_delete_idx", |_, a| delete_index(a)),
    pure("jsonb_delete_path", |_, a| delete_path(a)),
    pure("jsonb_set", |_, a| set(a, view(&a[2])?.tree()?)),
    lax("jsonb_set_lax", |_, a| set_lax(a)),
    pure("jsonb_insert", |_, a| insert(a)),
    pure("jsonb_strip_nulls", |_, a| {
        strip_nulls(view(&a[0])?.tree()?).datum()
    }),
    pure("json_strip_nulls", |_, a| {
        let mut out = String::new();
        jsontext::whole(a[0].str()?).strip_nulls(&mut out)?;
        Ok(Datum::text(out))
    }),
]];
