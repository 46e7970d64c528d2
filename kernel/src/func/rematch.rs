//! Searching with a compiled pattern, so that it can be cancelled soon however long the text is and however bad the pattern.
//!
//! Short texts are one call of the library. In a long text, a pattern whose matches can't be long is looked for a window at a time; with
//! others the library's lazy DFA goes on byte by byte from here, and groups of a long match are found by `Pike`, as is everything where the
//! DFA has to give up. All give the same answers.

use super::repike::{self, Spans};
use crate::base::error::{fail, Res};
use crate::base::pace;
use parking_lot::Mutex;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::hybrid::LazyStateID;
use regex_automata::meta;
use regex_automata::nfa::thompson::{self, WhichCaptures, NFA};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use std::sync::{Arc, OnceLock};

/// Most memory of one compiled pattern.
pub const SIZE_MAX: usize = 64 << 20;
/// Shorter texts and matches are one call of the library, if the pattern is not too large either: bytes, and bytes times the pattern's
/// size.
const SHORT: usize = 32 << 10;
const SHORT_WORK: usize = 4 << 30;
/// Matches that can't be longer are looked for in windows.
const BOUND_MAX: usize = 1 << 10;
/// Bytes between two looks whether somebody has cancelled.
const CHECK: usize = 1 << 16;
/// What the lazy DFA's states may take.
const CACHE_BYTES: usize = 8 << 20;

/// A compiled pattern.
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

struct Compiled {
    source: String,
    syntax: syntax::Config,
    short: meta::Regex,
    /// The longest match, in bytes, where there is such a bound.
    bound: Option<usize>,
    long: OnceLock<Result<Long, String>>,
}

/// What searches of long texts need.
struct Long {
    nfa: NFA,
    forward: DFA,
    reverse: DFA,
    caches: Mutex<Vec<(Cache, Cache)>>,
}

/// How much of a match is to be found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// That there is one.
    Any,
    Span,
    Groups,
}

/// The lazy DFA can't say: it met a byte that it does not know how to treat.
struct Quit;

impl Pattern {
    pub fn new(source: &str, syntax: syntax::Config) -> Result<Pattern, Box<meta::BuildError>> {
        let short = meta::Regex::builder()
            .configure(meta::Config::new().nfa_size_limit(Some(SIZE_MAX)))
            .syntax(syntax)
            .build(source)?;
        let parsed = syntax::parse_with(source, &syntax).ok();
        let bound = parsed.and_then(|parsed| parsed.properties().maximum_len());
        Ok(Pattern(Arc::new(Compiled {
            source: source.to_owned(),
            syntax,
            short,
            bound: bound.filter(|bound| *bound <= BOUND_MAX),
            long: OnceLock::new(),
        })))
    }

    /// Groups, and the whole match as one of them.
    pub fn groups(&self) -> usize {
        self.0.short.captures_len()
    }

    pub fn is_match(&self, text: &str) -> Res<bool> {
        Ok(self.search(text, 0, Want::Any)?.is_some())
    }

    /// The first match at or behind a byte. Its groups by number, the whole match first; only that, or no more than that something is
    /// there, if no more is wanted.
    pub fn search(&self, text: &str, at: usize, want: Want) -> Res<Option<Spans>> {
        if self.is_short(text.len().saturating_sub(at)) {
            return Ok(self.library(Input::new(text).range(at..), want));
        }
        match self.0.bound {
            Some(bound) => self.windows(text, at, bound, want),
            None => self.long(text, at, want),
        }
    }

    fn is_short(&self, len: usize) -> bool {
        let size = self.0.short.memory_usage().max(1);
        len <= SHORT.min(SHORT_WORK / size)
    }

    fn library(&self, input: Input<'_>, want: Want) -> Option<Spans> {
        let regex = &self.0.short;
        match want {
            Want::Any => regex.is_match(input).then(Vec::new),
            Want::Span => {
                let found = regex.search(&input)?;
                Some(vec![Some((found.start(), found.end()))])
            }
            Want::Groups => {
                let mut found = regex.create_captures();
                regex.search_captures(&input, &mut found);
                let span = |group| found.get_group(group).map(|span| (span.start, span.end));
                found
                    .is_match()
                    .then(|| (0..self.groups()).map(span).collect())
            }
        }
    }

    /// A match that begins in a window ends at most `bound` bytes behind it.
    fn windows(&self, text: &str, at: usize, bound: usize, want: Want) -> Res<Option<Spans>> {
        let mut from = at;
        loop {
            pace::check()?;
            let until = text.len().min(from + SHORT);
            let input = Input::new(text).range(from..text.len().min(until + bound));
            // What begins behind the window may be cut off.
            match self.0.short.search(&input) {
                Some(found) if found.start() < until || input.end() == text.len() => {
                    let input = input
                        .range(found.start()..found.end())
                        .anchored(Anchored::Yes);
                    return Ok(match want {
                        Want::Groups => self.library(input, want),
                        _ => Some(vec![Some((found.start(), found.end()))]),
                    });
                }
                _ if until == text.len() => return Ok(None),
                _ => from = until,
            }
        }
    }

    fn long(&self, text: &str, at: usize, want: Want) -> Res<Option<Spans>> {
        let long = self
            .0
            .long
            .get_or_init(|| Long::new(&self.0.source, self.0.syntax));
        let long = match long {
            Ok(long) => long,
            Err(why) => return fail("2201B", format!("invalid regular expression: {why}")),
        };
        let mut from = at;
        let (start, end) = loop {
            let Ok(found) = long.find(text, from, want)? else {
                return repike::search(&long.nfa, text, at..text.len(), false, want);
            };
            match found {
                None => return Ok(None),
                // Empty, in the midst of a character.
                Some((start, end)) if start == end && !text.is_char_boundary(start) => {
                    from = start + 1
                }
                Some(span) => break span,
            }
        };
        if want != Want::Groups {
            return Ok(Some(vec![Some((start, end))]));
        }
        if self.is_short(end - start) {
            let input = Input::new(text).range(start..end).anchored(Anchored::Yes);
            return Ok(self.library(input, want));
        }
        repike::search(&long.nfa, text, start..end, true, want)
    }
}

impl Long {
    fn new(source: &str, syntax: syntax::Config) -> Result<Long, String> {
        let config = thompson::Config::new().nfa_size_limit(Some(SIZE_MAX));
        let nfa = |config: thompson::Config| {
            let mut compiler = thompson::Compiler::new();
            let built = compiler.syntax(syntax).configure(config).build(source);
            built.map_err(|error| error.to_string())
        };
        let lazy = DFA::config()
            .unicode_word_boundary(true)
            .cache_capacity(CACHE_BYTES)
            .skip_cache_capacity_check(true);
        let dfa = |kind: MatchKind, nfa: &NFA| {
            let config = lazy.clone().match_kind(kind);
            let built = DFA::builder().configure(config).build_from_nfa(nfa.clone());
            built.map_err(|error| error.to_string())
        };
        let forward = nfa(config.clone())?;
        let back = config.reverse(true).which_captures(WhichCaptures::None);
        let back = nfa(back)?;
        Ok(Long {
            forward: dfa(MatchKind::LeftmostFirst, &forward)?,
            reverse: dfa(MatchKind::All, &back)?,
            nfa: forward,
            caches: Mutex::new(Vec::new()),
        })
    }

    fn find(&self, text: &str, at: usize, want: Want) -> Res<Result<Option<(usize, usize)>, Quit>> {
        let kept = self.caches.lock().pop();
        let mut caches =
            kept.unwrap_or_else(|| (self.forward.create_cache(), self.reverse.create_cache()));
        let found = self.find_with(text, at, want, &mut caches);
        self.caches.lock().push(caches);
        found
    }

    fn find_with(
        &self,
        text: &str,
        at: usize,
        want: Want,
        (forward, reverse): &mut (Cache, Cache),
    ) -> Res<Result<Option<(usize, usize)>, Quit>> {
        let end = match self.find_end(text, at, want == Want::Any, forward)? {
            Ok(Some(end)) => end,
            Ok(None) => return Ok(Ok(None)),
            Err(quit) => return Ok(Err(quit)),
        };
        if want == Want::Any && end > at {
            return Ok(Ok(Some((at, end))));
        }
        let start = self.find_start(text.as_bytes(), at, end, reverse)?;
        Ok(start.map(|start| Some((start.unwrap_or(end), end))))
    }

    /// Matches are seen one byte late.
    fn find_end(
        &self,
        text: &str,
        at: usize,
        earliest: bool,
        cache: &mut Cache,
    ) -> Res<Result<Option<usize>, Quit>> {
        let (dfa, bytes) = (&self.forward, text.as_bytes());
        let Ok(mut state) = dfa.start_state_forward(cache, &Input::new(text).range(at..)) else {
            return Ok(Err(Quit));
        };
        let mut end = None;
        let mut from = at;
        for block in bytes.get(at..).unwrap_or(&[]).chunks(CHECK) {
            pace::check()?;
            for (place, byte) in block.iter().enumerate() {
                state = match dfa.next_state(cache, state, *byte) {
                    Ok(state) => state,
                    Err(_) => return Ok(Err(Quit)),
                };
                if state.is_tagged() {
                    match judge(state) {
                        Tag::Match => end = Some(from + place),
                        Tag::Dead => return Ok(Ok(end)),
                        Tag::Quit => return Ok(Err(Quit)),
                        Tag::Other => {}
                    }
                    if earliest && end.is_some() {
                        return Ok(Ok(end));
                    }
                }
            }
            from += block.len();
        }
        Ok(match dfa.next_eoi_state(cache, state) {
            Ok(state) if state.is_match() => Ok(Some(bytes.len())),
            Ok(_) => Ok(end),
            Err(_) => Err(Quit),
        })
    }

    fn find_start(
        &self,
        bytes: &[u8],
        at: usize,
        end: usize,
        cache: &mut Cache,
    ) -> Res<Result<Option<usize>, Quit>> {
        let dfa = &self.reverse;
        let input = Input::new(bytes).range(at..end).anchored(Anchored::Yes);
        let Ok(mut state) = dfa.start_state_reverse(cache, &input) else {
            return Ok(Err(Quit));
        };
        let mut start = None;
        let mut from = end;
        for block in bytes.get(at..end).unwrap_or(&[]).rchunks(CHECK) {
            pace::check()?;
            for (place, byte) in block.iter().rev().enumerate() {
                state = match dfa.next_state(cache, state, *byte) {
                    Ok(state) => state,
                    Err(_) => return Ok(Err(Quit)),
                };
                if state.is_tagged() {
                    match judge(state) {
                        Tag::Match => start = Some(from - place),
                        Tag::Dead => return Ok(Ok(start)),
                        Tag::Quit => return Ok(Err(Quit)),
                        Tag::Other => {}
                    }
                }
            }
            from -= block.len();
        }
        let last = match at.checked_sub(1).and_then(|before| bytes.get(before)) {
            Some(byte) => dfa.next_state(cache, state, *byte),
            None => dfa.next_eoi_state(cache, state),
        };
        Ok(match last {
            Ok(state) if state.is_match() => Ok(Some(at)),
            Ok(state) if state.is_quit() => Err(Quit),
            Ok(_) => Ok(start),
            Err(_) => Err(Quit),
        })
    }
}

enum Tag {
    Match,
    Dead,
    Quit,
    Other,
}

fn judge(state: LazyStateID) -> Tag {
    match () {
        () if state.is_match() => Tag::Match,
        () if state.is_dead() => Tag::Dead,
        () if state.is_quit() => Tag::Quit,
        () => Tag::Other,
    }
}

/// The matches of a text, one behind the other. An empty one does not count where the one before has ended.
pub struct Matches {
    pattern: Pattern,
    want: Want,
    /// Where the search goes on; none: nowhere.
    at: Option<usize>,
    last: Option<usize>,
}

impl Matches {
    /// From a byte on.
    pub fn new(pattern: &Pattern, from: usize, want: Want) -> Matches {
        Matches {
            pattern: pattern.clone(),
            want,
            at: Some(from),
            last: None,
        }
    }

    /// The next one in the text, which is always the same.
    pub fn next(&mut self, text: &str) -> Res<Option<(usize, usize, Spans)>> {
        while let Some(at) = self.at.filter(|at| *at <= text.len()) {
            pace::check()?;
            let Some(found) = self.pattern.search(text, at, self.want)? else {
                break;
            };
            let Some((start, end)) = found.first().copied().flatten() else {
                break;
            };
            let next = || text.get(end..).and_then(|rest| rest.chars().next());
            self.at = match start == end {
                false => Some(end),
                true => next().map(|c| end + c.len_utf8()),
            };
            if start == end && self.last == Some(end) {
                continue;
            }
            self.last = Some(end);
            return Ok(Some((start, end, found)));
        }
        self.at = None;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn pattern(source: &str) -> Pattern {
        Pattern::new(source, syntax::Config::new()).unwrap()
    }

    const PATTERNS: [&str; 14] = [
        "a+",
        "a.*b",
        "(a|ab)(c|bcd)(d*)",
        "b*",
        "(a*)(b*)c?",
        "(?m)^a.*$",
        r"\bab*\b",
        r"(\w+) (\w+)",
        "x*é",
        "(?:(a)|b)*",
        "a{2,5}?b*",
        "[^a]+$",
        "(a+)+c",
        "",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn all_ways_find_the_same(which in 0..PATTERNS.len(), text in "[abcdé \n]{0,30}", at in 0usize..6) {
            let pattern = pattern(PATTERNS[which]);
            let at = text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
            let expected = pattern.library(Input::new(&text).range(at..), Want::Groups);
            prop_assert_eq!(&pattern.long(&text, at, Want::Groups).unwrap(), &expected);
            if let Some(bound) = pattern.0.bound {
                prop_assert_eq!(&pattern.windows(&text, at, bound, Want::Groups).unwrap(), &expected);
            }
            let span = pattern.long(&text, at, Want::Span).unwrap();
            prop_assert_eq!(span.map(|s| s[0]), expected.as_ref().map(|s| s[0]));
            let any = pattern.long(&text, at, Want::Any).unwrap();
            prop_assert_eq!(any.is_some(), expected.is_some());
            let nfa = &Long::new(PATTERNS[which], syntax::Config::new()).unwrap().nfa;
            let pike = repike::search(nfa, &text, at..text.len(), false, Want::Groups).unwrap();
            prop_assert_eq!(&pike, &expected);
            if let Some((start, end)) = expected.as_ref().and_then(|s| s[0]) {
                let pike = repike::search(nfa, &text, start..end, true, Want::Groups).unwrap();
                prop_assert_eq!(&pike, &expected);
            }
        }
    }

    #[test]
    fn long_texts_and_long_matches() {
        let text = format!("{}abc{}é", "x".repeat(5 * SHORT - 1), "y".repeat(3 * SHORT));
        for source in [
            "abc",
            "a(b)c",
            "(a)(.*)(é)",
            "(x+)(a)",
            r"\babc",
            "c(y*)",
            "(?:x|y)+é$",
        ] {
            let pattern = pattern(source);
            let expected = pattern.library(Input::new(&text), Want::Groups);
            assert_eq!(
                pattern.search(&text, 0, Want::Groups).unwrap(),
                expected,
                "{source}"
            );
        }
    }

    #[test]
    fn a_cancel_is_seen() {
        let text = "a".repeat(10 * CHECK);
        let flag = Arc::new(AtomicBool::new(true));
        let _pace = pace::enter(&flag, false);
        for source in ["b", "a*b", "(a*)(a)", r"a*\bé"] {
            assert!(
                pattern(source).search(&text, 0, Want::Groups).is_err(),
                "{source}"
            );
        }
        let nfa = Long::new("(a*)(b)", syntax::Config::new()).unwrap().nfa;
        assert!(repike::search(&nfa, &text, 0..text.len(), false, Want::Groups).is_err());
        flag.store(false, Ordering::Relaxed);
        assert!(pattern("(a*)(a)")
            .search(&text, 0, Want::Groups)
            .unwrap()
            .is_some());
    }
}
