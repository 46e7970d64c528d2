//! Each state of a connection and what may happen in it, one a test.

use crate::script::{Client, Host, BIG, CONNECTIONS};
use std::io::Read;
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn started(threads: usize) -> (Host, Client) {
    let host = Host::new(threads);
    let mut client = host.client();
    client.send("echo ready\n");
    client.expect(&["ready"]);
    (host, client)
}

/// A client whose statement sleeps.
fn asleep() -> (Host, Client, u64) {
    let (host, mut client) = started(1);
    let (token, _) = host.only();
    client.send("sleep a\necho b\n");
    host.until("asleep", |host| {
        host.world.asleep.lock().contains(&token) && host.reactor.busy(token)
    });
    (host, client, token)
}

/// A client whose commit waits for the log.
fn parked() -> (Host, Client, u64) {
    let (host, mut client) = started(1);
    let (token, _) = host.only();
    host.logging.store(false, Ordering::SeqCst);
    client.send("commit a\necho b\n");
    host.until("parked", |host| host.world.tail.load(Ordering::SeqCst) == 1);
    std::thread::sleep(Duration::from_millis(20));
    (host, client, token)
}

fn wake(host: &Host, token: u64) {
    host.world.through.lock().insert(token);
    assert!(host.reactor.wake(token));
}

fn end(host: &Host, token: u64) {
    host.world.ending.lock().insert(token);
    host.reactor.wake(token);
}

#[test]
fn a_pipeline_through_every_state_is_answered_in_order() {
    let (host, mut client) = started(2);
    let (token, _) = host.only();
    client.send("echo 1\ncommit 2\nhost 3\nsleep 4\necho 5\ncommit 6\nhost 7\n");
    client.expect(&["1", "2", "3"]);
    host.until("asleep", |host| host.world.asleep.lock().contains(&token));
    host.world.through.lock().insert(token);
    host.reactor.wake(token);
    client.expect(&["4", "5", "6", "7"]);
    host.until("idle", |host| !host.reactor.busy(token));
}

#[test]
fn a_sleeper_is_woken_by_another_session() {
    let (host, mut client, token) = asleep();
    let mut other = host.client();
    host.world.through.lock().insert(token);
    host.world.woken.lock().push(token);
    other.send("echo x\n");
    other.expect(&["x"]);
    client.expect(&["a", "b"]);
}

#[test]
fn a_sleeper_that_sleeps_often_is_listed_once() {
    let (host, mut client, token) = asleep();
    for _ in 0..2000 {
        host.reactor.wake(token);
        host.until("asleep again", |host| host.reactor.busy(token));
    }
    wake(&host, token);
    client.expect(&["a", "b"]);
}

#[test]
fn a_session_that_keeps_time_sleeps_with_the_host() {
    let (host, mut client) = started(1);
    let (token, _) = host.only();
    host.world.sleeps_here.store(false, Ordering::SeqCst);
    client.send("sleep a\n");
    host.until("asleep", |host| host.world.asleep.lock().contains(&token));
    host.world.through.lock().insert(token);
    host.reactor.wake(token);
    client.expect(&["a"]);
}

#[test]
fn a_client_that_resets_its_connection_is_lost_in_every_state() {
    for state in ["idle", "asleep", "parked"] {
        let (host, client, token) = match state {
            "asleep" => asleep(),
            "parked" => parked(),
            _ => {
                let (host, client) = started(1);
                let token = host.only().0;
                (host, client, token)
            }
        };
        let socket = socket2::SockRef::from(&client.socket);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        host.until(state, |host| host.is_over(token));
        assert!(!host.reactor.busy(token) && !host.reactor.wake(token));
    }
}

#[test]
fn a_half_closed_client_gets_all_its_answers() {
    let (host, mut client) = started(2);
    let (token, _) = host.only();
    client.send("commit 1\nhost 2\nbig 3\ncommit 4\n");
    client.socket.shutdown(Shutdown::Write).unwrap();
    let mut all = Vec::new();
    client.reader.read_to_end(&mut all).unwrap();
    let text = String::from_utf8(all).unwrap();
    assert_eq!(text.len(), "1\n2\n\n3\n4\n".len() + BIG);
    assert!(text.starts_with("1\n2\n") && text.ends_with("\n3\n4\n"));
    host.until("over", |host| host.is_over(token));
}

#[test]
fn a_session_told_to_end_ends_in_every_state() {
    let (host, mut client) = started(1);
    let (token, _) = host.only();
    end(&host, token);
    assert_eq!(client.line().as_deref(), Some("FATAL"));
    host.until("over", |host| host.is_over(token));

    let (host, mut client, token) = parked();
    end(&host, token);
    client.expect(&["FATAL"]);
    host.until("over", |host| host.is_over(token));
}

#[test]
fn who_waits_for_the_log_and_is_woken_looks_again_and_waits_on() {
    let (host, mut client, token) = parked();
    for _ in 0..100 {
        assert!(host.reactor.wake(token));
    }
    std::thread::sleep(Duration::from_millis(20));
    assert!(host.reactor.busy(token) && !host.is_over(token));
    host.logging.store(true, Ordering::SeqCst);
    client.expect(&["a", "b"]);
    client.send("commit c\n");
    client.expect(&["c"]);
}

#[test]
fn who_keeps_time_waits_long_for_the_log_with_the_host() {
    let (host, mut client) = started(1);
    host.world.sleeps_here.store(false, Ordering::SeqCst);
    for id in ["1", "2", "3"] {
        client.send(&format!("commit {id}\n"));
        client.expect(&[id]);
    }
    // The script's host makes the log durable for what it is handed.
    host.logging.store(false, Ordering::SeqCst);
    let began = Instant::now();
    client.send("commit a\necho b\n");
    client.expect(&["a", "b"]);
    assert!(began.elapsed() >= Duration::from_millis(50));
}

#[test]
fn closing_a_parked_session_waits_for_its_commit() {
    let (host, mut client, token) = parked();
    host.reactor.close(token, false);
    std::thread::sleep(Duration::from_millis(20));
    assert!(!host.is_over(token));
    host.logging.store(true, Ordering::SeqCst);
    client.expect(&["a"]);
    host.until("over", |host| host.is_over(token));
}

#[test]
fn closing_a_sleeper_ends_it() {
    let (host, mut client, token) = asleep();
    host.reactor.close(token, false);
    assert_eq!(client.line(), None);
    host.until("over", |host| host.is_over(token));
}

#[test]
fn what_others_write_goes_out_in_every_state() {
    let (host, mut client) = started(1);
    let (token, session) = host.only();
    session.notify("note\n");
    host.reactor.flush(token);
    client.expect(&["note"]);

    let (host, mut client, token) = asleep();
    host.only().1.notify("note\n");
    host.reactor.flush(token);
    client.expect(&["note"]);
    wake(&host, token);
    client.expect(&["a", "b"]);
}

#[test]
fn a_session_that_panics_does_not_take_the_thread_along() {
    let (host, mut client) = started(1);
    client.send("panic x\n");
    let mut other = host.client();
    other.send("echo y\ncommit z\n");
    other.expect(&["y", "z"]);
}

#[test]
fn a_client_that_does_not_read_keeps_neither_its_session_nor_its_socket() {
    let (host, mut client) = started(1);
    let (token, _) = host.only();
    client.send("big 1\nbig 2\n");
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    host.reactor.close(token, false);
    host.until("over", |host| host.is_over(token));
    assert!(began.elapsed() < Duration::from_secs(5));
    // The socket is dropped a little later (`LINGER`).
    std::thread::sleep(Duration::from_secs(3));
    let mut all = Vec::new();
    let _ = client.reader.read_to_end(&mut all);
    assert!(all.len() < 2 * BIG);
}

#[test]
fn a_client_that_reads_late_gets_everything() {
    let (host, mut client) = started(1);
    let (token, _) = host.only();
    client.send("big 1\necho 2\nbig 3\nhost 4\n");
    std::thread::sleep(Duration::from_millis(100));
    for id in ["1", "2", "3", "4"] {
        while client.line().as_deref() != Some(id) {}
    }
    assert!(!host.is_over(token));
}

#[test]
fn a_burst_of_clients_keeps_no_more_sockets_than_it_may() {
    let host = Host::new(2);
    let mut inside: Vec<Client> = (0..CONNECTIONS).map(|_| host.client()).collect();
    for client in &mut inside {
        client.send("echo in\n");
        client.expect(&["in"]);
    }
    for _ in 0..100 {
        assert_eq!(host.client().line(), None);
    }
    // One goes, one comes.
    drop(inside.pop());
    host.until("one has gone", |host| !host.lost.lock().is_empty());
    let mut next = host.client();
    next.send("echo in\n");
    next.expect(&["in"]);
}
