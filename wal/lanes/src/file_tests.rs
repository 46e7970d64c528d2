use crate::file::{LogFile, SYNCED};
use crate::tests::message;
use crate::{Message, Write};
use std::fs::File;
use std::path::Path;

/// Writes parts of these sizes, one write behind the other; what the file should hold, and whether each was durable in the end.
fn write_all(
    file: &LogFile,
    writes: &[Vec<usize>],
    reserve: Option<usize>,
) -> (Vec<u8>, Vec<bool>) {
    let (mut expected, mut synced): (Vec<u8>, Vec<bool>) = Default::default();
    for sizes in writes {
        let mut parts: Vec<Message> = Vec::new();
        let offset = expected.len() as u64;
        for size in sizes {
            let part: Vec<u8> = (0..*size)
                .map(|at| (at * 7 + expected.len()) as u8 | 1)
                .collect();
            expected.extend(&part);
            parts.push(message(&part));
        }
        let reserve = reserve.filter(|_| offset == 0).map(|size| (0, size));
        let write = Write {
            offset,
            parts,
            reserve,
        };
        SYNCED.take();
        file.write(&write).unwrap();
        synced.push(is_synced(offset, expected.len() as u64));
    }
    (expected, synced)
}

/// Whether all that stands there was made durable by the last write.
fn is_synced(mut from: u64, to: u64) -> bool {
    for synced in SYNCED.take() {
        if synced.contains(&from) {
            from = synced.end;
        }
    }
    from >= to
}

fn same(path: &Path, expected: &[u8]) {
    let written = std::fs::read(path).unwrap();
    let (begin, rest) = written.split_at(expected.len());
    assert!(begin == expected, "what was written");
    assert!(rest.iter().all(|byte| *byte == 0), "nothing behind it");
}

fn writes() -> Vec<Vec<usize>> {
    vec![
        vec![1],
        vec![100, 0, 24, 500],
        vec![4096 - 625],
        vec![4096],
        vec![5, 4090, 1],
        (0..2100).map(|part| part % 3).collect(),
        vec![300 << 10, 24, 700 << 10],
        vec![7; 3],
        // To the end of a piece.
        vec![256 << 10; 4],
        vec![24, 470],
    ]
}

#[test]
fn parts_go_one_behind_the_other_whichever_way_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (durable, reserve)) in [(true, None), (true, Some(1 << 20)), (false, Some(10_000))]
        .into_iter()
        .enumerate()
    {
        let path = folder.path().join(number.to_string());
        File::create(&path).unwrap();
        let file = LogFile::open(path.to_str().unwrap(), durable).unwrap();
        let (expected, synced) = write_all(&file, &writes(), reserve);
        same(&path, &expected);
        assert!(synced.iter().all(|synced| *synced == durable), "{synced:?}");
    }
}

#[test]
fn a_file_that_is_written_in_another_order_goes_by_the_page_cache() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    File::create(&path).unwrap();
    let file = LogFile::open(path.to_str().unwrap(), true).unwrap();
    let (mut expected, _) = write_all(&file, &[vec![10], vec![20]], None);
    // The last one again, as after a failure, and then what follows.
    for (offset, byte) in [(10, 3), (30, 4), (50, 5)] {
        let write = Write {
            offset,
            parts: vec![message(&[byte; 20])],
            reserve: None,
        };
        SYNCED.take();
        file.write(&write).unwrap();
        assert!(is_synced(offset, offset + 20));
        expected.resize(offset as usize, 0);
        expected.extend([byte; 20]);
    }
    same(&path, &expected);
}
