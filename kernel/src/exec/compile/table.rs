//! From the plan's tables to what storage must know of them.

use crate::base::error::fail;
use crate::base::Res;
use crate::exec::access::{self, TableDef};
use crate::exec::plan;
use crate::types::registry;
use crate::types::settings::Settings;
use crate::types::Datum;

/// What storage must know of the plan's table.
pub fn table_def(table: &plan::Table, settings: &Settings) -> Res<TableDef> {
    let mut columns = Vec::with_capacity(table.columns.len());
    for c in &table.columns {
        let missing = match &c.missing {
            Some(text) => registry::get(c.typ)?.input(text, c.typmod, settings)?,
            None => Datum::Null,
        };
        columns.push(access::ColumnDef {
            name: c.name.clone(),
            typ: c.typ,
            typmod: c.typmod,
            dropped: c.dropped,
            not_null: c.not_null,
            missing,
        });
    }
    let mut indexes = Vec::with_capacity(table.indexes.len());
    for index in &table.indexes {
        let mut keys = Vec::with_capacity(index.keys.len());
        for k in &index.keys {
            let Some(column) = columns.get(k.column) else {
                return fail(
                    "XX000",
                    format!("index {} has no column {}", index.name, k.column),
                );
            };
            keys.push(access::IndexKey {
                column: k.column,
                typ: column.typ,
                desc: k.desc,
                nulls_first: k.nulls_first,
            });
        }
        indexes.push(access::IndexDef {
            oid: index.oid,
            name: index.name.clone(),
            root: index.root,
            unique: index.unique,
            nulls_not_distinct: index.nulls_not_distinct,
            keys,
        });
    }
    Ok(TableDef {
        oid: table.oid,
        name: table.name.clone(),
        schema: table.schema.clone(),
        root: table.root,
        overflow: table.overflow,
        columns,
        indexes,
    })
}
