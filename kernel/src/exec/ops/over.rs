//! What a table of distinct rows that is full does with more.

use super::split::{Part, Split, LEVELS};
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::keys::Groups;
use crate::expr::Env;
use crate::types::registry::TypeInfo;

/// Rows that came when their table of distinct rows was full and that are not in it: they go to temporary files, in
/// partitions that are worked on one after the other, each like an input of its own. A table that is full takes no
/// more rows, so all equal rows are on the same side.
#[derive(Default)]
pub struct Over {
    split: Option<Split>,
    parts: Vec<Part>,
    level: u32,
}

impl Over {
    pub fn is_full(&self, env: &Env, table: &Groups) -> bool {
        env.setup.spill.is_some() && self.level < LEVELS && table.bytes() > env.setup.work_mem
    }

    pub fn put(
        &mut self,
        env: &Env,
        side: usize,
        batch: &Batch,
        rows: &[u32],
        infos: &[&'static TypeInfo],
    ) -> Res<()> {
        if rows.is_empty() {
            return Ok(());
        }
        if self.split.is_none() {
            self.split = Split::new(self.level, env);
        }
        if let Some(split) = &mut self.split {
            let batch = batch.gather(rows);
            let places = split.places(&batch.columns, infos, batch.len)?;
            split.add(side, batch, &places);
        }
        Ok(())
    }

    /// What was put; after `Need` call again.
    pub fn write(&mut self) -> Res<()> {
        self.split.as_mut().map_or(Ok(()), Split::write)
    }

    /// The input is at its end: what comes next.
    pub fn next_part(&mut self) -> Option<Part> {
        self.parts
            .extend(self.split.take().into_iter().flat_map(Split::parts));
        let part = self.parts.pop()?;
        self.level = part.level;
        Some(part)
    }
}
