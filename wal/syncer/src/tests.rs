use super::*;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

struct Bytes(Vec<u8>);

impl Part for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn taken(syncer: &Syncer<Bytes>, wanted: usize) -> Vec<Done<Bytes>> {
    let mut done = Vec::new();
    let begun = Instant::now();
    while done.len() < wanted && begun.elapsed() < Duration::from_secs(20) {
        done.append(&mut syncer.take());
        std::thread::yield_now();
    }
    done
}

#[test]
fn parts_are_written_one_behind_the_other_in_the_order_submitted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    File::create(&path).unwrap();
    let file = Synced::open(path.to_str().unwrap()).unwrap();
    let syncer: Syncer<Bytes> = Syncer::new(2).unwrap();
    let mut expected = Vec::new();
    for number in 0..50u64 {
        // More parts than the system takes at once, some of them empty.
        let parts: Vec<Bytes> = (0..2100)
            .map(|part: usize| Bytes(vec![number as u8; part % 3]))
            .collect();
        let offset = expected.len() as u64;
        parts
            .iter()
            .for_each(|part| expected.extend_from_slice(&part.0));
        let file = file.clone();
        assert!(syncer.submit(
            0,
            Job {
                file,
                offset,
                parts,
                number
            }
        ));
    }
    syncer.start();
    let done = taken(&syncer, 50);
    let numbers: Vec<u64> = done.iter().map(|one| one.number).collect();
    assert_eq!(numbers, (0..50).collect::<Vec<u64>>());
    assert!(done
        .iter()
        .all(|one| one.result.is_ok() && one.parts.len() == 2100));
    assert_eq!(std::fs::read(&path).unwrap(), expected);
    syncer.stop();
}

#[test]
fn a_failed_write_says_so_and_the_lane_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    File::create(&path).unwrap();
    let good = Synced::open(path.to_str().unwrap()).unwrap();
    let bad = Synced(Arc::new(File::open(&path).unwrap()));
    let syncer: Syncer<Bytes> = Syncer::new(1).unwrap();
    for (number, file) in [(1, bad), (2, good)] {
        let parts = vec![Bytes(b"redo".to_vec())];
        syncer.submit(
            0,
            Job {
                file,
                offset: 0,
                parts,
                number,
            },
        );
    }
    syncer.start();
    let done = taken(&syncer, 2);
    assert_eq!(done[0].result.as_ref().unwrap_err().raw_os_error(), Some(9)); // EBADF: opened for reading
    assert!(done[1].result.is_ok());
    assert!(!syncer.submit(
        1,
        Job {
            file: Synced(Arc::new(File::open(&path).unwrap())),
            offset: 0,
            parts: vec![],
            number: 3
        }
    ));
}

#[test]
fn the_signal_is_readable_until_it_is_cleared_and_costs_one_byte() {
    let signal = Signal::new().unwrap();
    let mut peer = UnixStream::from(
        rustix::io::dup(&signal.receiver).expect("a descriptor can be duplicated"),
    );
    assert!(peer.read(&mut [0; 8]).is_err());
    signal.raise();
    signal.raise();
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 1);
    signal.raise();
    assert!(peer.read(&mut [0; 8]).is_err());
    signal.clear();
    signal.raise();
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 1);
}
