//! Subplans inside expressions. A subplan runs once for each distinct neighbouring set of parameters, and once in all
//! when it depends on none; a volatile one that has parameters runs for each row.

use super::code::*;
use super::env::Env;
use super::eval::{count, eval as value_of, Cx, Sel, Value};
use crate::base::error::fail;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::kept::{Kept, Room};
use crate::types::array::Array;
use crate::types::Datum;
use std::sync::Arc;

pub fn eval<'a>(cx: &mut Cx<'_>, code: &SubCode, input: &'a Batch, sel: Sel<'_>) -> Res<Value<'a>> {
    let plans = cx.env.plans.clone();
    let free = plans.free_params(code.subplan);
    let volatile = plans.volatile(code.subplan);
    if let Some(hash) = &code.hash {
        // Otherwise the subplan runs for each row.
        if code.params.is_empty() && (free.is_empty() || !volatile) {
            return look(cx, code, hash, free, input, sel).map(Value::Own);
        }
    }
    let len = count(input, sel);
    let mut params = Vec::with_capacity(code.params.len());
    for (n, param) in &code.params {
        params.push((*n, value_of(cx, param, input, sel)?));
    }
    let once = free.is_empty() && code.test.is_none() && params.is_empty();
    let mut out = Vector::of_kind(code.out, len);
    for i in 0..len {
        if let Some(answer) = cx.sites[code.site].sub().journal.replay() {
            out.push(answer);
            continue;
        }
        for (n, value) in &params {
            cx.env.set_exec(*n, value.get(i));
        }
        let key = values_of(cx, free);
        let keep = !volatile || free.is_empty();
        let answer = answer(cx, code, key, keep, input, sel.map_or(i as u32, |s| s[i]))?;
        if once {
            return Ok(Value::One(answer));
        }
        cx.sites[code.site].sub().journal.record(answer.clone());
        out.push(answer);
    }
    Ok(Value::Own(out))
}

fn values_of(cx: &Cx<'_>, params: &[usize]) -> Vec<Datum> {
    let value = |&n: &usize| cx.env.exec.get(n).cloned().unwrap_or_default();
    params.iter().map(value).collect()
}

/// All rows together, by a hash of their keys.
fn look(
    cx: &mut Cx<'_>,
    code: &SubCode,
    hash: &HashCode,
    free: &[usize],
    input: &Batch,
    sel: Sel<'_>,
) -> Res<Vector> {
    let len = count(input, sel);
    let mut columns = Vec::with_capacity(hash.left.len());
    for key in &hash.left {
        columns.push(value_of(cx, key, input, sel)?.vector(len));
    }
    let params = values_of(cx, free);
    let site = cx.sites[code.site].sub();
    let mut out = Vector::of_kind(code.out, len);
    while let (true, Some(answer)) = (out.len() < len, site.journal.replay()) {
        out.push(answer);
    }
    if out.len() == len {
        return Ok(out);
    }
    let mut members = match site.members.take() {
        Some(mut members) => {
            // Not of one that a `Need` has stopped: values of some types are never the same.
            if !site.running && !site.is_for(&params) {
                members.restart();
            }
            members
        }
        None => cx.env.plans.members(code.subplan, &hash.infos),
    };
    (site.rows_for, site.running) = (Some(params), true);
    let found = members.look(cx.env, &hash.right, &Batch { columns, len });
    let site = cx.sites[code.site].sub();
    site.members = Some(members);
    let found = found?;
    site.running = false;
    for i in 0..len {
        site.journal.record(found.get(i));
    }
    Ok(found)
}

fn same_key(a: &[Datum], b: &[Datum]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// Held in the same way; values that are merely equal (1.0 and 1.00) may differ here.
pub fn same(a: &Datum, b: &Datum) -> bool {
    match (a, b) {
        (Datum::Null, Datum::Null) => true,
        (Datum::Bool(a), Datum::Bool(b)) => a == b,
        (Datum::Int(a), Datum::Int(b)) => a == b,
        (Datum::Float(a), Datum::Float(b)) => a.to_bits() == b.to_bits(),
        (Datum::Text(a), Datum::Text(b)) => a == b,
        (Datum::Bytes(a), Datum::Bytes(b)) => a == b,
        (Datum::Interval(a), Datum::Interval(b)) => a == b,
        (Datum::TimeTz(a), Datum::TimeTz(b)) => a == b,
        (Datum::Uuid(a), Datum::Uuid(b)) => a == b,
        _ => false,
    }
}

/// The subplan's answer for the parameters as they are set now.
fn answer(
    cx: &mut Cx<'_>,
    code: &SubCode,
    key: Vec<Datum>,
    keep: bool,
    input: &Batch,
    row: u32,
) -> Res<Datum> {
    let quantified = matches!(code.kind, SubKind::Any | SubKind::All);
    let site = cx.sites[code.site].sub();
    if !quantified {
        if let Some((of, answer)) = &site.memo {
            if same_key(of, &key) {
                return Ok(answer.clone());
            }
        }
    }
    let have = site.scan.is_some() || site.is_for(&key);
    if !(quantified && have) {
        run(cx, code)?;
    }
    if quantified {
        cx.sites[code.site].sub().rows_for = Some(key);
        let answer = compare(cx, code, input, row)?;
        if !keep {
            cx.sites[code.site].sub().rows_for = None;
        }
        return Ok(answer);
    }
    let site = cx.sites[code.site].sub();
    let rows = std::mem::take(&mut site.rows);
    let answer = match code.kind {
        SubKind::Exists => Datum::Bool(rows.len > 0),
        SubKind::Array => collect(code, &rows),
        _ if rows.len == 0 => Datum::Null,
        _ if rows.len == 1 => rows.get(0, 0),
        _ => {
            return fail(
                "21000",
                "more than one row returned by a subquery used as an expression",
            )
        }
    };
    if keep {
        site.memo = Some((key, answer.clone()));
    }
    Ok(answer)
}

fn collect(code: &SubCode, rows: &Batch) -> Datum {
    let values: Vec<Datum> = (0..rows.len).map(|i| rows.get(i, 0)).collect();
    let dims = if values.is_empty() {
        Vec::new()
    } else {
        vec![(values.len() as i32, 1)]
    };
    Datum::Array(Arc::new(Array {
        elem: code.elem,
        dims,
        values,
    }))
}

/// Run the subplan as far as its kind needs; its rows are in the site then. Goes on where a `Need` stopped it.
fn run(cx: &mut Cx<'_>, code: &SubCode) -> Res<()> {
    let mut operator = match cx.sites[code.site].sub().operator.take() {
        Some(operator) => operator,
        None => {
            let site = cx.sites[code.site].sub();
            site.running = true;
            (site.rows, site.kept) = (Batch::default(), Kept::default());
            cx.env.plans.clone().open(code.subplan)
        }
    };
    let result = pull(cx, code, &mut operator);
    let site = cx.sites[code.site].sub();
    site.operator = Some(operator);
    if result.is_ok() {
        site.running = false;
    }
    result
}

fn pull(cx: &mut Cx<'_>, code: &SubCode, operator: &mut Box<dyn super::env::Operator>) -> Res<()> {
    if !cx.sites[code.site].sub().running {
        operator.rescan(cx.env)?;
        let site = cx.sites[code.site].sub();
        site.running = true;
        (site.rows, site.kept) = (Batch::default(), Kept::default());
        site.rows_for = None;
    }
    if matches!(code.kind, SubKind::Any | SubKind::All) {
        return keep(cx, code, operator);
    }
    while let Some(batch) = operator.next(cx.env)? {
        let rows = &mut cx.sites[code.site].sub().rows;
        rows.append(&batch);
        let enough = match code.kind {
            SubKind::Exists => rows.len > 0,
            SubKind::Scalar => rows.len > 1,
            _ => false,
        };
        if enough {
            break;
        }
    }
    Ok(())
}

/// All rows of the subplan, to be compared with.
fn keep(cx: &mut Cx<'_>, code: &SubCode, operator: &mut Box<dyn super::env::Operator>) -> Res<()> {
    let room = Room::of(cx.env);
    loop {
        cx.sites[code.site].sub().kept.settle(&room)?;
        match operator.next(cx.env)? {
            Some(batch) => cx.sites[code.site].sub().kept.push(batch),
            None => return Ok(()),
        }
    }
}

/// `test` for each row of the subplan: ANY is an OR, ALL is an AND, with three values. Goes on where a `Need` stopped it.
fn compare(cx: &mut Cx<'_>, code: &SubCode, input: &Batch, row: u32) -> Res<Datum> {
    let Some(test) = &code.test else {
        return fail("XX000", "a quantified subplan has no test");
    };
    let site = cx.sites[code.site].sub();
    let kept = std::mem::take(&mut site.kept);
    let mut scan = site.scan.take().unwrap_or_default();
    let mut state = std::mem::take(&mut site.test);
    let result = scan.go_on(cx.env, code, test, &mut state, &kept, (input, row));
    let site = cx.sites[code.site].sub();
    (site.kept, site.test) = (kept, state);
    if result.is_err() {
        site.scan = Some(scan);
    }
    result
}

impl SubSite {
    /// Are its rows those for these parameters?
    fn is_for(&self, params: &[Datum]) -> bool {
        let same = |of: &Vec<Datum>| same_key(of, params);
        self.rows_for.as_ref().is_some_and(same)
    }
}

impl Scan {
    fn go_on(
        &mut self,
        env: &mut Env,
        code: &SubCode,
        test: &Program,
        state: &mut State,
        kept: &Kept,
        (input, row): (&Batch, u32),
    ) -> Res<Datum> {
        let all = code.kind == SubKind::All;
        while self.batch < kept.batches() {
            env.pulse()?;
            if self.read.is_none() && kept.in_memory(self.batch).is_none() {
                self.read = kept.get(self.batch)?;
            }
            let Some(rows) = kept.in_memory(self.batch).or(self.read.as_ref()) else {
                break;
            };
            while self.row < rows.len {
                for (k, n) in code.result.iter().enumerate() {
                    env.set_exec(*n, rows.get(self.row, k));
                }
                match test.row(env, state, input, row)?.first() {
                    Some(Datum::Bool(b)) if *b != all => return Ok(Datum::Bool(*b)),
                    Some(Datum::Bool(_)) => {}
                    _ => self.unknown = true,
                }
                self.row += 1;
            }
            env.charge(rows.len);
            *self = Scan {
                batch: self.batch + 1,
                unknown: self.unknown,
                ..Scan::default()
            };
        }
        Ok(match self.unknown {
            true => Datum::Null,
            false => Datum::Bool(all),
        })
    }
}
