//! ON CONFLICT DO NOTHING of many rows: which of them meet a living row is looked up without the writer's mutex, and without a row being
//! made for it. What is not sure is left to `Core::insert`.

use super::bulk::{key_of_batch, AHEAD};
use super::core::{Core, Shape};
use super::keys;
use super::unique::{exempt, Equal};
use crate::base::{Need, Oid, PageNo, Res, RowId, Stop};
use crate::btree::{key_of, lower_bound, search, Tree};
use crate::exec::access::{IndexDef, TableDef, View};
use crate::exec::batch::Batch;
use crate::page::PageRef;
use std::sync::Arc;

/// The look-ups of one call. The leaves of the last ones are often those of the next.
struct LookUps<'a> {
    view: &'a View,
    shape: Arc<Shape>,
    indexes: Vec<InIndex>,
    rows_leaf: Option<PageRef>,
    key: Vec<u8>,
}

struct InIndex {
    place: usize,
    tree: Tree,
    leaf: Option<PageRef>,
}

impl InIndex {
    /// The leaf and the slot with the first entry of `key`, if there is one and it is easy to tell.
    fn find(&mut self, core: &Core, key: &[u8]) -> Res<Option<(PageRef, usize)>> {
        if let Some(leaf) = &self.leaf {
            let slot = lower_bound(leaf, key)?;
            // At an end of the leaf the first one may be on another.
            if slot > 0 && slot < leaf.count() {
                return Ok(Some((Arc::clone(leaf), slot)));
            }
        }
        let (_, leaf) = self.tree.leaf(&*core.volume, key)?;
        let slot = lower_bound(&leaf, key)?;
        self.leaf = Some(Arc::clone(&leaf));
        Ok((slot < leaf.count()).then_some((leaf, slot)))
    }
}

impl Core {
    /// See `Access::conflicting`.
    pub(super) fn conflicting(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        rows: &Batch,
        from: usize,
        arbiters: &[Oid],
    ) -> Res<Vec<bool>> {
        let is_arbiter = |index: &IndexDef| index.unique && arbiters.contains(&index.oid);
        let indexes = table.indexes.iter().enumerate();
        let mut look = LookUps {
            view,
            shape: self.shape(table)?,
            indexes: indexes
                .filter(|(_, index)| is_arbiter(index))
                .map(|(place, index)| InIndex {
                    place,
                    tree: Tree { root: index.root },
                    leaf: None,
                })
                .collect(),
            rows_leaf: None,
            key: Vec::new(),
        };
        let ahead = AHEAD.min(self.volume.cache_size().1 / 8).max(1);
        let mut found = Vec::with_capacity(rows.len - from);
        let mut missing: Vec<PageNo> = Vec::new();
        for at in from..rows.len {
            match look.conflicts(self, rows, at) {
                Ok(answer) if missing.is_empty() => found.push(answer),
                Ok(_) => {}
                // The first row has to wait: find out what else is missing, and ask for it together.
                Err(Stop::Need(Need::Page(no))) if found.is_empty() => {
                    if !missing.contains(&no) {
                        missing.push(no);
                    }
                    if missing.len() >= ahead {
                        break;
                    }
                }
                Err(stop) if found.is_empty() && missing.is_empty() => return Err(stop),
                Err(_) => break,
            }
        }
        match missing.is_empty() {
            true => Ok(found),
            false => Err(Need::Pages(missing).into()),
        }
    }

    /// A row's leaf and slot; `leaf` is where the one before was.
    fn row_near(
        &self,
        shape: &Shape,
        leaf: &mut Option<PageRef>,
        row: RowId,
    ) -> Res<Option<(PageRef, usize)>> {
        let key = row.0.to_be_bytes();
        if let Some(leaf) = leaf {
            if let Ok(slot) = search(leaf, &key)? {
                return Ok(Some((Arc::clone(leaf), slot)));
            }
        }
        let found = shape.rows().get(&*self.volume, &key)?;
        *leaf = found.as_ref().map(|(page, _)| Arc::clone(page));
        Ok(found)
    }
}

impl LookUps<'_> {
    /// Does row `at` meet a living one by some arbiter? False also where that is not sure.
    fn conflicts(&mut self, core: &Core, rows: &Batch, at: usize) -> Res<bool> {
        for index in &mut self.indexes {
            let Some(def) = self.shape.def.indexes.get(index.place) else {
                continue;
            };
            self.key.clear();
            let null = key_of_batch(def, rows, at, &mut self.key)?;
            if exempt(def, null) {
                continue;
            }
            let Some((leaf, first)) = index.find(core, &self.key)? else {
                continue;
            };
            for slot in first..leaf.count() {
                let (key, row) = keys::split(key_of(&leaf, slot)?)?;
                if key != self.key {
                    break;
                }
                let Some((page, slot)) = core.row_near(&self.shape, &mut self.rows_leaf, row)?
                else {
                    continue;
                };
                let cell = page.cell(slot)?;
                let equal = core.equal_in(&self.shape, index.place, key, cell, self.view)?;
                if let Some(Equal::Live { csn }) = equal {
                    // For REPEATABLE READ a newer one is an error.
                    return Ok(!(self.view.strict && csn > self.view.snapshot));
                }
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::harness::{row, Tx, World};
    use super::*;
    use crate::exec::access::{Access, Inserted};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const K: Oid = Oid(16401);

    fn batch(table: &TableDef, keys: &[Option<i64>]) -> Batch {
        let types: Vec<_> = table.columns.iter().map(|c| c.typ).collect();
        let rows: Vec<_> = keys.iter().map(|k| row(*k, "x", 1)).collect();
        Batch::from_rows(&types, &rows)
    }

    /// As the operator does: conflicting rows are passed over, the others go in together. How many went in.
    fn add(w: &mut World, tx: &mut Tx, table: &Arc<TableDef>, keys: &[Option<i64>]) -> usize {
        let rows = batch(table, keys);
        let view = w.view(tx);
        let (mut at, mut added) = (0, 0);
        while at < rows.len {
            let known = w.run(|t| t.conflicting(&view, table, &rows, at, &[K]));
            let known = known.unwrap();
            assert!(!known.is_empty());
            let free = known.iter().take_while(|conflicts| !**conflicts).count();
            if free == 0 {
                at += 1;
                continue;
            }
            let put = w.run(|t| t.insert_many(&view, table, &rows, at, at + free, &[K]));
            let (_, count) = put.unwrap();
            added += count;
            at += count.max(1);
        }
        added
    }

    #[test]
    fn rows_that_conflict_are_told_without_a_transaction_number_or_redo() {
        let mut w = World::new(1000);
        let table = w.table();
        let mut tx = w.begin(1, false);
        let keys: Vec<_> = (0..500).map(|k| Some(k * 2)).collect();
        assert_eq!(add(&mut w, &mut tx, &table, &keys), 500);
        w.commit(tx);
        let mut tx = w.begin(1, false);
        let view = w.view(&mut tx);
        let before = w.volume.tail();
        let keys: Vec<_> = (0..1000).rev().map(Some).collect();
        let rows = batch(&table, &keys);
        let known = w.run(|t| t.conflicting(&view, &table, &rows, 0, &[K]));
        let expected: Vec<bool> = (0..1000).rev().map(|k| k % 2 == 0).collect();
        assert_eq!(known.unwrap(), expected);
        assert_eq!(w.volume.tail(), before);
        w.commit(tx);
    }

    #[test]
    fn what_others_have_not_committed_or_have_deleted_is_not_told_for_sure() {
        let mut w = World::new(1000);
        let table = w.table();
        let mut tx = w.begin(1, false);
        let ids: Vec<RowId> = (0..3)
            .map(|k| w.insert(&mut tx, &table, &row(k, "", 0)).unwrap())
            .collect();
        w.commit(tx);
        let mut other = w.begin(2, false);
        w.insert(&mut other, &table, &row(5, "", 0)).unwrap();
        w.delete(&mut other, &table, ids[1]).unwrap();
        let mut tx = w.begin(1, false);
        w.delete(&mut tx, &table, ids[2]).unwrap();
        let view = w.view(&mut tx);
        let rows = batch(&table, &[Some(0), Some(1), Some(2), Some(5), None]);
        let known = w.run(|t| t.conflicting(&view, &table, &rows, 0, &[K]));
        assert_eq!(known.unwrap(), [true, false, false, false, false]);
        w.rollback(other);
        w.rollback(tx);
    }

    #[test]
    fn a_newer_row_is_left_to_the_insert_of_a_strict_transaction_which_fails() {
        let mut w = World::new(1000);
        let table = w.table();
        let mut strict = w.begin(2, true);
        let view = w.view(&mut strict);
        let mut tx = w.begin(1, false);
        w.insert(&mut tx, &table, &row(5, "", 0)).unwrap();
        w.commit(tx);
        let rows = batch(&table, &[Some(5), Some(6)]);
        let known = w.run(|t| t.conflicting(&view, &table, &rows, 0, &[K]));
        assert_eq!(known.unwrap(), [false, false]);
        let put = w.run(|t| t.insert_many(&view, &table, &rows, 0, 2, &[K]));
        assert!(matches!(put, Err(Stop::Error(e)) if e.code_str() == "40001"));
        w.rollback(strict);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn many_at_once_are_one_after_the_other(
            batches in proptest::collection::vec(
                (proptest::collection::vec(proptest::option::weighted(0.9, 0i64..3000), 1..400), any::<bool>(), any::<bool>()), 1..6),
            cache in prop_oneof![Just(64usize), Just(5000)],
        ) {
            let (mut many, mut single) = (World::new(cache), World::new(5000));
            let (a, b) = (many.table(), single.table());
            for (mut keys, sorted, keep) in batches {
                if sorted {
                    keys.sort_unstable();
                }
                let (mut one, mut other) = (many.begin(1, false), single.begin(1, false));
                let view = single.view(&mut other);
                let mut added = 0;
                for key in &keys {
                    let put = single.run(|t| t.insert(&view, &b, &row(*key, "x", 1), &[K]));
                    added += usize::from(matches!(put.unwrap(), Inserted::Row(_)));
                }
                prop_assert_eq!(add(&mut many, &mut one, &a, &keys), added);
                match keep {
                    true => { many.commit(one); single.commit(other); }
                    false => { many.rollback(one); single.rollback(other); }
                }
            }
            let count = |rows: Vec<(RowId, Vec<crate::types::Datum>)>| {
                let mut keys: BTreeMap<String, usize> = BTreeMap::new();
                for (_, values) in rows {
                    *keys.entry(format!("{:?}", values[0])).or_default() += 1;
                }
                keys
            };
            prop_assert_eq!(count(many.now(&a)), count(single.now(&b)));
            many.check(&a);
        }
    }
}
