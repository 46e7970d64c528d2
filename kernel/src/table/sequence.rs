//! Sequences: one page each. As in PostgreSQL, a step of [`AHEAD`] values is logged at once, so a crash leaves a gap and
//! never gives a value out twice; and nothing of it is undone by a rollback.
//!
//! | offset in the body | what (i64, little-endian) |
//! |---|---|
//! | 0 | last value that may have been given out |
//! | 8 | 1: it has been given out; 0: it is the first to be |
//! | 16, 24, 32, 40 | increment, minimum, maximum, start |
//! | 48 | 1: it begins anew at its end |

use super::core::Core;
use crate::base::error::{corrupt, fail};
use crate::base::{Lsn, PageNo, Res};
use crate::page::{Kind, Page, BODY};
use crate::redo::Record;
use crate::store::Mtr;

/// Values logged ahead.
const AHEAD: u32 = 32;

/// How a sequence counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceDef {
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cycle: bool,
}

/// A sequence as this process has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sequence {
    def: SequenceDef,
    last: i64,
    called: bool,
    /// Values that the log allows before the next record.
    logged: u32,
    /// The end of the record that allows them.
    lsn: Lsn,
}

impl Sequence {
    fn read(page: &Page) -> Res<Sequence> {
        if page.kind() != Kind::Plain {
            return corrupt("a sequence's page is something else");
        }
        let word = |n: usize| page.u64_at(BODY + n * 8).unwrap_or(0) as i64;
        let def = SequenceDef {
            increment: word(2),
            min: word(3),
            max: word(4),
            start: word(5),
            cycle: word(6) != 0,
        };
        if def.increment == 0 || def.min > def.max {
            return corrupt("a sequence's page is damaged");
        }
        Ok(Sequence {
            def,
            last: word(0),
            called: word(1) != 0,
            logged: 0,
            lsn: page.lsn(),
        })
    }

    fn bytes(last: i64, called: bool, def: &SequenceDef) -> Vec<u8> {
        let words = [
            last,
            i64::from(called),
            def.increment,
            def.min,
            def.max,
            def.start,
            i64::from(def.cycle),
        ];
        words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// The value after `last`.
    fn step(def: &SequenceDef, last: i64) -> Res<i64> {
        let next = last
            .checked_add(def.increment)
            .filter(|next| (def.min..=def.max).contains(next));
        match next {
            Some(next) => Ok(next),
            None if def.cycle => Ok(if def.increment > 0 { def.min } else { def.max }),
            None => {
                let (end, bound) = if def.increment > 0 {
                    ("maximum", def.max)
                } else {
                    ("minimum", def.min)
                };
                fail(
                    "2200H",
                    format!("nextval: reached {end} value of sequence ({bound})"),
                )
            }
        }
    }
}

fn log(mtr: &mut Mtr<'_>, page: PageNo, last: i64, called: bool, def: &SequenceDef) -> Res<()> {
    let bytes = Sequence::bytes(last, called, def);
    mtr.log(
        page,
        &Record::PutBytes {
            offset: BODY as u16,
            bytes: &bytes,
        },
    )?;
    Ok(())
}

impl Core {
    pub fn create_sequence(&self, def: &SequenceDef) -> Res<PageNo> {
        let list = self.unsettled_list()?;
        let mut mtr = self.volume.begin()?;
        let roots = mtr.reserve_first(1)?;
        let entries = self.prepare_listing(&mut mtr, list, &roots)?;
        let page = mtr.alloc()?;
        mtr.log(page, &Record::empty(Kind::Plain, 0, page))?;
        log(&mut mtr, page, def.start, false, def)?;
        entries.list(&mut mtr)?;
        mtr.commit();
        self.sequences.lock().remove(&page);
        Ok(page)
    }

    /// Other rules; counting goes on from where it stands.
    pub fn alter_sequence(&self, page: PageNo, def: &SequenceDef) -> Res<()> {
        let mut sequences = self.sequences.lock();
        let mut mtr = self.volume.begin()?;
        let known = Sequence::read(&*mtr.page(page)?)?;
        let (last, called) = sequences
            .get(&page)
            .map_or((known.last, known.called), |s| (s.last, s.called));
        log(&mut mtr, page, last, called, def)?;
        let lsn = mtr.commit();
        sequences.insert(
            page,
            Sequence {
                def: *def,
                last,
                called,
                logged: 0,
                lsn,
            },
        );
        Ok(())
    }

    /// The next value, and the LSN that must be durable before anybody may count on it.
    pub(super) fn nextval(&self, page: PageNo) -> Res<(i64, Lsn)> {
        let mut sequences = self.sequences.lock();
        let mut now = match sequences.get(&page) {
            Some(sequence) => *sequence,
            None => Sequence::read(&*self.volume.page(page)?)?,
        };
        let value = if now.called {
            Sequence::step(&now.def, now.last)?
        } else {
            now.last
        };
        if now.logged == 0 {
            let mut mtr = self.volume.begin()?;
            mtr.page(page)?;
            // What may have been given out when this process is gone: as far as it goes without beginning anew.
            let plain = SequenceDef {
                cycle: false,
                ..now.def
            };
            let mut ahead = value;
            for _ in 0..AHEAD {
                match Sequence::step(&plain, ahead) {
                    Ok(next) => {
                        ahead = next;
                        now.logged += 1;
                    }
                    Err(_) => break,
                }
            }
            log(&mut mtr, page, ahead, true, &now.def)?;
            now.lsn = mtr.commit();
        } else {
            now.logged -= 1;
        }
        now.last = value;
        now.called = true;
        sequences.insert(page, now);
        Ok((value, now.lsn))
    }

    /// The LSN that must be durable before anybody may count on it.
    pub(super) fn setval(&self, page: PageNo, value: i64, called: bool) -> Res<Lsn> {
        let mut sequences = self.sequences.lock();
        let mut mtr = self.volume.begin()?;
        let def = Sequence::read(&*mtr.page(page)?)?.def;
        if !(def.min..=def.max).contains(&value) {
            return fail(
                "22003",
                format!(
                    "setval: value {value} is out of bounds for sequence ({}..{})",
                    def.min, def.max
                ),
            );
        }
        log(&mut mtr, page, value, called, &def)?;
        let lsn = mtr.commit();
        sequences.insert(
            page,
            Sequence {
                def,
                last: value,
                called,
                logged: 0,
                lsn,
            },
        );
        Ok(lsn)
    }

    pub(super) fn seqval(&self, page: PageNo) -> Res<(i64, bool)> {
        if let Some(sequence) = self.sequences.lock().get(&page) {
            return Ok((sequence.last, sequence.called));
        }
        let sequence = Sequence::read(&*self.volume.page(page)?)?;
        Ok((sequence.last, sequence.called))
    }
}
