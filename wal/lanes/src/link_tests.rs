//! Both ends of a connection, over real sockets.

use super::tests::{ack, message, until, Numbers, Plain, Seen};
use super::*;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (here, listener.accept().unwrap().0)
}

/// As the host does it, but through a descriptor that is borrowed safely.
fn hand_over(socket: &TcpStream, door: BorrowedFd<'_>) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [socket.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    rustix::net::sendmsg(
        door,
        &[IoSlice::new(&[0])],
        &mut control,
        SendFlags::empty(),
    )
    .unwrap();
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat()
}

fn read_frame(socket: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).unwrap();
    let mut body = vec![0; u32::from_le_bytes(head) as usize];
    socket.read_exact(&mut body).unwrap();
    body
}

#[test]
fn a_node_serves_a_link_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let intake = Arc::new(Plain::default());
    let lane = Lane::new("a", intake.clone(), true, 1 << 20).unwrap();
    intake.begin_file(&lane, &folder.path().join("journal"));
    lane.set_writer(1, Some(5));
    let (mut writer, node) = pair();
    hand_over(&node, lane.door_for_tests());
    drop(node);
    assert!(lane.link(1, 5, message(b"J")).unwrap());
    assert_eq!(read_frame(&mut writer), b"J");
    // In pieces, and two at once.
    let all = [frame(b"one"), frame(b"two"), frame(b"no")].concat();
    for piece in all.chunks(5) {
        writer.write_all(piece).unwrap();
    }
    let mut told = Vec::new();
    while !told.contains(&b"X refused".to_vec())
        || !told.iter().any(|m| m.ends_with(&2u64.to_le_bytes()))
    {
        told.push(read_frame(&mut writer));
    }
    // Hints of one who is no writer any more are passed over; batches say themselves whose they are.
    lane.set_writer(1, Some(6));
    writer
        .write_all(&[frame(b"H old"), frame(b"three")].concat())
        .unwrap();
    until("written", || intake.written_so_far() == 3);
    drop(writer);
    until("left", || {
        lane.take()
            .iter()
            .any(|event| matches!(event, Event::Left(1, 5)))
    });
    let (_writer, node) = pair();
    hand_over(&node, lane.door_for_tests());
    assert!(!lane.link(1, 5, message(b"J")).unwrap(), "an old ticket");
    lane.stop();
}

#[test]
fn what_is_no_message_ends_a_link() {
    let lane = Lane::new("a", Arc::new(Plain::default()), true, 1 << 20).unwrap();
    lane.set_writer(1, Some(5));
    let (mut writer, node) = pair();
    hand_over(&node, lane.door_for_tests());
    drop(node);
    assert!(lane.link(1, 5, message(b"J")).unwrap());
    writer.write_all(&[0xff; 100]).unwrap();
    until("left", || {
        lane.take()
            .iter()
            .any(|event| matches!(event, Event::Left(1, 5)))
    });
    assert_eq!(read_frame(&mut writer), b"J");
    assert!(matches!(writer.read(&mut [0; 8]), Ok(0) | Err(_)));
    lane.stop();
}

#[test]
fn a_writer_sends_by_its_links_and_hears_of_their_ends() {
    let source = Arc::new(Numbers::default());
    let streams = Streams::new(source.clone(), 2).unwrap();
    let mut nodes = Vec::new();
    for member in 0..2 {
        let (here, node) = pair();
        hand_over(&here, streams.door_for_tests());
        // Part of an acknowledgement has been read already.
        streams.link(member, &frame(b"A12345678\x01")[..3]).unwrap();
        nodes.push(node);
    }
    source.add(&[1, 2]);
    streams.urge();
    for node in &mut nodes {
        assert_eq!(read_frame(node), [1]);
        node.write_all(&frame(b"A12345678\x01")[3..]).unwrap();
    }
    for node in &mut nodes {
        assert_eq!(read_frame(node), [2]);
    }
    // More than a socket takes stays behind until it is read.
    let much = message(&vec![7; 3 << 20]);
    streams.send(&much);
    for node in &mut nodes {
        assert_eq!(read_frame(node).len(), 3 << 20);
    }
    nodes.pop();
    until("lost", || streams.take().1 == [(1, false)]);
    // To one that is gone, whether it is known yet or not.
    nodes.clear();
    for _ in 0..100 {
        streams.send(&ack(1));
    }
    until("lost too", || streams.take().1 == [(0, false)]);
    streams.send(&much);
    streams.close();
}

#[test]
fn a_member_that_takes_nothing_is_dropped_before_it_fills_the_memory() {
    let streams = Streams::new(Arc::new(Numbers::default()), 1).unwrap();
    let (here, _node) = pair();
    hand_over(&here, streams.door_for_tests());
    streams.link(0, &[]).unwrap();
    let much = message(&vec![7; 8 << 20]);
    for _ in 0..12 {
        streams.send(&much);
    }
    until("dropped", || streams.take().1 == [(0, true)]);
    streams.close();
}

#[test]
fn a_link_that_is_let_go_tells_nobody() {
    let streams = Streams::new(Arc::new(Numbers::default()), 1).unwrap();
    let (here, mut node) = pair();
    hand_over(&here, streams.door_for_tests());
    streams.link(0, &[]).unwrap();
    streams.detach(0);
    assert_eq!(node.read(&mut [0; 8]).unwrap(), 0, "closed");
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(streams.take().1.is_empty());
    assert!(Seen::default().is_empty());
    streams.close();
}
