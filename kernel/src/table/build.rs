//! Making and dropping trees.

use super::core::Core;
use crate::base::{PageNo, Res};
use crate::btree::Tree;
use crate::page::{Kind, PageRef};
use crate::store::{is_used, Volume};
use std::sync::Arc;

/// Pages freed in one mini-transaction.
const BATCH: usize = 50;

impl Core {
    /// Trees of a new, empty table: (rows, overflow).
    pub fn create_table(&self) -> Res<(PageNo, PageNo)> {
        let list = self.unsettled_list()?;
        let mut mtr = self.volume.begin()?;
        let roots = mtr.reserve_first(2)?;
        let entries = self.prepare_listing(&mut mtr, list, &roots)?;
        let rows = Tree::create(&mut mtr, Kind::RowLeaf)?;
        let values = Tree::create(&mut mtr, Kind::Leaf)?;
        entries.list(&mut mtr)?;
        mtr.commit();
        // The pages may have belonged to a tree that is remembered.
        self.forget(rows.root);
        self.forget(values.root);
        Ok((rows.root, values.root))
    }

    pub fn create_index(&self) -> Res<PageNo> {
        let list = self.unsettled_list()?;
        let mut mtr = self.volume.begin()?;
        let roots = mtr.reserve_first(1)?;
        let entries = self.prepare_listing(&mut mtr, list, &roots)?;
        let tree = Tree::create(&mut mtr, Kind::Leaf)?;
        entries.list(&mut mtr)?;
        mtr.commit();
        self.forget(tree.root);
        Ok(tree.root)
    }
}

/// Gives a tree's pages back, children before their parents, so that what is left can always be found from the root, which goes
/// last, and with it the tree's entry among the unsettled ones.
pub struct DropTree {
    core: Arc<Core>,
    /// From the root down: a page, and its next child.
    stack: Vec<(PageNo, PageRef, usize)>,
    root: PageNo,
    begun: bool,
    /// A parent may name pages that are free already, or another tree's by now.
    resumed: bool,
    pub freed: u64,
}

impl DropTree {
    pub(super) fn new(core: &Arc<Core>, root: PageNo, resumed: bool) -> DropTree {
        core.forget(root);
        DropTree {
            core: Arc::clone(core),
            stack: Vec::new(),
            root,
            begun: false,
            resumed,
            freed: 0,
        }
    }

    /// Free some pages; true when all are free.
    pub fn step(&mut self) -> Res<bool> {
        let volume = Arc::clone(&self.core.volume);
        if !self.begun {
            let page = volume.page(self.root)?;
            self.stack.push((self.root, page, 0));
            self.begun = true;
        }
        let mut free: Vec<PageNo> = Vec::new();
        // What is gathered is freed before anything may wait: the walk can't be asked for it again.
        let walked = self.walk(&volume, &mut free);
        self.free(&volume, &mut free)?;
        walked?;
        Ok(self.stack.is_empty())
    }

    fn walk(&mut self, volume: &Volume, free: &mut Vec<PageNo>) -> Res<()> {
        while free.len() < BATCH {
            let Some((no, page, slot)) = self.stack.last_mut() else {
                return Ok(());
            };
            if page.level() == 0 || *slot >= page.count() {
                free.push(*no);
                self.stack.pop();
                continue;
            }
            let child = crate::btree::child(page, *slot)?;
            if self.resumed && !is_left(volume, self.root, child, page.level() - 1)? {
                *slot += 1;
                continue;
            }
            if page.level() == 1 {
                // Leaves need not be read to be freed.
                free.push(child);
                *slot += 1;
                continue;
            }
            let below = volume.page(child)?;
            *slot += 1;
            self.stack.push((child, below, 0));
        }
        Ok(())
    }

    fn free(&mut self, volume: &Volume, list: &mut Vec<PageNo>) -> Res<()> {
        let done = (|| {
            let mut mtr = volume.begin_bulk()?;
            for no in list.iter() {
                mtr.prepare_free(*no)?;
            }
            let last = list.contains(&self.root).then_some(self.root);
            let entry = self.core.prepare_settling(&mut mtr, last.as_slice())?;
            for no in list.iter() {
                mtr.free(*no)?;
            }
            entry.settle(&mut mtr)?;
            mtr.commit();
            Ok(())
        })();
        match done {
            Ok(()) => {
                self.freed += list.len() as u64;
                Ok(())
            }
            Err(stop) => {
                // They come back as pages without children.
                let empty: PageRef = Arc::default();
                self.stack
                    .extend(list.drain(..).map(|no| (no, Arc::clone(&empty), 0)));
                Err(stop)
            }
        }
    }
}

/// Is the page still this tree's? (A page that was freed and not taken again looks as before, but its bit is clear.)
fn is_left(volume: &Volume, root: PageNo, no: PageNo, level: u8) -> Res<bool> {
    if !is_used(volume, no)? {
        return Ok(false);
    }
    let page = volume.page(no)?;
    Ok(page.owner() == root && page.level() == level && !page.is_dead())
}
