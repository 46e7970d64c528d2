//! IN over the rows of a subplan, for many rows at once. Rows that may be null in some columns are told apart by their pattern: the bits of
//! the columns that are. A row of pattern m may equal one of pattern n when they are the same in all other columns: it does (m and n are
//! empty) or nobody knows. So for each pattern that is asked about there is a set of the subplan's rows without m's columns.

use super::seen::Seen;
use super::Op;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::kept::{Kept, Room};
use crate::expr::{Env, Members, Program, State};
use crate::types::oids;
use crate::types::registry::{find, TypeInfo};

type Pattern = u32;

struct Set {
    pattern: Pattern,
    seen: Seen,
    /// The batch of kept rows that it takes in next.
    next: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    No,
    Unknown,
    Yes,
}

/// Rows that are asked about.
struct Probe {
    patterns: Vec<Pattern>,
    answers: Vec<Answer>,
    /// Patterns of these rows with patterns of the subplan's, and the pair that comes next.
    pairs: Vec<(Pattern, Pattern)>,
    at: usize,
    /// The pair's rows that are open, and what is looked for.
    asked: Option<(Vec<u32>, Batch)>,
}

pub struct Member {
    op: Op,
    infos: Vec<&'static TypeInfo>,
    state: State,
    /// The subplan must begin again; its last batch; it has ended; all is read.
    stale: bool,
    batch: Option<Batch>,
    ended: bool,
    read: bool,
    /// Where a row may be null in part, its keys are kept for other patterns' sets.
    rows: Kept,
    patterns: Vec<Pattern>,
    sets: Vec<Set>,
    probe: Option<Probe>,
}

impl Member {
    pub fn new(op: Op, infos: &[&'static TypeInfo]) -> Member {
        Member {
            op,
            infos: infos.to_vec(),
            state: State::default(),
            stale: false,
            batch: None,
            ended: false,
            read: false,
            rows: Kept::default(),
            patterns: Vec::new(),
            sets: Vec::new(),
            probe: None,
        }
    }

    fn all(&self) -> Pattern {
        (1 << self.infos.len()) - 1
    }

    /// The place of a pattern's set.
    fn set(&mut self, pattern: Pattern) -> usize {
        if let Some(at) = self.sets.iter().position(|s| s.pattern == pattern) {
            return at;
        }
        let mut infos = self.infos.clone();
        infos.push(find(oids::INT4).expect("int4 is a type"));
        self.sets.push(Set {
            pattern,
            seen: Seen::new(&infos),
            next: 0,
        });
        self.sets.len() - 1
    }

    fn read(&mut self, env: &mut Env, right: &Program) -> Res<()> {
        let room = Room::of(env);
        let set = self.set(0);
        while !self.read {
            self.rows.settle(&room)?;
            self.sets[set].seen.settle(env)?;
            if self.ended {
                self.sets[set].seen.unite(env)?;
                self.read = true;
                continue;
            }
            if self.batch.is_none() {
                self.batch = self.op.next(env)?;
            }
            let Some(batch) = &self.batch else {
                self.ended = true;
                continue;
            };
            let keys = Batch {
                columns: right.eval(env, &mut self.state, batch)?,
                len: batch.len,
            };
            self.batch = None;
            let patterns = patterns(&keys);
            for &pattern in &patterns {
                if !self.patterns.contains(&pattern) {
                    self.patterns.push(pattern);
                }
            }
            self.take_in(set, &keys, &patterns)?;
            if self.infos.len() > 1 {
                self.rows.push(keys);
            }
        }
        Ok(())
    }

    fn take_in(&mut self, set: usize, keys: &Batch, patterns: &[Pattern]) -> Res<()> {
        let (all, set) = (self.all(), &mut self.sets[set]);
        let rows: Vec<u32> = (0..keys.len as u32)
            .filter(|&i| patterns[i as usize] | set.pattern != all)
            .collect();
        let numbers = rows.iter().map(|&i| i64::from(patterns[i as usize]));
        let numbers = numbers.collect();
        let wanted = without(keys.gather(&rows), set.pattern, &self.infos, numbers);
        set.seen.add(&wanted)
    }

    /// The set of a pattern, with all rows in it.
    fn filled(&mut self, env: &mut Env, pattern: Pattern) -> Res<usize> {
        let set = self.set(pattern);
        if pattern == 0 {
            return Ok(set);
        }
        while self.sets[set].next < self.rows.batches() {
            self.sets[set].seen.settle(env)?;
            env.pulse()?;
            let Some(keys) = self.rows.get(self.sets[set].next)? else {
                break;
            };
            env.charge(keys.len);
            self.take_in(set, &keys, &patterns(&keys))?;
            self.sets[set].next += 1;
        }
        self.sets[set].seen.unite(env)?;
        Ok(set)
    }

    fn start(&self, keys: &Batch) -> Probe {
        let patterns = patterns(keys);
        let mut own = patterns.clone();
        own.sort_unstable();
        own.dedup();
        let pairs = own
            .iter()
            .flat_map(|&m| self.patterns.iter().map(move |&n| (m, n)));
        Probe {
            answers: vec![Answer::No; keys.len],
            pairs: pairs.collect(),
            patterns,
            at: 0,
            asked: None,
        }
    }

    /// Look a pair of patterns up.
    fn pair(&mut self, env: &mut Env, probe: &mut Probe, keys: &Batch) -> Res<()> {
        let (m, n) = probe.pairs[probe.at];
        let answer = match m | n {
            0 => Answer::Yes,
            _ => Answer::Unknown,
        };
        if m | n == self.all() {
            for (known, &pattern) in probe.answers.iter_mut().zip(&probe.patterns) {
                if pattern == m {
                    *known = answer.max(*known);
                }
            }
            return Ok(());
        }
        let set = self.filled(env, m)?;
        let (rows, wanted) = probe.asked.get_or_insert_with(|| {
            let open =
                |&i: &u32| probe.patterns[i as usize] == m && probe.answers[i as usize] < answer;
            let rows: Vec<u32> = (0..keys.len as u32).filter(open).collect();
            let numbers = vec![i64::from(n); rows.len()];
            let wanted = without(keys.gather(&rows), n, &self.infos, numbers);
            (rows, wanted)
        });
        let found = self.sets[set].seen.has(env, wanted)?;
        for (&row, found) in rows.iter().zip(found) {
            if found {
                probe.answers[row as usize] = answer;
            }
        }
        probe.asked = None;
        Ok(())
    }
}

impl Members for Member {
    fn look(&mut self, env: &mut Env, right: &Program, keys: &Batch) -> Res<Vector> {
        if self.stale {
            self.op.rescan(env)?;
            self.stale = false;
        }
        self.read(env, right)?;
        let mut probe = match self.probe.take() {
            Some(probe) => probe,
            None => self.start(keys),
        };
        while probe.at < probe.pairs.len() {
            if let Err(stop) = self.pair(env, &mut probe, keys) {
                self.probe = Some(probe);
                return Err(stop);
            }
            probe.at += 1;
        }
        let is = |what: Answer| probe.answers.iter().map(move |&a| a == what).collect();
        Ok(Vector::Bool(is(Answer::Yes), is(Answer::Unknown)))
    }

    fn restart(&mut self) {
        self.stale = true;
        (self.batch, self.ended, self.read) = (None, false, false);
        self.rows = Kept::default();
        self.patterns.clear();
        self.sets.clear();
        self.probe = None;
    }
}

fn patterns(keys: &Batch) -> Vec<Pattern> {
    let mut patterns = vec![0; keys.len];
    for (c, column) in keys.columns.iter().enumerate() {
        for (i, pattern) in patterns.iter_mut().enumerate() {
            *pattern |= Pattern::from(column.is_null(i)) << c;
        }
    }
    patterns
}

/// Rows of a set: keys, null in a pattern's columns, and the subplan's pattern.
fn without(
    mut keys: Batch,
    pattern: Pattern,
    infos: &[&'static TypeInfo],
    numbers: Vec<i64>,
) -> Batch {
    for (c, info) in infos.iter().enumerate() {
        if pattern >> c & 1 == 1 {
            let mut nulls = Vector::of_type(info.oid, keys.len);
            (0..keys.len).for_each(|_| nulls.push_null());
            keys.columns[c] = nulls;
        }
    }
    keys.columns.push(Vector::Int(numbers, Vec::new()));
    keys
}
