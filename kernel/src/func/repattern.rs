//! Patterns of regular expressions: PostgreSQL's advanced syntax, translated for the regex crate.
//!
//! Differences that remain: no back-references and no look-around (0A000), and alternatives prefer the first that matches
//! where PostgreSQL takes the longest.

use super::rematch::Pattern;
use crate::base::error::{fail, unsupported, Res};
use regex_automata::util::syntax;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    pub global: bool,
    pub ignore_case: bool,
    /// `n`, `p`: a dot and brackets don't match line ends.
    line_stop: bool,
    /// `n`, `w`: ^ and $ match at lines.
    line_anchor: bool,
    expanded: bool,
    literal: bool,
}

impl Flags {
    pub fn parse(text: &str) -> Res<Flags> {
        let mut flags = Flags::default();
        for c in text.chars() {
            match c {
                'g' => flags.global = true,
                'i' => flags.ignore_case = true,
                'c' => flags.ignore_case = false,
                'm' | 'n' => (flags.line_stop, flags.line_anchor) = (true, true),
                'p' => (flags.line_stop, flags.line_anchor) = (true, false),
                's' => (flags.line_stop, flags.line_anchor) = (false, false),
                'w' => (flags.line_stop, flags.line_anchor) = (false, true),
                'x' => flags.expanded = true,
                't' => flags.expanded = false,
                'q' => flags.literal = true,
                'e' | 'b' => {}
                _ => {
                    return fail(
                        "22023",
                        format!("invalid regular expression option: \"{c}\""),
                    )
                }
            }
        }
        Ok(flags)
    }

    /// What distinguishes compiled patterns of one text.
    pub fn bits(&self) -> u8 {
        let bits = [
            self.ignore_case,
            self.line_stop,
            self.line_anchor,
            self.expanded,
            self.literal,
        ];
        bits.iter().fold(1, |sum, bit| sum << 1 | u8::from(*bit))
    }

    /// For functions whose flags may not say `g`.
    pub fn parse_single(text: &str, function: &str) -> Res<Flags> {
        let flags = Flags::parse(text)?;
        if flags.global {
            return fail(
                "22023",
                format!("{function} does not support the \"global\" option"),
            );
        }
        Ok(flags)
    }
}

fn invalid<T>(why: &str) -> Res<T> {
    fail("2201B", format!("invalid regular expression: {why}"))
}

/// As the library is to take it literally.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$#&-~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

struct Translator<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    out: String,
}

impl Translator<'_> {
    fn run(mut self) -> Res<String> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.bracket()?,
                '(' if self.rest.peek() == Some(&'?') => self.group()?,
                '{' if !self.rest.peek().is_some_and(char::is_ascii_digit) => {
                    self.out.push_str("\\{")
                }
                '}' | '#' | '~' | '&' | '-' => {
                    // these may mean something to the regex crate, or end a bound
                    if c != '}' && c != '-' {
                        self.out.push('\\');
                    }
                    self.out.push(c);
                }
                _ => self.out.push(c),
            }
        }
        Ok(self.out)
    }

    fn group(&mut self) -> Res<()> {
        self.rest.next();
        match self.rest.next() {
            Some(':') => self.out.push_str("(?:"),
            // ours: the part before an escape-double-quote is as short as can be
            Some('U') => self.out.push_str("(?U"),
            Some('#') => {
                for c in self.rest.by_ref() {
                    if c == ')' {
                        return Ok(());
                    }
                }
            }
            Some('=' | '!' | '<') => return unsupported("look-around in regular expressions"),
            _ => return invalid("quantifier operand invalid"),
        }
        Ok(())
    }

    fn escape(&mut self, in_bracket: bool) -> Res<()> {
        let Some(c) = self.rest.next() else {
            return invalid("invalid escape \\ sequence");
        };
        let plain = match c {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                self.out.push('\\');
                c.to_string()
            }
            'A' if !in_bracket => "\\A".into(),
            'Z' if !in_bracket => "\\z".into(),
            'y' if !in_bracket => "\\b".into(),
            'Y' if !in_bracket => "\\B".into(),
            'm' if !in_bracket => "\\b{start}".into(),
            'M' if !in_bracket => "\\b{end}".into(),
            'a' => "\\x07".into(),
            'b' => "\\x08".into(),
            'e' => "\\x1b".into(),
            'f' => "\\x0c".into(),
            'n' => "\\n".into(),
            'r' => "\\r".into(),
            't' => "\\t".into(),
            'v' => "\\x0b".into(),
            'B' => "\\\\".into(),
            '0' => return invalid("invalid escape \\ sequence"),
            '1'..='9' => return unsupported("back-references in regular expressions"),
            'u' | 'U' | 'x' => {
                let width = match c {
                    'u' => 4,
                    'U' => 8,
                    _ => 255,
                };
                let mut digits = String::new();
                while digits.len() < width && self.rest.peek().is_some_and(char::is_ascii_hexdigit)
                {
                    digits.extend(self.rest.next());
                }
                if digits.is_empty() || (width < 255 && digits.len() < width) {
                    return invalid("invalid escape \\ sequence");
                }
                format!("\\x{{{digits}}}")
            }
            c if c.is_ascii_alphanumeric() => return invalid("invalid escape \\ sequence"),
            c => escape(&c.to_string()),
        };
        self.out.push_str(&plain);
        Ok(())
    }

    fn bracket(&mut self) -> Res<()> {
        // word boundaries in brackets
        let ahead: String = self.rest.clone().take(6).collect();
        for (mark, boundary) in [("[:<:]]", "\\b{start}"), ("[:>:]]", "\\b{end}")] {
            if ahead == mark {
                self.out.push_str(boundary);
                self.rest.by_ref().take(6).for_each(drop);
                return Ok(());
            }
        }
        self.out.push('[');
        if self.rest.peek() == Some(&'^') {
            self.rest.next();
            self.out.push('^');
        }
        if self.rest.peek() == Some(&']') {
            self.rest.next();
            self.out.push_str("\\]");
        }
        loop {
            match self.rest.next() {
                None => return invalid("brackets [] not balanced"),
                Some(']') => {
                    self.out.push(']');
                    return Ok(());
                }
                Some('[') => match self.rest.peek() {
                    Some(&kind @ (':' | '.' | '=')) => self.class(kind)?,
                    _ => self.out.push_str("\\["),
                },
                Some('\\') => self.escape(true)?,
                Some(c @ ('&' | '~')) => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                Some(c) => self.out.push(c),
            }
        }
    }

    /// `[:alpha:]`, `[.x.]`, `[=x=]` inside brackets.
    fn class(&mut self, kind: char) -> Res<()> {
        self.rest.next();
        let mut name = String::new();
        loop {
            match self.rest.next() {
                None => return invalid("brackets [] not balanced"),
                Some(c) if c == kind && self.rest.peek() == Some(&']') => {
                    self.rest.next();
                    break;
                }
                Some(c) => name.push(c),
            }
        }
        if kind != ':' {
            if name.chars().count() != 1 {
                return invalid("invalid collating element");
            }
            self.out.push_str(&escape(&name));
            return Ok(());
        }
        let class = match name.as_str() {
            "alpha" => "\\p{Alphabetic}",
            "alnum" => "\\p{Alphabetic}\\p{Nd}",
            "digit" => "\\p{Nd}",
            "upper" => "\\p{Uppercase}",
            "lower" => "\\p{Lowercase}",
            "space" => "\\s",
            "word" => "\\w",
            "punct" => "[:punct:]",
            "blank" => " \\t",
            "cntrl" => "\\p{Cc}",
            "xdigit" => "0-9A-Fa-f",
            "graph" => "[:graph:]",
            "print" => "[:print:]",
            "ascii" => "\\x00-\\x7f",
            _ => return invalid("invalid character class"),
        };
        self.out.push_str(class);
        Ok(())
    }
}

/// Embedded options and the `***` directors at a pattern's beginning.
fn director(pattern: &str, flags: &mut Flags) -> Res<String> {
    let mut pattern = pattern;
    if let Some(rest) = pattern.strip_prefix("***=") {
        flags.literal = true;
        pattern = rest;
    } else if let Some(rest) = pattern.strip_prefix("***:") {
        pattern = rest;
    }
    if !flags.literal {
        if let Some((options, rest)) = pattern.strip_prefix("(?").and_then(|p| p.split_once(')')) {
            if !options.is_empty() && options.bytes().all(|b| b.is_ascii_lowercase()) {
                let more = Flags::parse(options)?;
                flags.ignore_case |= more.ignore_case;
                flags.line_stop |= more.line_stop;
                flags.line_anchor |= more.line_anchor;
                flags.expanded |= more.expanded;
                flags.literal |= more.literal;
                pattern = rest;
            }
        }
    }
    Ok(pattern.to_owned())
}

pub fn compile(pattern: &str, flags: Flags) -> Res<Pattern> {
    let mut flags = flags;
    let pattern = director(pattern, &mut flags)?;
    let source = if flags.literal {
        escape(&pattern)
    } else {
        Translator {
            rest: pattern.chars().peekable(),
            out: String::new(),
        }
        .run()?
    };
    let syntax = syntax::Config::new()
        .case_insensitive(flags.ignore_case)
        .dot_matches_new_line(!flags.line_stop)
        .multi_line(flags.line_anchor)
        .ignore_whitespace(flags.expanded);
    match Pattern::new(&source, syntax) {
        Ok(pattern) => Ok(pattern),
        Err(error) if error.size_limit().is_some() => fail(
            "2201B",
            "invalid regular expression: regular expression is too complex",
        ),
        Err(error) => {
            let why = error.syntax_error().map(ToString::to_string);
            invalid(reason(&why.unwrap_or_default(), &source))
        }
    }
}

fn reason(error: &str, source: &str) -> &'static str {
    if error.contains("repetition count range") {
        "invalid repetition count(s)"
    } else if error.contains("unclosed group") || error.contains("unopened group") {
        "parentheses () not balanced"
    } else if error.contains("unclosed character class") {
        "brackets [] not balanced"
    } else if error.contains("repetition operator") || error.contains("missing expression") {
        "quantifier operand invalid"
    } else if error.contains("counted repetition") || error.contains("repetition quantifier") {
        "invalid repetition count(s)"
    } else if error.contains("range") {
        "invalid character range"
    } else if source.is_empty() {
        "empty expression"
    } else {
        "invalid escape \\ sequence"
    }
}

pub fn insensitive() -> Flags {
    Flags {
        ignore_case: true,
        ..Flags::default()
    }
}
