//! Evaluation over a batch, a column at a time. A selection names the rows that count; a result has one value for each
//! of them. Rows that a guard has excluded are never given to the guarded expression.

use super::code::*;
use super::env::Env;
use super::{logic, rows, sub};
use crate::base::{Need, Res, Stop};
use crate::exec::batch::{Batch, Kind, Vector};
use crate::types::Datum;
use std::borrow::Cow;

/// A column that may be one value for all rows, or borrowed.
pub enum Value<'a> {
    One(Datum),
    Ref(&'a Vector),
    Own(Vector),
}

/// What evaluation changes.
pub struct Cx<'e> {
    pub env: &'e mut Env,
    pub sites: &'e mut [Site],
}

pub type Sel<'s> = Option<&'s [u32]>;

/// How many rows a selection of a batch has.
pub fn count(input: &Batch, sel: Sel<'_>) -> usize {
    sel.map_or(input.len, <[u32]>::len)
}

impl Value<'_> {
    pub fn get(&self, i: usize) -> Datum {
        match self {
            Value::One(value) => value.clone(),
            Value::Ref(v) => v.get(i),
            Value::Own(v) => v.get(i),
        }
    }

    /// The same when row `i` is not asked for again, nor any if it is the `last`: a long text that is nobody else's is not copied.
    fn take(&mut self, i: usize, last: bool) -> Datum {
        match self {
            Value::One(value) if last => std::mem::take(value),
            Value::Own(Vector::Any(values)) => {
                values.get_mut(i).map(std::mem::take).unwrap_or_default()
            }
            other => other.get(i),
        }
    }

    pub fn is_null(&self, i: usize) -> bool {
        match self {
            Value::One(value) => value.is_null(),
            Value::Ref(v) => v.is_null(i),
            Value::Own(v) => v.is_null(i),
        }
    }

    pub fn truth(&self, i: usize) -> Option<bool> {
        match self {
            Value::One(Datum::Bool(b)) => Some(*b),
            Value::One(_) => None,
            Value::Ref(v) => v.truth(i),
            Value::Own(v) => v.truth(i),
        }
    }

    pub fn vector(self, len: usize) -> Vector {
        match self {
            Value::One(value @ (Datum::Text(_) | Datum::Bytes(_))) if len == 1 => {
                Vector::Any(vec![value])
            }
            Value::One(value) => Vector::repeat(&value, len),
            Value::Ref(v) => v.clone(),
            Value::Own(v) => v,
        }
    }
}

pub fn eval<'a>(cx: &mut Cx<'_>, code: &Code, input: &'a Batch, sel: Sel<'_>) -> Res<Value<'a>> {
    Ok(match code {
        Code::Const(value) => Value::One(value.clone()),
        Code::Col(i) => match (input.columns.get(*i), sel) {
            (Some(column), None) => Value::Ref(column),
            (Some(column), Some(rows)) => Value::Own(column.gather(rows)),
            (None, _) => {
                return crate::base::error::fail(
                    "XX000",
                    format!("plan reads column {i} of {}", input.width()),
                )
            }
        },
        Code::Param(n) => match cx.env.params.get(*n) {
            Some(value) => Value::One(value.clone()),
            None => {
                return crate::base::error::fail(
                    "42P02",
                    format!("there is no parameter ${}", n + 1),
                )
            }
        },
        Code::Exec(n) => Value::One(cx.env.exec.get(*n).cloned().unwrap_or_default()),
        Code::Func(f) => func(cx, f, input, sel)?,
        Code::And(args) => logic::junction(cx, args, input, sel, false)?,
        Code::Or(args) => logic::junction(cx, args, input, sel, true)?,
        Code::Not(arg) => logic::not(cx, arg, input, sel)?,
        Code::IsNull { arg, not } => logic::is_null(cx, arg, *not, input, sel)?,
        Code::BoolTest { arg, want, not } => logic::bool_test(cx, arg, *want, *not, input, sel)?,
        Code::Distinct {
            call,
            left,
            right,
            not,
        } => {
            let left = eval(cx, left, input, sel)?;
            let right = eval(cx, right, input, sel)?;
            logic::distinct(cx, call, &left, &right, *not, count(input, sel))?
        }
        Code::Case { whens, other, kind } => {
            logic::case(cx, whens, other.as_deref(), *kind, input, sel)?
        }
        Code::Coalesce { args, kind } => logic::coalesce(cx, args, *kind, input, sel)?,
        Code::NullIf {
            call,
            left,
            right,
            kind,
        } => {
            let left = eval(cx, left, input, sel)?;
            let right = eval(cx, right, input, sel)?;
            logic::null_if(cx, call, &left, &right, *kind, count(input, sel))?
        }
        Code::Extreme {
            args,
            info,
            greatest,
            kind,
        } => {
            let args = list(cx, args, input, sel)?;
            logic::extreme(&args, info, *greatest, *kind, count(input, sel))
        }
        Code::AnyAll(code) => logic::any_all(cx, code, input, sel)?,
        Code::Sub(code) => sub::eval(cx, code, input, sel)?,
        Code::Host(code) => host(cx, code, input, sel)?,
        _ => rows::evaluate(cx, code, input, sel)?,
    })
}

pub fn list<'a>(
    cx: &mut Cx<'_>,
    codes: &[Code],
    input: &'a Batch,
    sel: Sel<'_>,
) -> Res<Vec<Value<'a>>> {
    codes.iter().map(|c| eval(cx, c, input, sel)).collect()
}

fn func<'a>(cx: &mut Cx<'_>, code: &FuncCode, input: &'a Batch, sel: Sel<'_>) -> Res<Value<'a>> {
    let len = count(input, sel);
    let mut args = list(cx, &code.args, input, sel)?;
    if let Some(site) = code.site {
        return volatile(cx, code, site, &args, len);
    }
    if let [Value::One(_), ..] | [] = &args[..] {
        // One value for all rows when no argument varies; stable and immutable functions only.
        if args.iter().all(|a| matches!(a, Value::One(_))) && len > 0 {
            let row: Vec<Datum> = args.iter_mut().map(|a| a.take(0, true)).collect();
            return Ok(Value::One(cx.env.call(&code.call, &row)?));
        }
    }
    if let Some(kernel) = code.kernel {
        if let Some(result) = with_kernel(kernel, &args, len) {
            return Ok(Value::Own(result?));
        }
    }
    let mut out = Vector::of_kind(code.kind, len);
    let mut row = Vec::with_capacity(args.len());
    for i in 0..len {
        row.clear();
        row.extend(args.iter_mut().map(|a| a.take(i, i + 1 == len)));
        out.push(cx.env.call(&code.call, &row)?);
    }
    Ok(Value::Own(out))
}

/// `None` when an argument is not a typed vector.
fn with_kernel(
    kernel: crate::func::vector::Kernel,
    args: &[Value<'_>],
    len: usize,
) -> Option<Res<Vector>> {
    let typed = |a: &Value<'_>| match a {
        Value::One(value) => matches!(value, Datum::Int(_) | Datum::Float(_) | Datum::Bool(_)),
        Value::Ref(v) => v.kind() != Kind::Any,
        Value::Own(v) => v.kind() != Kind::Any,
    };
    if !args.iter().all(typed) {
        return None;
    }
    let repeated: Vec<Option<Vector>> = args
        .iter()
        .map(|a| match a {
            Value::One(value) => Some(Vector::repeat(value, len)),
            _ => None,
        })
        .collect();
    let columns: Vec<&Vector> = args
        .iter()
        .zip(&repeated)
        .filter_map(|(a, r)| match a {
            Value::One(_) => r.as_ref(),
            Value::Ref(v) => Some(*v),
            Value::Own(v) => Some(v),
        })
        .collect();
    Some(kernel(&columns, len))
}

/// Called once a row; answers are kept until the program is done.
fn volatile<'a>(
    cx: &mut Cx<'_>,
    code: &FuncCode,
    site: usize,
    args: &[Value<'_>],
    len: usize,
) -> Res<Value<'a>> {
    let mut out = Vector::of_kind(code.kind, len);
    for i in 0..len {
        let answer = match cx.sites[site].journal().replay() {
            Some(answer) => answer,
            None => {
                let row: Vec<Datum> = args.iter().map(|a| a.get(i)).collect();
                let answer = cx.env.call(&code.call, &row)?;
                cx.sites[site].journal().record(answer.clone());
                answer
            }
        };
        out.push(answer);
    }
    Ok(Value::Own(out))
}

fn host<'a>(cx: &mut Cx<'_>, code: &HostCode, input: &'a Batch, sel: Sel<'_>) -> Res<Value<'a>> {
    let len = count(input, sel);
    let args = list(cx, &code.args, input, sel)?;
    let mut out = Vector::of_type(code.typ, len);
    if let Some(first) = cx.sites[code.site].journal().replay() {
        if len > 0 {
            out.push(first);
        }
        for _ in 1..len {
            match cx.sites[code.site].journal().replay() {
                Some(answer) => out.push(answer),
                None => {
                    return crate::base::error::fail(
                        "XX000",
                        "a host function's answers are incomplete",
                    )
                }
            }
        }
        return Ok(Value::Own(out));
    }
    if len == 0 {
        return Ok(Value::Own(out));
    }
    let columns: Vec<Vector> = args.into_iter().map(|a| a.vector(len)).collect();
    let host = cx.env.setup.host.clone();
    let answers = host.call(&code.name, &columns, len)?;
    if answers.len() != len {
        return crate::base::error::fail(
            "XX000",
            format!(
                "host function {} answered {} of {len} rows",
                code.name,
                answers.len()
            ),
        );
    }
    let journal = cx.sites[code.site].journal();
    for i in 0..len {
        journal.record(answers.get(i));
        out.push(answers.get(i));
    }
    Ok(Value::Own(out))
}

/// Rows of `sel` (positions in the batch) for which the test holds.
pub fn select(cx: &mut Cx<'_>, code: &Code, input: &Batch, sel: Sel<'_>) -> Res<Option<Vec<u32>>> {
    if let Code::And(args) = code {
        let mut rows: Option<Vec<u32>> = sel.map(<[u32]>::to_vec);
        for arg in args {
            let Some(kept) = select(cx, arg, input, rows.as_deref())? else {
                continue;
            };
            if kept.is_empty() {
                return Ok(Some(kept));
            }
            rows = Some(kept);
        }
        return Ok(rows);
    }
    let value = eval(cx, code, input, sel)?;
    if let Value::One(one) = &value {
        return Ok(match one {
            Datum::Bool(true) => sel.map(<[u32]>::to_vec),
            _ => Some(Vec::new()),
        });
    }
    let len = count(input, sel);
    let row = |i: usize| sel.map_or(i as u32, |s| s[i]);
    let kept: Vec<u32> = match &value {
        Value::Own(Vector::Bool(v, n)) if n.is_empty() => {
            (0..len).filter(|&i| v[i]).map(row).collect()
        }
        value => (0..len)
            .filter(|&i| value.truth(i) == Some(true))
            .map(row)
            .collect(),
    };
    if sel.is_none() && kept.len() == len {
        return Ok(None);
    }
    Ok(Some(kept))
}

impl Program {
    fn pass<T>(
        &self,
        env: &mut Env,
        state: &mut State,
        f: impl FnOnce(&mut Cx<'_>) -> Res<T>,
    ) -> Res<T> {
        if self.sites == 0 {
            return f(&mut Cx {
                env,
                sites: &mut [],
            });
        }
        state.begin(self.sites);
        let result = f(&mut Cx {
            env,
            sites: &mut state.sites,
        });
        if !matches!(result, Err(Stop::Need(_))) {
            state.end();
        }
        result
    }

    /// Every expression over all rows of a batch.
    pub fn eval(&self, env: &mut Env, state: &mut State, input: &Batch) -> Res<Vec<Vector>> {
        self.pass(env, state, |cx| {
            self.codes
                .iter()
                .map(|c| Ok(eval(cx, c, input, None)?.vector(input.len)))
                .collect()
        })
    }

    /// The same; what is a column of the batch is lent.
    pub fn eval_lent<'b>(
        &self,
        env: &mut Env,
        state: &mut State,
        input: &'b Batch,
    ) -> Res<Vec<Cow<'b, Vector>>> {
        self.pass(env, state, |cx| {
            let column = |c| {
                Ok(match eval(cx, c, input, None)? {
                    Value::Ref(column) => Cow::Borrowed(column),
                    value => Cow::Owned(value.vector(input.len)),
                })
            };
            self.codes.iter().map(column).collect()
        })
    }

    /// The first expression over all rows.
    pub fn column(&self, env: &mut Env, state: &mut State, input: &Batch) -> Res<Vector> {
        self.pass(env, state, |cx| {
            Ok(eval(cx, &self.codes[0], input, None)?.vector(input.len))
        })
    }

    /// Rows for which the first expression is true; `None`: all of them.
    pub fn filter(&self, env: &mut Env, state: &mut State, input: &Batch) -> Res<Option<Vec<u32>>> {
        self.pass(env, state, |cx| select(cx, &self.codes[0], input, None))
    }

    /// Every expression over one row.
    pub fn row(
        &self,
        env: &mut Env,
        state: &mut State,
        input: &Batch,
        row: u32,
    ) -> Res<Vec<Datum>> {
        self.pass(env, state, |cx| {
            self.codes
                .iter()
                .map(|c| Ok(eval(cx, c, input, Some(&[row]))?.get(0)))
                .collect()
        })
    }

    /// Every expression without any input.
    pub fn values(&self, env: &mut Env, state: &mut State) -> Res<Vec<Datum>> {
        let unit = Batch::unit();
        self.pass(env, state, |cx| {
            self.codes
                .iter()
                .map(|c| Ok(eval(cx, c, &unit, None)?.get(0)))
                .collect()
        })
    }
}

impl Stop {
    pub fn is_need(&self) -> bool {
        matches!(self, Stop::Need(_))
    }

    pub fn need(&self) -> Option<&Need> {
        match self {
            Stop::Need(need) => Some(need),
            Stop::Error(_) => None,
        }
    }
}
