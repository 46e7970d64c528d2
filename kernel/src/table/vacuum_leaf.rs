//! Cleaning up where many rows have gone or changed: those of one leaf in one mini-transaction, with their index entries.

use super::core::{Core, Shape};
use super::keys;
use super::row::External;
use super::vacuum::{has_history, is_rekeyed, rebuilt, split_values};
use super::visible::Prune;
use crate::base::{Res, RowId};
use crate::btree::{lower_bound, Cursor, Removal, Tree};
use crate::page::Page;
use crate::redo::version;

/// What goes of one leaf.
#[derive(Default)]
struct Going {
    /// Keys of rows that go.
    rows: Vec<Vec<u8>>,
    /// Rows that stay without some of their versions: key and cell.
    shorter: Vec<([u8; 8], Vec<u8>)>,
    /// By index.
    entries: Vec<Vec<Vec<u8>>>,
    /// Of each row that has any: those that go, and those that stay.
    values: Vec<(Vec<External>, Vec<External>)>,
    versions: usize,
}

impl Core {
    /// Drop what nobody can see of the rows `from..=to` of one leaf, and those rows that are nothing else, up to one with versions that
    /// were moved out. Answers the row to go on with, and how many were cleaned; none: the first that has something to be cleaned is such
    /// a one.
    pub(super) fn clean_leaf(
        &self,
        shape: &Shape,
        from: RowId,
        to: RowId,
    ) -> Res<Option<(RowId, usize)>> {
        let mut mtr = self.volume.begin_bulk()?;
        let rows = shape.rows();
        let mut cursor = Cursor::new(rows);
        cursor.seek(&mtr, &from.0.to_be_bytes())?;
        let Some((page, _)) = cursor.place() else {
            return Ok(None);
        };
        let (going, next) = self.going(shape, page, from, to)?;
        if going.is_empty() {
            return Ok((next > from).then_some((next, 0)));
        }
        drop(cursor);

        let stays = match going.shorter.first() {
            // All are on this leaf, and none grows.
            Some((key, _)) => Some(rows.prepare(&mut mtr, key, 0)?),
            None => None,
        };
        let gone = rows.prepare_remove_many(&mut mtr, &going.rows)?;
        let mut orphans: Vec<(Tree, Vec<Removal>)> = Vec::new();
        for (index, entries) in shape.def.indexes.iter().zip(&going.entries) {
            let tree = Tree { root: index.root };
            orphans.push((tree, tree.prepare_remove_many(&mut mtr, entries)?));
        }
        if let Some(spot) = stays {
            for (key, cell) in &going.shorter {
                rows.replace_cell(&mut mtr, &spot, key, cell)?;
            }
        }
        rows.remove_many(&mut mtr, &gone)?;
        for (tree, orphans) in &orphans {
            tree.remove_many(&mut mtr, orphans)?;
        }
        mtr.commit();
        let root = shape.def.root;
        self.txns.leftovers.pruned(root, going.versions as u64);
        for (dropped, kept) in &going.values {
            self.drop_values(shape, dropped, kept);
        }
        Ok(Some((next, going.rows.len() + going.shorter.len())))
    }

    /// What can go of a leaf's rows, and the row behind those that were looked at.
    fn going(&self, shape: &Shape, page: &Page, from: RowId, to: RowId) -> Res<(Going, RowId)> {
        let horizon = self.txns.horizon();
        let mut going = Going {
            entries: vec![Vec::new(); shape.def.indexes.len()],
            ..Going::default()
        };
        let mut next = from;
        for slot in lower_bound(page, &from.0.to_be_bytes())?..page.count() {
            let cell = page.cell(slot)?;
            let id = version::row_id(cell)?;
            if id > to {
                return Ok((going.sorted(), RowId(to.0.saturating_add(1))));
            }
            let prune = Prune::of(&self.txns, cell, horizon)?;
            if prune.is_due() {
                if has_history(cell, &prune)? {
                    return Ok((going.sorted(), next));
                }
                self.add(shape, &mut going, id, cell, &prune)?;
            }
            next = RowId(id.0.saturating_add(1));
        }
        let behind = match page.high()? {
            Some(high) => RowId(first_number(high)),
            None => RowId(to.0.saturating_add(1)),
        };
        Ok((going.sorted(), behind.max(next)))
    }

    fn add(
        &self,
        shape: &Shape,
        going: &mut Going,
        id: RowId,
        cell: &[u8],
        prune: &Prune,
    ) -> Res<()> {
        let gone = prune.keep == 0 || prune.dead;
        let all = match gone {
            true => Prune {
                skip: prune.all,
                keep: 0,
                ..*prune
            },
            false => *prune,
        };
        if gone || is_rekeyed(cell)? {
            for (entries, keys) in going
                .entries
                .iter_mut()
                .zip(self.orphaned(shape, cell, &all, None)?)
            {
                entries.extend(keys.iter().map(|key| keys::entry(key, id)));
            }
        }
        let values = split_values(shape, cell, &all)?;
        if !values.0.is_empty() {
            going.values.push(values);
        }
        going.versions += prune.all - prune.keep.max(usize::from(prune.dead));
        match gone {
            true => going.rows.push(id.0.to_be_bytes().to_vec()),
            false => {
                let cell = rebuilt(id, cell, prune)?;
                going.shorter.push((id.0.to_be_bytes(), cell));
            }
        }
        Ok(())
    }
}

impl Going {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.shorter.is_empty()
    }

    fn sorted(mut self) -> Going {
        for entries in &mut self.entries {
            entries.sort_unstable();
            entries.dedup();
        }
        self
    }
}

/// The lowest number whose bytes are not below these.
fn first_number(bytes: &[u8]) -> u64 {
    let mut number = [0; 8];
    for (to, from) in number.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_be_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::super::harness::{row, World};
    use super::*;
    use crate::btree::check;

    /// Rows that got other index keys, and between them rows that go: with few records for each leaf, and nothing is left behind.
    #[test]
    fn rows_that_changed_are_cleaned_leaf_by_leaf() {
        let mut w = World::new(5000);
        let table = w.table();
        let mut tx = w.begin(1, false);
        let ids: Vec<RowId> = (0..3000)
            .map(|i| w.insert(&mut tx, &table, &row(i, "text", 1)).unwrap())
            .collect();
        w.commit(tx);
        let mut tx = w.begin(1, false);
        for (i, id) in (0..).zip(&ids) {
            if i % 50 == 0 {
                w.delete(&mut tx, &table, *id).unwrap();
            } else {
                w.update(&mut tx, &table, *id, &row(i, "text", 2)).unwrap();
            }
        }
        w.commit(tx);
        let tail = w.volume.tail();
        w.vacuum();
        let log = w.volume.tail().0 - tail.0;
        // One by one each row has a head of a mini-transaction, and each entry a record.
        assert!(log < 3000 * 30, "{log} bytes of log for 3,000 rows");
        w.check(&table);
        assert_eq!(w.now(&table).len(), 2940);
    }

    /// Every second run of rows goes, then the rest; also when each run is one row.
    #[test]
    fn rows_that_go_together_leave_nothing_behind() {
        vacuumed(300);
        vacuumed(1);
    }

    fn vacuumed(run: usize) {
        let mut w = World::new(5000);
        let table = w.table();
        let mut tx = w.begin(1, false);
        let ids: Vec<RowId> = (0..3000)
            .map(|i| w.insert(&mut tx, &table, &row(i, "text", i % 7)).unwrap())
            .collect();
        w.commit(tx);
        let leaves = |w: &World| -> u64 {
            let roots = [table.root].into_iter();
            let roots = roots.chain(table.indexes.iter().map(|i| i.root));
            let leaves = |root| check(&w.store, Tree { root }).unwrap().leaves;
            roots.map(leaves).sum()
        };
        w.check(&table);
        let before = leaves(&w);
        for odd in [0, 1] {
            let mut tx = w.begin(1, false);
            for (i, id) in ids.iter().enumerate() {
                if i / run % 2 == odd {
                    w.delete(&mut tx, &table, *id).unwrap();
                }
            }
            w.commit(tx);
            let tail = w.volume.tail();
            w.vacuum();
            let log = w.volume.tail().0 - tail.0;
            // Neighbours are one record; else each row and each of its entries is one.
            let most = if run > 1 { 8 } else { 20 };
            assert!(log < 1500 * most, "{log} bytes of log for 1,500 rows");
            w.check(&table);
            assert_eq!(w.now(&table).len(), 1500 - 1500 * odd);
        }
        let trees = 1 + table.indexes.len() as u64;
        assert!(before > 5 * trees, "{before} leaves");
        assert_eq!(leaves(&w), trees, "each tree has its root");
    }
}
