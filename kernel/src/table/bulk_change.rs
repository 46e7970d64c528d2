//! Many rows deleted at once: one mini-transaction for a chunk of them, and one record for all rows of a leaf. Rows that need more than
//! a new version in front of the others (waiting, pruning, room on the leaf) are left to `Core::delete`.

use super::core::Core;
use super::heap::CELL_TARGET;
use super::visible::{judge, Judged, Prune};
use crate::base::{Lsn, PageNo, Res, RowId, Stop};
use crate::exec::access::{TableDef, View};
use crate::page::Page;
use crate::redo::record::runs_of;
use crate::redo::version::{self, DELETED, KEY_SIZE};
use crate::redo::{IntoCells, Record};
use crate::store::Mtr;
use crate::txn::leftovers::{Leftover, Why};
use std::sync::Arc;

/// Most rows in one mini-transaction.
const CHUNK_ROWS: usize = 1000;

/// Rows of one leaf: their slots.
struct OnLeaf {
    leaf: PageNo,
    slots: Vec<u16>,
}

impl Core {
    /// See `Access::delete_many`.
    pub(super) fn delete_many(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        rows: &[RowId],
        accept: Lsn,
    ) -> Res<usize> {
        if rows.len() < 2 || !self.txns.locks.no_row_locks() {
            return Ok(0);
        }
        let shape = self.shape(table)?;
        self.writing(&shape);
        let xid = self.txns.assign(view.session)?;
        let mut head = Vec::new();
        version::put(&mut head, DELETED, xid, view.command, &[]);
        let mut mtr = self.volume.begin()?;
        let chunk = rows.get(..CHUNK_ROWS).unwrap_or(rows);
        let leaves = self.deletable(&mut mtr, table.root, view, chunk, accept, head.len())?;
        let done: usize = leaves.iter().map(|on| on.slots.len()).sum();
        if done == 0 {
            return Ok(0);
        }

        for OnLeaf { leaf, slots } in &leaves {
            let into = IntoCells {
                offset: KEY_SIZE as u16,
                bytes: &head,
                runs: runs_of(slots),
            };
            mtr.log(*leaf, &Record::InsertIntoCells { into })?;
        }
        mtr.commit();
        for run in chunk
            .get(..done)
            .unwrap_or(&[])
            .chunk_by(|one, next| one.0 + 1 == next.0)
        {
            if let (Some(&from), Some(&to)) = (run.first(), run.last()) {
                let left = Leftover {
                    table: table.root,
                    from,
                    to,
                    why: Why::Delete,
                    xid,
                };
                self.txns.leftovers.note_all(view.session, left);
            }
        }
        Ok(done)
    }

    /// The first of these rows, leaf by leaf, up to one that has to take the long way.
    fn deletable(
        &self,
        mtr: &mut Mtr<'_>,
        root: PageNo,
        view: &View,
        rows: &[RowId],
        accept: Lsn,
        grow: usize,
    ) -> Res<Vec<OnLeaf>> {
        let tree = crate::btree::Tree { root };
        let mut leaves: Vec<OnLeaf> = Vec::new();
        let mut done = 0;
        while let Some(row) = rows.get(done) {
            let spot = match tree.prepare(mtr, &row.0.to_be_bytes(), 0) {
                Ok(spot) => spot,
                // What is missing is asked for when its row is the first.
                Err(Stop::Need(_)) if done > 0 => break,
                Err(stop) => return Err(stop),
            };
            if leaves.last().is_some_and(|on| on.leaf == spot.leaf) {
                // Its next row was refused already: there may be no room left.
                break;
            }
            let page = mtr.page(spot.leaf)?;
            let rest = rows.get(done..).unwrap_or(&[]);
            let slots = self.deletable_here(&page, spot.slot, view, rest, accept, grow)?;
            if slots.is_empty() {
                break;
            }
            done += slots.len();
            leaves.push(OnLeaf {
                leaf: spot.leaf,
                slots,
            });
        }
        Ok(leaves)
    }

    fn deletable_here(
        &self,
        page: &Page,
        mut slot: usize,
        view: &View,
        rows: &[RowId],
        accept: Lsn,
        grow: usize,
    ) -> Res<Vec<u16>> {
        let horizon = self.txns.horizon();
        let mut free = page.free_space();
        let mut slots = Vec::new();
        for row in rows {
            let mut cell = None;
            while slot < page.count() {
                let here = page.cell(slot)?;
                let id = version::row_id(here)?;
                if id >= *row {
                    cell = (id == *row).then_some(here);
                    break;
                }
                slot += 1;
            }
            let Some(cell) = cell else {
                break;
            };
            let prune = Prune::of(&self.txns, cell, horizon)?;
            let is_plain = prune.skip == 0 && prune.keep == prune.all;
            let fits = free >= grow && cell.len() + grow <= CELL_TARGET;
            if !is_plain
                || !fits
                || !matches!(judge(&self.txns, view, cell, accept)?, Judged::Free(_))
            {
                break;
            }
            free -= grow;
            slots.push(slot as u16);
            slot += 1;
        }
        Ok(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::super::harness::{row, World};
    use super::*;
    use crate::base::Need;
    use crate::exec::access::{Access, Wrote};
    use crate::store::Pages;

    /// Leaves without room for a deletion of each of their rows: some are deleted together, one splits its leaf, and so on.
    #[test]
    fn a_full_leaf_takes_as_many_deletions_as_fit() {
        let mut w = World::new(5000);
        let table = w.table();
        let mut tx = w.begin(1, false);
        let ids: Vec<RowId> = (0..2000)
            .map(|i| w.insert(&mut tx, &table, &row(i, "", 0)).unwrap())
            .collect();
        w.commit(tx);
        let mut tx = w.begin(1, false);
        let view = w.view(&mut tx);
        let (mut at, mut singly) = (0, 0);
        while at < ids.len() {
            let rest = &ids[at..];
            let done = w
                .run(|t| t.delete_many(&view, &table, rest, view.snapshot))
                .unwrap();
            at += done;
            if done == 0 {
                let wrote = w.run(|t| t.delete(&view, &table, ids[at], view.snapshot));
                assert!(matches!(wrote.unwrap(), Wrote::Done));
                singly += 1;
                at += 1;
            }
        }
        assert!((1..200).contains(&singly), "{singly} rows went singly");
        w.commit(tx);
        assert!(w.now(&table).is_empty());
        w.vacuum();
        w.check(&table);
    }
    #[test]
    fn leaves_of_the_rows_that_come_next_are_asked_for_with_the_one_that_is_missing() {
        let mut w = World::new(64);
        let table = w.table();
        let mut tx = w.begin(1, false);
        let long = "x".repeat(400);
        let ids: Vec<RowId> = (0..3000)
            .map(|i| w.insert(&mut tx, &table, &row(i, &long, 0)).unwrap())
            .collect();
        w.commit(tx);
        // The rows are on far more leaves than the cache holds, in no order of theirs.
        let next: Vec<RowId> = (0..500).map(|i| ids[i * 1201 % ids.len()]).collect();
        let mut tx = w.begin(1, false);
        let view = w.view(&mut tx);
        let missing =
            next.iter().find_map(
                |id| match w.tables.delete(&view, &table, *id, view.snapshot) {
                    Err(Stop::Need(Need::Page(no))) => Some(no),
                    _ => None,
                },
            );
        let no = missing.expect("a cache that does not hold them all");
        let need = w.tables.ahead(&table, no, &next).unwrap();
        let Need::Pages(list) = need else {
            panic!("{need:?}")
        };
        assert_eq!(list[0], no);
        // Not so many that they would drive each other out.
        assert_eq!(list.len(), 64 / 8);
        assert_eq!(w.volume.absent(&list), list);
        w.rollback(tx);
    }
}
