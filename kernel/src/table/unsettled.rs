//! Trees that may belong to nobody: made by transactions that have not ended, or about to be dropped.
//!
//! A tree enters the list in the mini-transaction that makes it, or before the commit that drops it, and leaves it when the catalogue
//! names it for good, or with its last page. So whatever a crash interrupts, the catalogue decides afterwards: what is listed
//! and named is settled, what is listed and not named is dropped. The list is a tree, too: key = root page (8 bytes big-endian).

use super::core::Core;
use crate::base::error::corrupt;
use crate::base::{PageNo, Res};
use crate::btree::{key_of, Cursor, Spot, Tree};
use crate::page::Kind;
use crate::store::{Field, Mtr};

/// Where page 0 names the list; 0: nothing was ever listed.
const ROOT: Field = Field::Root(1);
/// Entries changed in one mini-transaction.
const BATCH: usize = 32;
const KEY: usize = 8;

/// Entries that are prepared: what follows can't wait.
pub(super) struct Entries {
    tree: Tree,
    spots: Vec<(Spot, [u8; KEY])>,
}

impl Core {
    fn list(&self) -> Res<Option<Tree>> {
        let root = PageNo(self.volume.field(ROOT)?);
        Ok((root.0 != 0).then_some(Tree { root }))
    }

    /// The list, made at its first use.
    pub(super) fn unsettled_list(&self) -> Res<Tree> {
        if let Some(tree) = self.list()? {
            return Ok(tree);
        }
        let mut mtr = self.volume.begin()?;
        mtr.reserve(1)?;
        mtr.field(ROOT)?;
        let tree = Tree::create(&mut mtr, Kind::Leaf)?;
        mtr.set_field(ROOT, tree.root.0)?;
        mtr.commit();
        Ok(tree)
    }

    /// Fetch what listing these roots needs. Those that are there stay.
    pub(super) fn prepare_listing(
        &self,
        mtr: &mut Mtr<'_>,
        tree: Tree,
        roots: &[PageNo],
    ) -> Res<Entries> {
        let mut spots = Vec::new();
        for root in roots {
            let key = root.0.to_be_bytes();
            let spot = tree.prepare(mtr, &key, KEY + 8)?;
            if !spot.found {
                spots.push((spot, key));
            }
        }
        Ok(Entries { tree, spots })
    }

    /// Fetch what taking these roots off the list needs.
    pub(super) fn prepare_settling(&self, mtr: &mut Mtr<'_>, roots: &[PageNo]) -> Res<Entries> {
        let Some(tree) = self.list()? else {
            return Ok(Entries {
                tree: Tree { root: PageNo(0) },
                spots: Vec::new(),
            });
        };
        let mut spots = Vec::new();
        for root in roots {
            let key = root.0.to_be_bytes();
            let spot = tree.prepare_remove(mtr, &key)?;
            if spot.found {
                spots.push((spot, key));
            }
        }
        Ok(Entries { tree, spots })
    }

    /// These trees are about to be dropped: to be called before the commit that does it.
    pub fn unsettle(&self, roots: &[PageNo]) -> Res<()> {
        let tree = self.unsettled_list()?;
        for part in roots.chunks(BATCH) {
            let mut mtr = self.volume.begin()?;
            self.prepare_listing(&mut mtr, tree, part)?.list(&mut mtr)?;
            mtr.commit();
        }
        Ok(())
    }

    /// The catalogue names these trees for good.
    pub fn settle(&self, roots: &[PageNo]) -> Res<()> {
        for part in roots.chunks(BATCH) {
            let mut mtr = self.volume.begin()?;
            self.prepare_settling(&mut mtr, part)?.settle(&mut mtr)?;
            mtr.commit();
        }
        Ok(())
    }

    /// What is listed.
    pub fn unsettled(&self) -> Res<Vec<PageNo>> {
        let Some(tree) = self.list()? else {
            return Ok(Vec::new());
        };
        let mut cursor = Cursor::new(tree);
        cursor.seek(&*self.volume, &[])?;
        let mut found = Vec::new();
        while let Some((page, slot)) = cursor.next(&*self.volume)? {
            match key_of(page, slot)?.first_chunk::<KEY>() {
                Some(key) => found.push(PageNo(u64::from_be_bytes(*key))),
                None => return corrupt("the list of unsettled trees is damaged"),
            }
        }
        Ok(found)
    }
}

impl Entries {
    pub fn list(&self, mtr: &mut Mtr<'_>) -> Res<()> {
        for (spot, key) in &self.spots {
            self.tree.insert(mtr, spot, key, &[])?;
        }
        Ok(())
    }

    pub fn settle(&self, mtr: &mut Mtr<'_>) -> Res<()> {
        for (spot, key) in &self.spots {
            self.tree.remove(mtr, spot, key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::harness::World;
    use super::super::tests::noise;
    use super::*;
    use crate::exec::access::TableDef;
    use crate::store::used_pages;
    use std::sync::Arc;

    fn roots(table: &TableDef) -> Vec<PageNo> {
        let mut roots = vec![table.root, table.overflow];
        roots.extend(table.indexes.iter().map(|i| i.root));
        roots
    }

    fn used(w: &mut World) -> u64 {
        w.store.flush(&w.volume);
        used_pages(&w.store).unwrap()
    }

    fn drop_all(w: &mut World, roots: &[PageNo], resumed: bool) {
        for root in roots {
            let mut job = w.tables.drop_tree(*root, resumed);
            while !w.run(|_| job.step()).unwrap() {}
        }
    }

    /// What opening the volume does: the catalogue names `named`.
    fn recover(w: &mut World, named: &[PageNo]) {
        let listed = w.run(|t| t.unsettled()).unwrap();
        let (keep, gone): (Vec<PageNo>, Vec<PageNo>) =
            listed.into_iter().partition(|root| named.contains(root));
        w.run(|t| t.settle(&keep)).unwrap();
        drop_all(w, &gone, true);
        assert!(w.run(|t| t.unsettled()).unwrap().is_empty());
    }

    fn fill(w: &mut World, table: &Arc<TableDef>, rows: i64) {
        use crate::types::Datum;
        let mut tx = w.begin(1, false);
        for k in 0..rows {
            let text = noise(if k % 50 == 0 { 5000 } else { 60 }, k as u64);
            let row = [Datum::Int(k), Datum::text(text.as_str()), Datum::Int(k)];
            w.insert(&mut tx, table, &row).unwrap();
        }
        w.commit(tx);
    }

    #[test]
    fn what_a_crash_leaves_of_making_a_table_goes() {
        let mut w = World::new(1000);
        w.run(|t| t.unsettled()).unwrap();
        w.run(|t| t.unsettle(&[])).unwrap();
        let before = used(&mut w);
        let table = w.table();
        let after = used(&mut w);
        for end in w.store.ends() {
            let mut crashed = w.crashed(end, 1000);
            recover(&mut crashed, &[]);
            assert!(used(&mut crashed) <= before, "after a crash at {end}");
        }
        // Committed: the catalogue names them.
        let mut crashed = w.crashed(w.store.log.len() as u64, 1000);
        recover(&mut crashed, &roots(&table));
        assert_eq!(used(&mut crashed), after);
    }

    #[test]
    fn a_half_dropped_table_goes_wherever_the_crash_came() {
        let mut w = World::new(5000);
        let kept = w.table();
        fill(&mut w, &kept, 200);
        w.run(|t| t.settle(&roots(&kept))).unwrap();
        let table = w.table();
        w.run(|t| t.settle(&roots(&table))).unwrap();
        let before = used(&mut w);
        fill(&mut w, &table, 3000);
        let full = used(&mut w);
        assert!(full > before + 60);
        let begun = w.store.log.len() as u64;
        w.run(|t| t.unsettle(&roots(&table))).unwrap();
        drop_all(&mut w, &roots(&table), false);
        assert!(used(&mut w) < before);
        let without = used(&mut w);
        for end in w.store.ends().into_iter().filter(|end| *end > begun) {
            let mut crashed = w.crashed(end, 300);
            // Space that is free already may be taken before the rest is freed.
            let other = crashed.table();
            fill(&mut crashed, &other, 300);
            let mut named = roots(&kept);
            named.extend(roots(&other));
            let grown = crashed.check(&other);
            recover(&mut crashed, &named);
            assert_eq!(crashed.check(&other), grown, "after a crash at {end}");
            assert_eq!(crashed.check(&kept), vec![200, 8, 200, 200]);
            drop_all(&mut crashed, &roots(&other), false);
            // And one page of commit states, which every process begins.
            let expected = without + 1;
            assert_eq!(used(&mut crashed), expected, "after a crash at {end}");
        }
    }
}
