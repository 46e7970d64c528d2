//! What must be known of a long text before anybody parses it: where it may be cut between statements, and how deep its tree gets.
//!
//! The grammar itself bounds how deep brackets and prefixes nest. What it does not bound are chains that lean to the left (`1 + 1 + …`,
//! `x::a::b…`, UNION, JOIN): each link is one level of the tree. Chains are counted here, and never too low.

use super::error::Res;
use super::lexer::Lexer;
use super::pace;

/// Tokens between two looks whether somebody has cancelled.
const CHECK: usize = 1 << 14;

/// Words that hang what follows below what stands before.
const LINKS: [&str; 14] = [
    "at",
    "between",
    "collate",
    "except",
    "ilike",
    "in",
    "intersect",
    "is",
    "join",
    "like",
    "operator",
    "overlaps",
    "similar",
    "union",
];

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// At least as many levels as the tree of any statement gets by chains.
    pub depth: usize,
    /// Characters at which pieces of whole statements end, semicolons included; the last piece is not named.
    pub cuts: Vec<usize>,
}

/// What is open: a bracket, or a CASE.
#[derive(PartialEq)]
enum Open {
    Bracket,
    Case,
}

#[derive(Default)]
struct Chains {
    /// Links of the expression and of the query (UNION, JOIN) at hand, outside of what is open.
    outer: Vec<(Open, usize, usize)>,
    expression: usize,
    query: usize,
    /// Links in `outer`.
    around: usize,
    depth: usize,
}

impl Chains {
    fn open(&mut self, what: Open) {
        self.around += self.expression + self.query;
        self.outer.push((what, self.expression, self.query));
        (self.expression, self.query) = (0, 0);
    }

    fn close(&mut self) {
        if let Some((_, expression, query)) = self.outer.pop() {
            (self.expression, self.query) = (expression, query);
            self.around -= expression + query;
        }
    }

    fn close_bracket(&mut self) {
        while matches!(self.outer.last(), Some((Open::Case, ..))) {
            self.close();
        }
        self.close();
    }

    fn link(&mut self, query: bool) {
        match query {
            true => self.query += 1,
            false => self.expression += 1,
        }
        self.depth = self.depth.max(self.around + self.expression + self.query);
    }

    fn word(&mut self, word: &str) {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if is("and") || is("or") || is("when") || is("then") || is("else") {
            self.expression = 0;
        } else if is("case") {
            self.open(Open::Case);
        } else if is("end") && matches!(self.outer.last(), Some((Open::Case, ..))) {
            self.close();
        } else if LINKS.iter().any(|name| is(name)) {
            self.link(is("union") || is("except") || is("intersect") || is("join"));
        }
    }
}

/// BEGIN ATOMIC … END: statements within a statement.
#[derive(Default)]
struct Atomic {
    begun: bool,
    nested: usize,
}

impl Atomic {
    fn word(&mut self, word: &str) {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if self.nested > 0 {
            self.nested += usize::from(is("case"));
            self.nested -= usize::from(is("end"));
        } else if self.begun && is("atomic") {
            self.nested = 1;
        }
        self.begun = is("begin");
    }
}

/// `piece`: bytes that a piece has at least.
pub fn outline(text: &str, piece: usize) -> Res<Outline> {
    let mut lexer = Lexer::new(text, 0);
    let (mut chains, mut atomic) = (Chains::default(), Atomic::default());
    let mut cuts = Vec::new();
    let (mut cut, mut characters) = (0, 0);
    let mut key = Vec::new();
    for token in 1usize.. {
        key.clear();
        lexer.literals.clear();
        if token & (CHECK - 1) == 0 {
            pace::check()?;
        }
        let before = lexer.at;
        let start = match lexer.token(&mut key) {
            Some(Some(start)) => start,
            Some(None) => break,
            // 'a' newline 'b', which is one literal; or a text that the parser refuses too.
            None if lexer.at > before => continue,
            None => {
                lexer.at += 1;
                continue;
            }
        };
        let Some(token) = text.get(start..lexer.at) else {
            continue;
        };
        match token.as_bytes() {
            b"(" | b"[" => chains.open(Open::Bracket),
            b")" | b"]" => chains.close_bracket(),
            b"," => chains.expression = 0,
            b";" if atomic.nested == 0 && !chains.outer.iter().any(|o| o.0 == Open::Bracket) => {
                chains = Chains {
                    depth: chains.depth,
                    ..Chains::default()
                };
                if lexer.at - cut >= piece {
                    let passed = text.get(cut..lexer.at).unwrap_or("");
                    characters += passed.chars().count();
                    cut = lexer.at;
                    cuts.push(characters);
                }
            }
            [first, ..] if first.is_ascii_alphabetic() => {
                atomic.word(token);
                chains.word(token);
            }
            [b':' | b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'~' | b'!' | b'@' | b'#'
            | b'%' | b'^' | b'&' | b'|' | b'`' | b'?', ..] => chains.link(false),
            _ => {}
        }
    }
    Ok(Outline {
        depth: chains.depth,
        cuts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(text: &str) -> usize {
        outline(text, 1).expect("nobody cancels").depth
    }

    fn pieces(text: &str, piece: usize) -> Vec<String> {
        let characters: Vec<char> = text.chars().collect();
        let mut cuts = outline(text, piece).expect("nobody cancels").cuts;
        cuts.push(characters.len());
        let mut from = 0;
        cuts.into_iter()
            .map(|to| {
                let part = characters[from..to].iter().collect();
                from = to;
                part
            })
            .collect()
    }

    #[test]
    fn links_of_a_chain_are_levels() {
        assert_eq!(depth("SELECT 1 + 1 + 1"), 2);
        assert_eq!(depth("SELECT (1 + 1) * (1 + 1 + 1)"), 3);
        assert_eq!(depth("SELECT 1 UNION SELECT 2 + 3 UNION SELECT 3"), 3);
        assert_eq!(depth("SELECT 1::int::text COLLATE \"C\""), 5);
        assert_eq!(
            depth("SELECT CASE a WHEN 1 + 1 THEN 2 END + CASE b WHEN 1 THEN 2 END + 1"),
            2
        );
        assert_eq!(depth("SELECT 'a'\n'b' + 1"), 1);
    }

    #[test]
    fn lists_are_not_deep() {
        assert!(depth(&"a = 1 OR ".repeat(1000)) < 3);
        assert!(depth(&"a + 1, ".repeat(1000)) < 3);
        assert!(depth(&"CASE WHEN a = 1 THEN 'x' ELSE a - 1 END, ".repeat(1000)) < 3);
        assert!(depth(&"SELECT 1 + 1; ".repeat(1000)) < 3);
        assert_eq!(
            depth("SELECT '+ + + +' /* + + */, \"+ + +\", $$ + + $$ -- + +"),
            0
        );
    }

    #[test]
    fn a_text_is_cut_between_statements() {
        assert_eq!(
            pieces("SELECT 'ä;'; SELECT 2", 1),
            ["SELECT 'ä;';", " SELECT 2"]
        );
        assert_eq!(pieces("a; b; c; d", 5), ["a; b;", " c; d"]);
        let rule = "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);";
        assert_eq!(pieces(rule, 1), [rule, ""]);
        let function = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 1; END;";
        assert_eq!(
            pieces(&format!("{function} BEGIN; END;"), 1),
            [function, " BEGIN;", " END;", ""]
        );
    }
}
