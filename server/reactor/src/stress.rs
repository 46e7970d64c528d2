//! Clients, wake-ups, writes of others and closes at random: every request is answered exactly once, in order.

use crate::script::Host;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 12;
const SECONDS: u64 = 4;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// One client's life; how many requests were answered.
fn talk(host: &Host, random: &mut Random, until: Instant) -> usize {
    let (mut client, mut next, mut answered) = (host.client(), 0, 0);
    while Instant::now() < until {
        let batch = 1 + random.below(8);
        let lines: String = (0..batch)
            .map(|at| {
                let verb = ["echo", "commit", "host", "sleep", "commit", "sleep"]
                    [random.below(6) as usize];
                format!("{verb} {}\n", next + at)
            })
            .collect();
        client.send(&lines);
        if random.below(200) == 0 {
            return answered; // without waiting for the answers
        }
        let mut left = batch;
        while left > 0 {
            let line = client.line().expect("nobody has closed it");
            if line == "note" {
                continue;
            }
            assert_eq!(line, next.to_string());
            (next, left, answered) = (next + 1, left - 1, answered + 1);
        }
    }
    answered
}

/// Wake whoever sleeps, and others for nothing; write to anybody.
fn disturb(host: &Host, random: &mut Random, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let sleepers: Vec<u64> = host.world.asleep.lock().iter().copied().collect();
        for token in sleepers {
            match random.below(3) {
                0 => {}
                1 => {
                    host.world.through.lock().insert(token);
                    host.reactor.wake(token);
                }
                // By whichever session comes along.
                _ => {
                    host.world.through.lock().insert(token);
                    host.world.woken.lock().push(token);
                }
            }
        }
        let all: Vec<_> = host
            .sessions
            .lock()
            .iter()
            .map(|(token, session)| (*token, session.clone()))
            .collect();
        for (token, session) in all {
            match random.below(40) {
                0 => {
                    session.notify("note\n");
                    host.reactor.flush(token);
                }
                1 => {
                    host.reactor.wake(token);
                }
                2 => host.reactor.durable(),
                _ => {}
            }
        }
        std::thread::sleep(Duration::from_micros(random.below(300)));
    }
}

#[test]
fn every_request_is_answered_once_and_in_order() {
    let host = Host::new(3);
    let (until, stop) = (
        Instant::now() + Duration::from_secs(SECONDS),
        AtomicBool::new(false),
    );
    let (answered, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (host, stop, answered, ended) = (&host, &stop, &answered, &ended);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || {
                    let mut random = Random(0x9E37_79B9 * (number as u64 + 1));
                    while Instant::now() < until {
                        answered.fetch_add(talk(host, &mut random, until), Ordering::SeqCst);
                        ended.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for number in 0..2 {
            scope.spawn(move || disturb(host, &mut Random(77 + number), stop));
        }
        for client in clients {
            client.join().unwrap();
        }
        // Who left with a sleep under way is told to go on, so that all of them are seen to end.
        host.until("everybody over", |host| {
            host.lost.lock().len() == ended.load(Ordering::SeqCst)
        });
        stop.store(true, Ordering::SeqCst);
    });
    assert!(host.sessions.lock().is_empty());
    assert!(
        answered.load(Ordering::SeqCst) > 1000,
        "{} answers only",
        answered.load(Ordering::SeqCst)
    );
}
