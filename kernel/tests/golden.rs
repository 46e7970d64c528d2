//! Golden scripts of the storage kernel: `tests/scripts/**/*.txt`, a sentence, then commands (`> …`) and after `---` what they
//! print. `REWRITE=1 cargo test --test golden` writes what is printed now.
//!
//! Commands: `create index|rows`; `insert K V`, `fill A..B V` (numbered keys, one MTR each), `replace K V`, `remove K`,
//! `empty A..B`; `row ID PAYLOAD`, `push ID XID PAYLOAD [skip N] [keep N]`, `delete ID XID`; `get K`, `scan`, `back`, `shape`,
//! `rowcell ID`; `log` (records since the last `log` or `quiet`); `durable`; `reopen` (a new cache over what storage has); `horizon`.

use _kernel::base::{Lsn, Need, PageNo, Res, RowId, Stop, Xid};
use _kernel::btree::{check, key_of, value_of, Cursor, Tree};
use _kernel::page::{Kind, Page, PageRef};
use _kernel::redo::version::{self, Push};
use _kernel::redo::{Decoder, Record};
use _kernel::store::{Config, Mtr, Pages, Volume};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Default)]
struct Storage(BTreeMap<PageNo, Page>);

impl Pages for Storage {
    fn page(&self, no: PageNo) -> Res<PageRef> {
        Ok(Arc::new(self.0.get(&no).cloned().unwrap_or_default()))
    }

    fn absent(&self, list: &[PageNo]) -> Vec<PageNo> {
        list.to_vec()
    }
}

struct World {
    vol: Volume,
    storage: Storage,
    tree: Tree,
    unread: String,
}

impl World {
    fn new() -> World {
        World {
            vol: Volume::create(Config::default()).unwrap(),
            storage: Storage::default(),
            tree: Tree { root: PageNo(0) },
            unread: String::new(),
        }
    }

    fn durable(&mut self) {
        while let Some(flush) = self.vol.take_flush(1) {
            for entry in Decoder::new(flush.start, &flush.records) {
                let entry = entry.unwrap();
                let page = self.storage.0.entry(entry.page).or_default();
                entry.record.apply(page, entry.lsn).unwrap();
                let text = entry.record.decoded(describe).unwrap();
                let end = if entry.cpl { " |" } else { "" };
                writeln!(
                    self.unread,
                    "{} bytes, page {}: {text}{end}",
                    entry.raw.len(),
                    entry.page
                )
                .unwrap();
            }
        }
        self.vol.set_vdl(self.vol.tail()).unwrap();
    }

    fn write<T>(&mut self, mut step: impl FnMut(&mut Mtr, Tree) -> Res<T>) -> Res<T> {
        loop {
            let tree = self.tree;
            let done = self.vol.begin().and_then(|mut mtr| {
                let done = step(&mut mtr, tree)?;
                mtr.commit();
                Ok(done)
            });
            match done {
                Err(Stop::Need(Need::Page(no))) => self.fetch(no),
                other => return other,
            }
        }
    }

    fn fetch(&mut self, no: PageNo) {
        self.durable();
        if self.vol.fetch_begin(no).is_some() {
            let page = self.storage.0.get(&no).cloned().unwrap_or_default();
            self.vol.install(no, page).unwrap();
        }
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) -> Res<bool> {
        self.write(|mtr, tree| {
            let spot = tree.prepare(mtr, key, key.len() + value.len() + 2)?;
            tree.insert(mtr, &spot, key, value)
        })
    }

    fn remove(&mut self, key: &[u8]) -> Res<bool> {
        self.write(|mtr, tree| {
            let spot = tree.prepare_remove(mtr, key)?;
            tree.remove(mtr, &spot, key)
        })
    }

    fn push(&mut self, words: &[&str], flags: u8) -> Res<bool> {
        let key = number(words, 0).to_be_bytes();
        let (xid, payload) = (
            Xid(number(words, 1)),
            words.get(2).unwrap_or(&"").as_bytes().to_vec(),
        );
        let option = |name| {
            words
                .iter()
                .position(|word| *word == name)
                .map(|at| number(words, at + 1) as u32)
        };
        self.write(|mtr, tree| {
            let spot = tree.prepare(mtr, &key, payload.len() + 20)?;
            let page = mtr.page(spot.leaf)?;
            let mut push = Push::diff(page.cell(spot.slot)?, flags, xid, 0, &payload)?;
            drop(page);
            push.skip = option("skip").unwrap_or(0);
            push.keep = option("keep").unwrap_or(version::ALL);
            tree.push_version(mtr, &spot, &key, &push)
        })
    }

    fn run(&mut self, line: &str, out: &mut String) -> Res<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (command, words) = words.split_first().expect("a command");
        let text = |at: usize| words.get(at).copied().unwrap_or("").as_bytes();
        let changed = match *command {
            "create" => {
                let kind = if words == ["rows"] {
                    Kind::RowLeaf
                } else {
                    Kind::Leaf
                };
                self.tree = self.write(|mtr, _| {
                    mtr.reserve(1)?;
                    Tree::create(mtr, kind)
                })?;
                true
            }
            "insert" => self.insert(text(0), text(1))?,
            "remove" => self.remove(text(0))?,
            "replace" => self.write(|mtr, tree| {
                let spot = tree.prepare(mtr, text(0), text(0).len() + text(1).len() + 2)?;
                tree.replace(mtr, &spot, text(0), text(1))
            })?,
            "fill" | "empty" => {
                let (from, to) = words[0].split_once("..").expect("a range");
                let all = from.parse::<u64>().unwrap()..to.parse().unwrap();
                let mut done = true;
                for n in all {
                    let key = format!("{n:06}");
                    done &= match *command {
                        "fill" => self.insert(key.as_bytes(), text(1))?,
                        _ => self.remove(key.as_bytes())?,
                    };
                }
                done
            }
            "row" => {
                let cell = version::cell(RowId(number(words, 0)), 0, Xid(1), 0, text(1));
                self.write(|mtr, tree| {
                    let spot = tree.prepare(mtr, &cell[..8], cell.len())?;
                    tree.insert_cell(mtr, &spot, &cell[..8], &cell)
                })?
            }
            "push" => self.push(words, 0)?,
            "delete" => self.push(words, version::DELETED)?,
            _ => {
                self.look(command, words, out)?;
                true
            }
        };
        if !changed {
            writeln!(out, "{line}: nothing").unwrap();
        }
        Ok(())
    }

    fn look(&mut self, command: &str, words: &[&str], out: &mut String) -> Res<()> {
        self.durable();
        match command {
            "durable" => {}
            "log" => out.push_str(&std::mem::take(&mut self.unread)),
            "quiet" => self.unread.clear(),
            "horizon" => self.vol.set_horizon(self.vol.vdl()),
            "reopen" => {
                self.vol = Volume::open(Config::default(), self.vol.vdl(), Lsn(self.vol.tail().0))
            }
            "get" => match self.tree.get(&self.storage, words[0].as_bytes())? {
                Some((page, slot)) => writeln!(out, "{}", show(value_of(&page, slot)?)).unwrap(),
                None => out.push_str("none\n"),
            },
            "rowcell" => {
                let key = number(words, 0).to_be_bytes();
                let (page, slot) = self.tree.get(&self.storage, &key)?.expect("the row");
                for version in version::versions(page.cell(slot)?) {
                    let version = version?;
                    let gone = if version.is_deleted() { " deleted" } else { "" };
                    writeln!(out, "xid {}{gone} {}", version.xid, show(version.payload)).unwrap();
                }
            }
            "scan" | "back" => {
                let mut cursor = Cursor::new(self.tree);
                cursor.seek_last(&self.storage)?;
                if command == "scan" {
                    cursor.seek(&self.storage, words.first().unwrap_or(&"").as_bytes())?;
                }
                while let Some((page, slot)) = match command {
                    "scan" => cursor.next(&self.storage)?,
                    _ => cursor.prev(&self.storage)?,
                } {
                    writeln!(
                        out,
                        "{} = {}",
                        show(key_of(page, slot)?),
                        show(value_of(page, slot)?)
                    )
                    .unwrap();
                }
            }
            "shape" => self.shape(out)?,
            other => panic!("unknown command {other}"),
        }
        Ok(())
    }

    fn shape(&self, out: &mut String) -> Res<()> {
        let stats = check(&self.storage, self.tree)?;
        writeln!(
            out,
            "{} levels, {} branches, {} leaves, {} cells",
            stats.levels, stats.branches, stats.leaves, stats.cells
        )
        .unwrap();
        for (no, page) in &self.storage.0 {
            if page.owner() == self.tree.root && !page.is_dead() {
                let high = page.high()?.map_or("the end".into(), show);
                writeln!(
                    out,
                    "page {no}: {:?} level {}, {} cells, below {high}, right {}",
                    page.kind(),
                    page.level(),
                    page.count(),
                    page.right()
                )
                .unwrap();
            }
        }
        Ok(())
    }
}

fn number(words: &[&str], at: usize) -> u64 {
    words[at].parse().expect("a number")
}

fn describe(record: &Record) -> String {
    match record {
        Record::Init {
            kind,
            level,
            links,
            cells,
            ..
        } => {
            let high = links.high.map_or("the end".into(), show);
            format!(
                "Init {kind:?} level {level}, {} cells, below {high}, right {}",
                cells.len(),
                links.right
            )
        }
        Record::InsertCell { slot, bytes } => format!("InsertCell {slot} {}", show(bytes)),
        Record::ReplaceCell {
            slot,
            prefix,
            suffix,
            middle,
        } => {
            format!("ReplaceCell {slot} {prefix}+{}+{suffix}", show(middle))
        }
        Record::Truncate { from, right, high } => {
            format!("Truncate {from}.., right {right}, below {}", show(high))
        }
        Record::SetLinks { right, high } => {
            format!(
                "SetLinks right {right}, below {}",
                high.map_or("the end".into(), show)
            )
        }
        Record::PutBytes { offset, bytes } => format!("PutBytes {offset} {}", show(bytes)),
        Record::PushVersion { slot, push } => {
            let (prefix, suffix) = (push.prefix, push.suffix);
            format!(
                "PushVersion {slot} xid {} {prefix}+{}+{suffix}",
                push.xid,
                show(push.middle)
            )
        }
        Record::SetBits { bits } => format!("Set{bits:?}"),
        other => format!("{other:?}"),
    }
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// The script with what its commands print now.
fn replay(script: &str) -> String {
    let mut world = World::new();
    let (mut out, mut printed, mut skipping) = (String::new(), String::new(), false);
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            writeln!(out, "{line}").unwrap();
            if let Err(stop) = world.run(command, &mut printed) {
                writeln!(printed, "{command}: {stop:?}").unwrap();
            }
        } else if line == "---" {
            writeln!(out, "---\n{}", printed.trim_end()).unwrap();
            printed.clear();
            skipping = true;
        } else if line.is_empty() || !skipping {
            skipping = false;
            writeln!(out, "{line}").unwrap();
        }
    }
    out
}

fn scripts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(scripts(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_script_prints_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let all = scripts(&folder);
    assert!(!all.is_empty());
    for path in all {
        let script = std::fs::read_to_string(&path).unwrap();
        let now = replay(&script);
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, now).unwrap();
        } else {
            assert_eq!(script, now, "{}", path.display());
        }
    }
}
