//! From a plan's expressions to code: once for each plan. Functions are looked up here, constants read, and immutable
//! functions of constants called, unless that is an error: errors belong to the run.

use super::arrays::{Equality, ValueSet};
use super::code::*;
use crate::base::error::{fail, unsupported};
use crate::base::{pace, Oid, Res};
use crate::exec::batch::Kind;
use crate::exec::plan::{Expr, SubscriptItem};
use crate::func::ctx::{Ctx, Memo, NoHost, Rng};
use crate::func::registry::Volatility;
use crate::func::{vector, CallInfo};
use crate::types::oids;
use crate::types::registry::{self, TypeInfo};
use crate::types::settings::Settings;
use crate::types::Datum;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What compiling one counts for as work.
const EXPRESSION: usize = 256;

/// What compiling must know of the plans that expressions refer to.
pub trait SubPlans {
    /// Executor parameters that the subplan reads and does not set itself, and whether it is volatile.
    fn facts(&mut self, subplan: usize) -> Res<(Vec<usize>, bool)>;
}

/// Compiles one program; collects what it refers to.
pub struct Compiler<'a> {
    pub subplans: &'a mut dyn SubPlans,
    pub settings: &'a Settings,
    sites: usize,
    volatile: bool,
    looks_at: BTreeSet<usize>,
    /// Executor parameters read.
    pub reads: BTreeSet<usize>,
}

impl<'a> Compiler<'a> {
    pub fn new(subplans: &'a mut dyn SubPlans, settings: &'a Settings) -> Compiler<'a> {
        Compiler {
            subplans,
            settings,
            sites: 0,
            volatile: false,
            looks_at: BTreeSet::new(),
            reads: BTreeSet::new(),
        }
    }

    pub fn program<'e>(
        mut self,
        exprs: impl IntoIterator<Item = &'e Expr>,
    ) -> Res<(Program, BTreeSet<usize>)> {
        let codes = exprs
            .into_iter()
            .map(|e| self.expr(e))
            .collect::<Res<Vec<_>>>()?;
        Ok((
            Program {
                codes,
                looks_at: self.looks_at,
                sites: self.sites,
                volatile: self.volatile,
            },
            self.reads,
        ))
    }

    fn site(&mut self) -> usize {
        self.sites += 1;
        self.sites - 1
    }

    fn list(&mut self, args: &[Expr]) -> Res<Vec<Code>> {
        args.iter().map(|a| self.expr(a)).collect()
    }

    fn boxed(&mut self, arg: &Expr) -> Res<Box<Code>> {
        Ok(Box::new(self.expr(arg)?))
    }

    fn expr(&mut self, expr: &Expr) -> Res<Code> {
        pace::step(EXPRESSION)?;
        Ok(match expr {
            Expr::Const { typ, text } => self.constant(*typ, text.as_deref())?,
            Expr::Col { i, .. } => {
                self.looks_at.insert(*i);
                Code::Col(*i)
            }
            Expr::Param { n, .. } => Code::Param(*n),
            Expr::Exec { n, .. } => {
                self.reads.insert(*n);
                Code::Exec(*n)
            }
            Expr::Func {
                func,
                args,
                arg_types,
                typ,
                ..
            } => self.func(func, args, arg_types, *typ)?,
            Expr::Sub { .. } => self.sub(expr)?,
            Expr::Host {
                func,
                args,
                arg_types,
                typ,
            } => {
                self.volatile = true;
                Code::Host(Box::new(HostCode {
                    name: func.clone(),
                    args: self.list(args)?,
                    arg_types: arg_types.clone(),
                    typ: *typ,
                    site: self.site(),
                }))
            }
            other => match self.logic(other)? {
                Some(code) => code,
                None => self.composite(other)?,
            },
        })
    }

    /// What has three values, or is lazy.
    fn logic(&mut self, expr: &Expr) -> Res<Option<Code>> {
        Ok(Some(match expr {
            Expr::And { args } => Code::And(self.list(args)?),
            Expr::Or { args } => Code::Or(self.list(args)?),
            Expr::Not { arg } => Code::Not(self.boxed(arg)?),
            Expr::IsNull { arg, not } => Code::IsNull {
                arg: self.boxed(arg)?,
                not: *not,
            },
            Expr::BoolTest { arg, test, not } => self.bool_test(arg, test, *not)?,
            Expr::Distinct {
                func,
                left,
                right,
                not,
                typ,
            } => Code::Distinct {
                call: Box::new(call(func, &[*typ, *typ], oids::BOOL)?),
                left: self.boxed(left)?,
                right: self.boxed(right)?,
                not: *not,
            },
            Expr::Case { whens, other, typ } => self.case(whens, other.as_deref(), *typ)?,
            Expr::Coalesce { args, typ } => Code::Coalesce {
                args: self.list(args)?,
                kind: Kind::of(*typ),
            },
            Expr::NullIf {
                func,
                left,
                right,
                typ,
            } => Code::NullIf {
                call: Box::new(call(func, &[*typ, *typ], oids::BOOL)?),
                left: self.boxed(left)?,
                right: self.boxed(right)?,
                kind: Kind::of(*typ),
            },
            Expr::Greatest { args, typ } => self.extreme(args, *typ, true)?,
            Expr::Least { args, typ } => self.extreme(args, *typ, false)?,
            Expr::AnyAll {
                func,
                left,
                array,
                elem,
                all,
            } => self.any_all(func, left, array, *elem, *all)?,
            _ => return Ok(None),
        }))
    }

    /// Arrays, rows and casts.
    fn composite(&mut self, expr: &Expr) -> Res<Code> {
        Ok(match expr {
            Expr::Array {
                args, elem, nested, ..
            } => Code::Array {
                args: self.list(args)?,
                elem: *elem,
                nested: *nested,
            },
            Expr::Subscript {
                arg, index, typ, ..
            } => Code::Subscript {
                arg: self.boxed(arg)?,
                index: index
                    .iter()
                    .map(|item| self.subscript(item))
                    .collect::<Res<_>>()?,
                kind: Kind::of(*typ),
            },
            Expr::Row { args, types } => Code::Row {
                args: self.list(args)?,
                types: Arc::from(types.as_slice()),
            },
            Expr::Field { arg, i, typ } => Code::Field {
                arg: self.boxed(arg)?,
                i: *i,
                kind: Kind::of(*typ),
            },
            Expr::RowCompare {
                op,
                left,
                right,
                types,
            } => Code::RowCompare {
                op: row_op(op)?,
                left: self.list(left)?,
                right: self.list(right)?,
                infos: types.iter().map(|&t| ordered(t)).collect::<Res<_>>()?,
            },
            Expr::CastIo {
                arg,
                from,
                to,
                typmod,
            } => Code::CastIo {
                arg: self.boxed(arg)?,
                from: registry::get(*from)?,
                to: registry::get(*to)?,
                typmod: *typmod,
            },
            Expr::CastArray {
                arg,
                cast,
                from_elem,
                to_elem,
            } => Code::CastArray {
                arg: self.boxed(arg)?,
                cast: self.boxed(cast)?,
                from: *from_elem,
                to: *to_elem,
            },
            Expr::Typmod {
                arg,
                typ,
                typmod,
                explicit,
            } => self.typmod(arg, *typ, *typmod, *explicit)?,
            _ => return unsupported("this kind of expression"),
        })
    }

    fn constant(&mut self, typ: Oid, text: Option<&str>) -> Res<Code> {
        match text {
            None => Ok(Code::Const(Datum::Null)),
            Some(text) => Ok(Code::Const(registry::get(typ)?.input(
                text,
                -1,
                self.settings,
            )?)),
        }
    }

    fn func(&mut self, func: &str, args: &[Expr], arg_types: &[Oid], typ: Oid) -> Res<Code> {
        let call = call(func, arg_types, typ)?;
        let args = self.list(args)?;
        let volatility = call.function.volatility;
        if volatility == Volatility::Immutable {
            if let Some(value) = self.fold(&call, &args) {
                return Ok(Code::Const(value));
            }
        }
        let site = (volatility == Volatility::Volatile).then(|| self.site());
        self.volatile |= site.is_some();
        Ok(Code::Func(Box::new(FuncCode {
            kernel: vector::lookup(call.function.name),
            kind: Kind::of(typ),
            call,
            args,
            site,
        })))
    }

    /// The value of an immutable function of constants; nothing when that is an error.
    fn fold(&self, call: &Call, args: &[Code]) -> Option<Datum> {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            match arg {
                Code::Const(value) => values.push(value.clone()),
                _ => return None,
            }
        }
        if call.function.strict && values.iter().any(Datum::is_null) {
            return Some(Datum::Null);
        }
        let mut rng = Rng::new(0);
        let mut memo = Memo::default();
        let mut ctx = Ctx {
            settings: self.settings,
            call: &call.info,
            clock: 0,
            rng: &mut rng,
            memo: &mut memo,
            host: &NoHost,
        };
        (call.function.eval)(&mut ctx, &values).ok()
    }

    fn bool_test(&mut self, arg: &Expr, test: &str, not: bool) -> Res<Code> {
        let want = match test {
            "true" => Some(true),
            "false" => Some(false),
            "unknown" => None,
            other => return fail("XX000", format!("unknown boolean test {other}")),
        };
        Ok(Code::BoolTest {
            arg: self.boxed(arg)?,
            want,
            not,
        })
    }

    fn case(&mut self, whens: &[(Expr, Expr)], other: Option<&Expr>, typ: Oid) -> Res<Code> {
        let whens = whens
            .iter()
            .map(|(w, t)| Ok((self.expr(w)?, self.expr(t)?)))
            .collect::<Res<Vec<_>>>()?;
        let other = other.map(|e| self.boxed(e)).transpose()?;
        Ok(Code::Case {
            whens,
            other,
            kind: Kind::of(typ),
        })
    }

    fn extreme(&mut self, args: &[Expr], typ: Oid, greatest: bool) -> Res<Code> {
        Ok(Code::Extreme {
            args: self.list(args)?,
            info: ordered(typ)?,
            greatest,
            kind: Kind::of(typ),
        })
    }

    fn any_all(
        &mut self,
        func: &str,
        left: &Expr,
        array: &Expr,
        elem: Oid,
        all: bool,
    ) -> Res<Code> {
        let left = self.expr(left)?;
        let array = self.expr(array)?;
        let call = call(func, &[elem, elem], oids::BOOL)?;
        let equality = match call.function.name.strip_suffix("ne") {
            Some(stem) if all => Equality::of(&format!("{stem}eq"), registry::get(elem)?),
            None if !all => Equality::of(call.function.name, registry::get(elem)?),
            _ => None,
        };
        let set = match (&array, equality) {
            (Code::Const(Datum::Array(values)), Some(equality)) => {
                ValueSet::of(&values.values, equality)?
            }
            _ => None,
        };
        Ok(Code::AnyAll(Box::new(AnyAllCode {
            call,
            left,
            array,
            all,
            equality,
            set,
        })))
    }

    fn subscript(&mut self, item: &SubscriptItem) -> Res<(bool, Option<Code>, Option<Code>)> {
        let low = item.low.as_ref().map(|e| self.expr(e)).transpose()?;
        let high = item.high.as_ref().map(|e| self.expr(e)).transpose()?;
        Ok((item.slice, low, high))
    }

    fn typmod(&mut self, arg: &Expr, typ: Oid, typmod: i32, explicit: bool) -> Res<Code> {
        let arg = self.boxed(arg)?;
        if typmod == -1 {
            return Ok(*arg);
        }
        let info = registry::get(typ)?;
        if let Code::Const(value) = &*arg {
            if let Ok(value) = info.coerce(value, typmod, explicit) {
                return Ok(Code::Const(value));
            }
        }
        Ok(Code::Typmod {
            arg,
            info,
            typmod,
            explicit,
        })
    }

    fn sub(&mut self, expr: &Expr) -> Res<Code> {
        let Expr::Sub {
            subplan,
            kind,
            params,
            test,
            result,
            typ,
            keys,
        } = expr
        else {
            return fail("XX000", "not a subplan");
        };
        let kind = match kind.as_str() {
            "scalar" => SubKind::Scalar,
            "exists" => SubKind::Exists,
            "array" => SubKind::Array,
            "any" => SubKind::Any,
            "all" => SubKind::All,
            other => return fail("XX000", format!("unknown kind of subplan {other}")),
        };
        let (free, volatile) = self.subplans.facts(*subplan)?;
        self.volatile |= volatile;
        let params = params
            .iter()
            .map(|(n, e)| Ok((*n, self.expr(e)?)))
            .collect::<Res<Vec<_>>>()?;
        self.reads.extend(
            free.into_iter()
                .filter(|n| !params.iter().any(|(p, _)| p == n)),
        );
        let test = match test {
            None => None,
            Some(test) => {
                let (program, reads) =
                    Compiler::new(&mut *self.subplans, self.settings).program([&**test])?;
                self.reads
                    .extend(reads.into_iter().filter(|n| !result.contains(n)));
                self.volatile |= program.volatile;
                self.looks_at.extend(&program.looks_at);
                Some(program)
            }
        };
        let hash = match keys.is_empty() {
            true => None,
            false => Some(self.hash_keys(keys)?),
        };
        let elem = if kind == SubKind::Array {
            registry::get(*typ)?.elem
        } else {
            Oid(0)
        };
        let site = self.site();
        let result = result.clone();
        Ok(Code::Sub(Box::new(SubCode {
            subplan: *subplan,
            kind,
            params,
            test,
            result,
            elem,
            out: Kind::of(*typ),
            site,
            hash,
        })))
    }

    fn hash_keys(&mut self, keys: &[(Expr, Expr, Oid)]) -> Res<HashCode> {
        let right = keys.iter().map(|(_, right, _)| right);
        let (right, reads) = Compiler::new(&mut *self.subplans, self.settings).program(right)?;
        self.reads.extend(reads);
        let left = keys.iter().map(|(left, ..)| self.expr(left));
        let left = left.collect::<Res<_>>()?;
        let infos = keys.iter().map(|(.., typ)| registry::get(*typ));
        Ok(HashCode {
            left,
            right,
            infos: infos.collect::<Res<_>>()?,
        })
    }
}

/// The function of that name for these types.
pub fn call(func: &str, arg_types: &[Oid], typ: Oid) -> Res<Call> {
    match find(func) {
        Some(function) => Ok(Call {
            function,
            info: CallInfo::new(arg_types, typ),
        }),
        None => unsupported(format_args!("function {func}")),
    }
}

#[cfg(not(test))]
use crate::func::lookup as find;

/// Tests of the executor bring a few functions along.
#[cfg(test)]
fn find(func: &str) -> Option<&'static crate::func::Function> {
    crate::exec::tests::lookup(func).or_else(|| crate::func::lookup(func))
}

/// A type with an order.
pub fn ordered(typ: Oid) -> Res<&'static TypeInfo> {
    let info = registry::get(typ)?;
    if info.orderable() {
        Ok(info)
    } else {
        fail(
            "42883",
            format!(
                "could not identify an ordering operator for type {}",
                info.display
            ),
        )
    }
}

fn row_op(op: &str) -> Res<RowOp> {
    Ok(match op {
        "=" => RowOp::Eq,
        "<>" => RowOp::Ne,
        "<" => RowOp::Lt,
        "<=" => RowOp::Le,
        ">" => RowOp::Gt,
        ">=" => RowOp::Ge,
        other => return fail("XX000", format!("unknown row comparison {other}")),
    })
}
