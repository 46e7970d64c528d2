//! Pike's machine over the library's NFA: slow, but it needs no more memory than the pattern is large, finds groups, and sees a cancel at any
//! length of text.

use super::rematch::Want;
use crate::base::error::Res;
use crate::base::pace;
use regex_automata::nfa::thompson::{State, NFA};
use regex_automata::util::primitives::StateID;
use std::ops::Range;

/// A match's groups, the whole match first.
pub type Spans = Vec<Option<(usize, usize)>>;

/// Steps of threads between two looks whether somebody has cancelled.
const CHECK: usize = 1 << 16;
const UNSET: usize = usize::MAX;

/// Threads by priority: a state each, with what it has seen of the groups.
struct Threads {
    order: Vec<StateID>,
    /// Where a state stands in `order`; older entries may say anything.
    place: Vec<usize>,
    slots: Vec<usize>,
    width: usize,
}

impl Threads {
    fn new(states: usize, width: usize) -> Threads {
        Threads {
            order: Vec::with_capacity(states),
            place: vec![0; states],
            slots: vec![UNSET; states * width],
            width,
        }
    }

    fn has(&self, state: StateID) -> bool {
        let place = self.place.get(state.as_usize()).copied();
        place.and_then(|place| self.order.get(place)) == Some(&state)
    }

    fn slots(&self, state: StateID) -> &[usize] {
        let from = state.as_usize() * self.width;
        self.slots.get(from..from + self.width).unwrap_or(&[])
    }

    fn add(&mut self, state: StateID) {
        if let Some(place) = self.place.get_mut(state.as_usize()) {
            *place = self.order.len();
            self.order.push(state);
        }
    }

    fn store(&mut self, state: StateID, slots: &[usize]) {
        let from = state.as_usize() * self.width;
        if let Some(own) = self.slots.get_mut(from..from + self.width) {
            own.copy_from_slice(slots);
        }
    }
}

enum Step {
    Explore(StateID),
    Restore(usize, usize),
}

struct Machine<'a> {
    nfa: &'a NFA,
    text: &'a [u8],
    stack: Vec<Step>,
    work: usize,
}

impl Machine<'_> {
    /// Follow what takes no byte from a state on; who waits for a byte, or has matched, becomes a thread.
    fn explore(&mut self, state: StateID, at: usize, slots: &mut [usize], to: &mut Threads) {
        self.stack.push(Step::Explore(state));
        while let Some(step) = self.stack.pop() {
            self.work += 1;
            let state = match step {
                Step::Restore(slot, old) => {
                    if let Some(slot) = slots.get_mut(slot) {
                        *slot = old;
                    }
                    continue;
                }
                Step::Explore(state) => state,
            };
            if to.has(state) {
                continue;
            }
            to.add(state);
            match self.nfa.state(state) {
                State::Look { look, next } => {
                    if self.nfa.look_matcher().matches(*look, self.text, at) {
                        self.stack.push(Step::Explore(*next));
                    }
                }
                State::Union { alternates } => {
                    let later = alternates.iter().rev();
                    self.stack.extend(later.map(|state| Step::Explore(*state)));
                }
                State::BinaryUnion { alt1, alt2 } => {
                    self.stack.push(Step::Explore(*alt2));
                    self.stack.push(Step::Explore(*alt1));
                }
                State::Capture { next, slot, .. } => {
                    let slot = slot.as_usize();
                    if let Some(held) = slots.get_mut(slot) {
                        self.stack.push(Step::Restore(slot, *held));
                        *held = at;
                    }
                    self.stack.push(Step::Explore(*next));
                }
                State::Fail => {}
                _ => to.store(state, slots),
            }
        }
    }

    /// All threads take the byte at `at`. The slots of the best match that ends here, if any.
    fn step(
        &mut self,
        at: usize,
        end: usize,
        from: &Threads,
        to: &mut Threads,
    ) -> Option<Vec<usize>> {
        let mut slots = vec![UNSET; from.width];
        for state in &from.order {
            self.work += 1;
            let next = match self.nfa.state(*state) {
                State::Match { .. } => return Some(from.slots(*state).to_vec()),
                _ if at >= end => None,
                State::ByteRange { trans } => trans.matches(self.text, at).then_some(trans.next),
                State::Sparse(trans) => trans.matches(self.text, at),
                State::Dense(trans) => trans.matches(self.text, at),
                _ => None,
            };
            if let Some(next) = next {
                slots.copy_from_slice(from.slots(*state));
                self.explore(next, at + 1, &mut slots, to);
            }
        }
        None
    }
}

/// The first match in `span`, as the library would find it; `anchored`: at its beginning only.
pub fn search(
    nfa: &NFA,
    text: &str,
    span: Range<usize>,
    anchored: bool,
    want: Want,
) -> Res<Option<Spans>> {
    let width = match want {
        Want::Groups => nfa.group_info().slot_len(),
        _ => 2,
    };
    let mut machine = Machine {
        nfa,
        text: text.as_bytes(),
        stack: Vec::new(),
        work: 0,
    };
    let states = nfa.states().len();
    let (mut now, mut next) = (Threads::new(states, width), Threads::new(states, width));
    let mut found: Option<Vec<usize>> = None;
    for at in span.start..=span.end {
        if machine.work > CHECK {
            machine.work = 0;
            pace::check()?;
        }
        machine.work += 1;
        if now.order.is_empty() && (found.is_some() || (anchored && at > span.start)) {
            break;
        }
        if found.is_none() && (at == span.start || !anchored) && text.is_char_boundary(at) {
            machine.explore(nfa.start_anchored(), at, &mut vec![UNSET; width], &mut now);
        }
        if let Some(slots) = machine.step(at, span.end, &now, &mut next) {
            found = Some(slots);
            if want == Want::Any {
                break;
            }
        }
        std::mem::swap(&mut now, &mut next);
        next.order.clear();
    }
    let pair = |slots: &[usize]| match slots {
        [from, to] if *from != UNSET && *to != UNSET => Some((*from, *to)),
        _ => None,
    };
    Ok(found.map(|slots| slots.chunks(2).map(pair).collect()))
}
