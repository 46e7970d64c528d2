//! Statements of very many literals, made short before anybody parses them: of `VALUES (1,'a'),(2,'b'),…` a few rows stay that show what
//! each column's cells look like, with parameters in place of literals; a list of literals (`IN (1,2,…)`, `ARRAY[1,2,…]`) becomes one
//! parameter. What was left out is read from the text when the plan runs (`exec::ops::literals`) or is bound.
//!
//! Two texts that fold to the same short text with the same parameter types mean the same but for the folded values.

use super::cells::{Cells, AS_WRITTEN};
use super::error::Res;
use super::lexer::{Kind, Lexer};
use super::pace;

/// Fewer rows, or elements, stay as they are.
const ROWS_MIN: usize = 16;
const LIST_MIN: usize = 64;
/// More kinds of cells in one column: the rows stay as they are.
const SHAPES_MAX: usize = 32;
/// Cells between two looks whether somebody has cancelled.
const CHECK: usize = 1 << 14;

#[derive(Default)]
pub struct Folded {
    pub text: String,
    /// (byte in `text`, byte in the statement): where pieces begin.
    pub pieces: Vec<(usize, usize)>,
    pub runs: Vec<Run>,
    /// How many parameters the client has.
    pub first: usize,
    /// Types of the parameters that were put in, numbered behind the client's; 0: to be inferred.
    pub types: Vec<u32>,
}

pub enum Run {
    Rows(Rows),
    List(List),
}

/// VALUES. Its first two parameters are its text, and how many characters of the statement stand before that.
pub struct Rows {
    pub from: usize,
    pub to: usize,
    pub rows: usize,
    pub columns: Vec<Vec<Shape>>,
    /// Index into `types` of the first of the two.
    pub param: usize,
}

/// What cells of a column look like.
pub struct Shape {
    pub key: Vec<u8>,
    /// Index into `types`; none: no literal is taken out.
    pub param: Option<usize>,
    /// Where the first such cell stands, and where it ends.
    from: usize,
    to: usize,
    kind: Option<Kind>,
}

pub struct List {
    pub from: usize,
    pub to: usize,
    pub param: usize,
    /// ARRAY[…], not IN (…).
    pub array: bool,
}

/// OIDs of what literals are, and of arrays of them.
fn type_of(kind: Kind) -> u32 {
    match kind {
        Kind::Int4 => 23,
        Kind::Int8 => 20,
        Kind::Numeric => 1700,
        Kind::String => 0,
    }
}

const TEXT: u32 = 25;
const INT8: u32 = 20;

/// `None`: there is nothing to fold. `given`: how many parameters the client has declared; more may be in the text.
pub fn fold(text: &str, given: usize) -> Res<Option<Folded>> {
    let mut folder = Folder {
        text,
        copied: 0,
        out: Folded {
            first: given.max(parameters(text)),
            ..Folded::default()
        },
    };
    let found = folder.run()?.is_some() && !folder.out.runs.is_empty();
    Ok(found.then_some(folder.out))
}

/// The highest parameter that is named (or seems to be: a dollar sign in a string counts too).
pub fn parameters(text: &str) -> usize {
    let bytes = text.as_bytes();
    let number = |at: usize| {
        let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit());
        digits
            .take(5)
            .fold(0, |n, b| n * 10 + usize::from(b - b'0'))
    };
    memchr::memchr_iter(b'$', bytes)
        .map(number)
        .max()
        .unwrap_or(0)
}

struct Folder<'a> {
    text: &'a str,
    /// What stands before this byte is in `out.text`.
    copied: usize,
    out: Folded,
}

impl<'a> Folder<'a> {
    /// `None` inside: the text does not lex.
    fn run(&mut self) -> Res<Option<()>> {
        let mut lexer = Lexer::new(self.text, 0);
        let mut key = Vec::new();
        // Where a NOT stands that comes just before.
        let mut not = None;
        let mut tokens = 0usize;
        loop {
            key.clear();
            lexer.literals.clear();
            tokens += 1;
            if tokens & (CHECK - 1) == 0 {
                pace::check()?;
            }
            let Some(token) = lexer.token(&mut key) else {
                return Ok(None);
            };
            let Some(start) = token else {
                self.copy(self.text.len());
                return Ok(Some(()));
            };
            let word = self.text.get(start..lexer.at).unwrap_or("");
            let before = not.take();
            let is = |name: &str| word.eq_ignore_ascii_case(name);
            let end = if is("values") {
                self.rows(lexer.at)?
            } else if is("in") {
                self.list(lexer.at, before.unwrap_or(start), before.is_some(), false)?
            } else if is("array") {
                self.list(lexer.at, start, false, true)?
            } else {
                if is("not") {
                    not = Some(start);
                }
                None
            };
            if let Some(end) = end {
                lexer.at = end;
            }
        }
    }

    /// Copy the statement up to this byte.
    fn copy(&mut self, to: usize) {
        let piece = self.text.get(self.copied..to).unwrap_or("");
        self.out.pieces.push((self.out.text.len(), self.copied));
        self.out.text.push_str(piece);
        self.copied = to;
    }

    /// Something that stands for what is at `at` in the statement.
    fn put(&mut self, new: &str, at: usize) {
        self.out.pieces.push((self.out.text.len(), at));
        self.out.text.push_str(new);
    }

    fn param(&mut self, typ: u32) -> usize {
        self.out.types.push(typ);
        self.out.types.len() - 1
    }

    fn name(&self, param: usize) -> String {
        format!("${}", self.out.first + param + 1)
    }

    /// VALUES has been read; where its rows end, if they were folded.
    fn rows(&mut self, at: usize) -> Res<Option<usize>> {
        let Some(Read {
            from,
            to,
            rows,
            mut columns,
            odd,
        }) = read_rows(self.text, at)?
        else {
            return Ok(None);
        };
        let literals = columns.iter().flatten().any(|shape| shape.kind.is_some());
        if !literals || (rows < ROWS_MIN && odd.is_none()) {
            return Ok(None);
        }
        let param = self.param(TEXT);
        self.param(INT8);
        for shape in columns.iter_mut().flatten() {
            if let Some(kind) = shape.kind {
                shape.param = Some(self.param(type_of(kind)));
            }
        }
        self.copy(from);
        // Always more than one: a single row is another kind of plan.
        let shown = columns.iter().map(Vec::len).max().unwrap_or(0).max(2);
        for row in 0..shown {
            self.out.text.push_str(if row == 0 { "(" } else { ", (" });
            for (place, shapes) in columns.iter().enumerate() {
                if place > 0 {
                    self.out.text.push_str(", ");
                }
                if let Some(shape) = shapes.get(row).or(shapes.first()) {
                    self.cell(shape);
                }
            }
            self.out.text.push(')');
        }
        if let Some((from, to)) = odd {
            // A row of another width. Whoever analyses this says so; what comes behind does not matter any more.
            self.out.text.push_str(", ");
            self.put(self.text.get(from..to).unwrap_or(""), from);
        }
        self.copied = match odd {
            None => to,
            Some(_) => self.text.len(),
        };
        self.out.runs.push(Run::Rows(Rows {
            from,
            to,
            rows,
            columns,
            param,
        }));
        Ok(Some(self.copied))
    }

    fn cell(&mut self, shape: &Shape) {
        match shape.param {
            Some(param) => {
                let cast = String::from_utf8_lossy(shape.key.get(2..).unwrap_or(&[])).into_owned();
                self.put(&(self.name(param) + &cast), shape.from);
            }
            None => self.put(
                self.text.get(shape.from..shape.to).unwrap_or(""),
                shape.from,
            ),
        }
    }

    /// IN or ARRAY has been read. `start`: where what is replaced begins.
    fn list(&mut self, at: usize, start: usize, not: bool, array: bool) -> Res<Option<usize>> {
        let Some((from, to, kind)) = read_list(self.text, at, array)? else {
            return Ok(None);
        };
        let cast = self
            .text
            .get(to..)
            .is_some_and(|rest| rest.trim_start().starts_with("::"));
        let typ = match kind {
            Kind::Int4 => 1007,
            Kind::Int8 => 1016,
            Kind::Numeric => 1231,
            // Of IN, and of what is cast, the other side decides.
            Kind::String if array && !cast => 1009,
            Kind::String => 0,
        };
        let param = self.param(typ);
        self.copy(start);
        let name = self.name(param);
        let operator = match (array, not) {
            (true, _) => "",
            (false, false) => "= ANY (",
            (false, true) => "<> ALL (",
        };
        self.put(operator, start);
        self.put(&name, from);
        self.put(if array { "" } else { ")" }, to - 1);
        self.copied = to;
        self.out.runs.push(Run::List(List {
            from,
            to: to - 1,
            param,
            array,
        }));
        Ok(Some(to))
    }
}

struct Read {
    from: usize,
    to: usize,
    rows: usize,
    columns: Vec<Vec<Shape>>,
    odd: Option<(usize, usize)>,
}

/// Rows in parentheses, from `at` on. `None`: none, or not such as can be folded.
fn read_rows(text: &str, at: usize) -> Res<Option<Read>> {
    let mut cells = Cells::new(text, at);
    if cells.peek() != Some(b'(') {
        return Ok(None);
    }
    let mut read = Read {
        from: cells.at(),
        to: 0,
        rows: 0,
        columns: Vec::new(),
        odd: None,
    };
    loop {
        let from = cells.at();
        let Some(width) = read_row(&mut cells, &mut read)? else {
            return Ok(None);
        };
        read.to = cells.at();
        if width != read.columns.len() {
            read.odd = Some((from, read.to));
            return Ok(Some(read));
        }
        read.rows += 1;
        if read.rows & (CHECK - 1) == 0 {
            pace::check()?;
        }
        let comma = cells.take(b',');
        let again = comma == Some(true) && cells.peek() == Some(b'(');
        match (comma, again) {
            (_, true) => {}
            (Some(false), _) => return Ok(Some(read)),
            _ => return Ok(None),
        }
    }
}

/// One row, with its shapes noted: its width.
fn read_row(cells: &mut Cells<'_>, read: &mut Read) -> Res<Option<usize>> {
    if cells.take(b'(') != Some(true) {
        return Ok(None);
    }
    let mut width = 0;
    loop {
        cells.peek();
        let from = cells.at();
        let Some(literal) = cells.cell() else {
            return Ok(None);
        };
        if read.rows == 0 {
            read.columns.push(Vec::new());
        }
        if let Some(shapes) = read.columns.get_mut(width) {
            if !shapes.iter().any(|shape| shape.key == cells.shape) {
                if shapes.len() == SHAPES_MAX || cells.shape == [AS_WRITTEN] {
                    return Ok(None);
                }
                shapes.push(Shape {
                    key: cells.shape.clone(),
                    param: None,
                    from: literal.as_ref().map_or(from, |literal| literal.at),
                    to: cells.at(),
                    kind: literal.map(|literal| literal.kind),
                });
            }
        }
        width += 1;
        match cells.take(b',') {
            Some(true) => {}
            _ if cells.take(b')') == Some(true) => return Ok(Some(width)),
            _ => return Ok(None),
        }
    }
}

/// A list of numbers or of strings, perhaps with nulls: where its first element begins, the byte behind its bracket, and their kind.
fn read_list(text: &str, at: usize, array: bool) -> Res<Option<(usize, usize, Kind)>> {
    let (open, close) = if array { (b'[', b']') } else { (b'(', b')') };
    let mut cells = Cells::new(text, at);
    if cells.take(open) != Some(true) {
        return Ok(None);
    }
    let from = cells.at();
    let mut kind: Option<Kind> = None;
    let mut count = 0usize;
    loop {
        let Some(literal) = cells.cell() else {
            return Ok(None);
        };
        kind = match literal {
            Some(literal) if cells.shape.len() == 2 => match (kind, literal.kind) {
                (None, new) => Some(new),
                (Some(Kind::String), Kind::String) => kind,
                (Some(Kind::String), _) | (Some(_), Kind::String) => return Ok(None),
                (Some(old), new) => Some(wider(old, new)),
            },
            None if is_null(&cells.shape) => kind,
            _ => return Ok(None),
        };
        count += 1;
        if count & (CHECK - 1) == 0 {
            pace::check()?;
        }
        match cells.take(b',') {
            Some(true) => {}
            _ if cells.take(close) == Some(true) => break,
            _ => return Ok(None),
        }
    }
    Ok(kind
        .filter(|_| count >= LIST_MIN)
        .map(|kind| (from, cells.at(), kind)))
}

pub fn is_null(shape: &[u8]) -> bool {
    matches!(shape, [AS_WRITTEN, name @ ..] if name.eq_ignore_ascii_case(b"null"))
}

fn wider(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        (Kind::Numeric, _) | (_, Kind::Numeric) => Kind::Numeric,
        (Kind::Int8, _) | (_, Kind::Int8) => Kind::Int8,
        _ => a,
    }
}

impl Folded {
    /// The byte of the statement that a byte of the short text stands for.
    pub fn origin(&self, at: usize) -> usize {
        let after = self.pieces.partition_point(|(new, _)| *new <= at);
        match after.checked_sub(1).and_then(|last| self.pieces.get(last)) {
            Some((new, old)) => old + (at - new),
            None => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Stop;
    use std::sync::atomic::AtomicBool;
    use std::sync::Arc;

    fn rows(cell: impl Fn(usize) -> String) -> String {
        let cells = (0..100).map(cell).collect::<Vec<_>>();
        format!("INSERT INTO t VALUES {} RETURNING a", cells.join(", "))
    }

    fn folded(text: &str) -> Folded {
        fold(text, 0).unwrap().expect("it folds")
    }

    #[test]
    fn a_row_for_each_kind_of_cell_is_left() {
        let short = folded(&rows(|n| {
            format!("({n}, -{n}.5, 'x{n}'::date, NULL, now())")
        }));
        assert_eq!(
            short.text,
            "INSERT INTO t VALUES ($3, $4, $5::date, NULL, now()), ($3, $4, $5::date, NULL, now()) RETURNING a"
        );
        assert_eq!(short.types, [25, 20, 23, 1700, 0]);
        let short = folded(&rows(|n| match n % 3 {
            0 => format!("({n}, true)"),
            1 => "( NULL, false)".to_owned(),
            _ => format!("(-{n}.0,true)"),
        }));
        assert_eq!(
            short.text,
            "INSERT INTO t VALUES ($3, true), (NULL, false), ($4, true) RETURNING a"
        );
    }

    #[test]
    fn the_smallest_integers_are_integers() {
        let types = |cell: &str| folded(&rows(|_| format!("({cell})"))).types[2];
        assert_eq!(types("-2147483648"), 23);
        assert_eq!(types("2147483648"), 20);
        assert_eq!(types("-9223372036854775808"), 20);
        assert_eq!(types("- 9223372036854775809"), 1700);
        assert_eq!(types("+1e3"), 1700);
    }

    #[test]
    fn lists_become_arrays() {
        let numbers = (0..100).map(|n| n.to_string()).collect::<Vec<_>>();
        let list = numbers.join(",");
        let short = folded(&format!(
            "SELECT ARRAY[{list}] FROM t WHERE a NOT IN ({list}, NULL) AND b IN ({list}, 5000000000)"
        ));
        assert_eq!(
            short.text,
            "SELECT $1 FROM t WHERE a <> ALL ($2) AND b = ANY ($3)"
        );
        assert_eq!(short.types, [1007, 1007, 1016]);
        // Numbers and strings have no common array; a few need none.
        assert!(fold(&format!("SELECT 1 IN ({list}, 'x')"), 0)
            .unwrap()
            .is_none());
        assert!(fold("SELECT 1 IN (1, 2)", 0).unwrap().is_none());
    }

    #[test]
    fn what_the_client_has_numbered_stays() {
        let short = folded(&rows(|n| format!("({n}, $2)")));
        assert_eq!(short.first, 2);
        assert!(short.text.starts_with("INSERT INTO t VALUES ($5, $2)"));
    }

    #[test]
    fn places_are_found_again() {
        let text = rows(|n| format!("({n}, 'ä{n}')"));
        let short = folded(&text);
        let place = |needle: &str| short.text.find(needle).unwrap();
        assert_eq!(short.origin(place("INSERT")), 0);
        assert_eq!(short.origin(place("$3")), text.find('0').unwrap());
        assert_eq!(short.origin(place("$4")), text.find("'ä0'").unwrap());
        assert_eq!(
            short.origin(place("RETURNING")),
            text.find("RETURNING").unwrap()
        );
    }

    #[test]
    fn what_does_not_lex_or_fold_is_left_alone() {
        for cell in [
            "(1, 2",
            "(1, 2) (3, 4)",
            "()",
            "(1,)",
            "1, 2",
            "(1; 2)",
            "(1, 2),",
        ] {
            let text = rows(|_| cell.to_owned());
            assert!(fold(&text, 0).unwrap().is_none(), "{cell}");
        }
        // Too many kinds of cells.
        assert!(fold(&rows(|n| format!("({n} + {n})")), 0)
            .unwrap()
            .is_none());
    }

    #[test]
    fn a_row_of_another_width_is_shown_and_ends_it() {
        let short = folded(&rows(|n| if n == 50 { "(1, 2)" } else { "(1)" }.to_owned()));
        assert_eq!(short.text, "INSERT INTO t VALUES ($3), ($3), (1, 2)");
    }

    #[test]
    fn a_cancel_is_seen() {
        let cells = (0..100_000).map(|n| format!("({n})")).collect::<Vec<_>>();
        let flag = Arc::new(AtomicBool::new(true));
        let _pace = pace::enter(&flag, false);
        let result = fold(&format!("VALUES {}", cells.join(",")), 0);
        assert!(matches!(result, Err(Stop::Error(error)) if error.code == *b"57014"));
    }
}
