//! What the tests of the reactor run in: a session that does what each line of its input says, a host in a thread, and clients.
//!
//! A line is `verb id`; its answer is `id` on a line of its own. `echo`: at once. `commit`: when the log is durable; `sleep`: when
//! the session is woken and let through; `host`: the host answers; `big`: with many bytes before; `panic`: never.

use crate::{Notice, Reactor, Said, Session, Token};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const BIG: usize = 3 << 20;
/// So many sockets are kept.
pub const CONNECTIONS: usize = 64;

/// What sessions share.
#[derive(Default)]
pub struct World {
    pub tail: AtomicU64,
    pub vdl: AtomicU64,
    pub woken: Mutex<Vec<u64>>,
    /// Sessions that may go on with their `sleep`.
    pub through: Mutex<HashSet<u64>>,
    /// Sessions that are to end (`end`).
    pub ending: Mutex<HashSet<u64>>,
    pub asleep: Mutex<HashSet<u64>>,
    pub sleeps_here: AtomicBool,
}

#[derive(Debug, Clone, PartialEq)]
enum Doing {
    Next,
    Commit(u64, String),
    Sleep(String),
    Host(String),
    Ended,
}

struct Inner {
    input: Vec<u8>,
    doing: Doing,
    extra: Vec<u8>,
}

pub struct Script {
    number: u64,
    world: Arc<World>,
    inner: Mutex<Inner>,
}

impl Script {
    pub fn new(number: u64, world: &Arc<World>) -> Arc<Script> {
        Arc::new(Script {
            number,
            world: world.clone(),
            inner: Mutex::new(Inner {
                input: Vec::new(),
                doing: Doing::Next,
                extra: Vec::new(),
            }),
        })
    }

    /// The host's answer to what it was handed.
    pub fn answer(&self) {
        let mut inner = self.inner.lock();
        if let Doing::Host(id) = inner.doing.clone() {
            inner.extra.extend_from_slice(format!("{id}\n").as_bytes());
            inner.doing = Doing::Next;
        }
    }

    /// Bytes written by somebody else.
    pub fn notify(&self, text: &str) {
        self.inner.lock().extra.extend_from_slice(text.as_bytes());
    }

    fn go_on(&self, inner: &mut Inner, output: &mut Vec<u8>) -> Said {
        loop {
            if matches!(inner.doing, Doing::Next | Doing::Commit(..))
                && self.world.ending.lock().contains(&self.number)
            {
                output.extend_from_slice(b"FATAL\n");
                inner.doing = Doing::Ended;
            }
            match inner.doing.clone() {
                Doing::Next => {}
                Doing::Ended => return Said::Host,
                Doing::Commit(lsn, _) if self.durable() < lsn => return Said::Durable(lsn),
                Doing::Sleep(_) if !self.world.through.lock().remove(&self.number) => {
                    self.world.asleep.lock().insert(self.number);
                    return Said::Asleep;
                }
                Doing::Host(_) => return Said::Host,
                Doing::Commit(_, id) | Doing::Sleep(id) => {
                    self.world.asleep.lock().remove(&self.number);
                    output.extend_from_slice(format!("{id}\n").as_bytes());
                    inner.doing = Doing::Next;
                    continue;
                }
            }
            let Some(end) = inner.input.iter().position(|byte| *byte == b'\n') else {
                return Said::Idle;
            };
            let line: Vec<u8> = inner.input.drain(..=end).collect();
            let line = String::from_utf8(line).unwrap();
            let (verb, id) = line.trim_end().split_once(' ').unwrap();
            match verb {
                "echo" => output.extend_from_slice(format!("{id}\n").as_bytes()),
                "big" => {
                    output.resize(output.len() + BIG, b'x');
                    output.extend_from_slice(format!("\n{id}\n").as_bytes());
                }
                "commit" => {
                    let lsn = self.world.tail.fetch_add(1, Ordering::SeqCst) + 1;
                    inner.doing = Doing::Commit(lsn, id.to_owned());
                }
                "sleep" => inner.doing = Doing::Sleep(id.to_owned()),
                "host" => inner.doing = Doing::Host(id.to_owned()),
                _ => panic!("as the script says"),
            }
        }
    }
}

impl Session for Script {
    fn feed(&self, input: &[u8], _now: i64, output: &mut Vec<u8>) -> Said {
        let mut inner = self.inner.lock();
        inner.input.extend_from_slice(input);
        self.go_on(&mut inner, output)
    }

    fn run(&self, output: &mut Vec<u8>) -> Said {
        self.go_on(&mut self.inner.lock(), output)
    }

    fn take_output(&self, output: &mut Vec<u8>) -> bool {
        match self.inner.try_lock() {
            Some(mut inner) => {
                output.append(&mut inner.extra);
                true
            }
            None => false,
        }
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn durable(&self) -> u64 {
        self.world.vdl.load(Ordering::SeqCst)
    }

    fn gathered(&self) -> u64 {
        0
    }

    fn take_woken(&self) -> Vec<u64> {
        std::mem::take(&mut *self.world.woken.lock())
    }

    fn sleeps_here(&self) -> bool {
        self.world.sleeps_here.load(Ordering::SeqCst)
    }
}

/// The host: one thread that deals with notices until it is dropped.
pub struct Host {
    pub reactor: Arc<Reactor>,
    pub world: Arc<World>,
    pub sessions: Arc<Mutex<HashMap<Token, Arc<Script>>>>,
    pub lost: Arc<Mutex<Vec<Token>>>,
    /// Log what is asked for by itself.
    pub logging: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Host {
    pub fn new(threads: usize) -> Host {
        let reactor =
            Arc::new(Reactor::open("127.0.0.1", 0, threads, 1 << 20, CONNECTIONS).unwrap());
        let world = Arc::new(World::default());
        world.sleeps_here.store(true, Ordering::SeqCst);
        let mut host = Host {
            reactor,
            world,
            sessions: Arc::default(),
            lost: Arc::default(),
            logging: Arc::new(AtomicBool::new(true)),
            stop: Arc::default(),
            thread: None,
        };
        let (reactor, world) = (host.reactor.clone(), host.world.clone());
        let (sessions, lost) = (host.sessions.clone(), host.lost.clone());
        let (stop, logging) = (host.stop.clone(), host.logging.clone());
        host.thread = Some(std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let (_, notices) = reactor.take();
                let quiet = notices.is_empty();
                for notice in notices {
                    deal(&reactor, &world, &sessions, &lost, notice);
                }
                let tail = world.tail.load(Ordering::SeqCst);
                if logging.load(Ordering::SeqCst) && world.vdl.swap(tail, Ordering::SeqCst) < tail {
                    reactor.durable();
                } else if quiet {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        }));
        host
    }

    pub fn client(&self) -> Client {
        let socket = TcpStream::connect(self.reactor.address()).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Client {
            reader: BufReader::new(socket.try_clone().unwrap()),
            socket,
        }
    }

    /// Wait for what must come about.
    pub fn until(&self, what: &str, ready: impl Fn(&Host) -> bool) {
        let began = Instant::now();
        while !ready(self) {
            assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// The only session's token.
    pub fn only(&self) -> (Token, Arc<Script>) {
        self.until("a session", |host| host.sessions.lock().len() == 1);
        let sessions = self.sessions.lock();
        let (token, session) = sessions.iter().next().unwrap();
        (*token, session.clone())
    }

    pub fn is_over(&self, token: Token) -> bool {
        self.lost.lock().contains(&token)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.thread.take().unwrap().join();
        self.reactor.stop();
    }
}

fn deal(
    reactor: &Reactor,
    world: &Arc<World>,
    sessions: &Mutex<HashMap<Token, Arc<Script>>>,
    lost: &Mutex<Vec<Token>>,
    notice: Notice,
) {
    match notice {
        Notice::Accepted { token, .. } => {
            let session = Script::new(token, world);
            sessions.lock().insert(token, session.clone());
            reactor.attach(token, session).unwrap();
        }
        Notice::Lost(token) => {
            assert!(!lost.lock().contains(&token), "lost twice");
            sessions.lock().remove(&token);
            lost.lock().push(token);
        }
        Notice::Handed(token) => {
            let session = sessions.lock().get(&token).cloned();
            if let Some(session) = session {
                keep(reactor, world, token, &session);
            }
        }
        Notice::Drained(_) => {}
        // Nobody sleeps at the host longer than `keep` does.
        Notice::Woken(_) => {}
    }
}

/// The host owns the connection: answer, and give it back once there is nothing to do. (Python does the same in `_drive`.)
fn keep(reactor: &Reactor, world: &World, token: Token, session: &Script) {
    loop {
        session.answer();
        let mut output = Vec::new();
        let said = session.run(&mut output);
        session.notify(std::str::from_utf8(&output).unwrap());
        reactor.flush(token);
        match said {
            Said::Host if session.inner.lock().doing == Doing::Ended => {
                return reactor.close(token, false);
            }
            Said::Host => {}
            Said::Durable(lsn) => {
                world.vdl.fetch_max(lsn, Ordering::SeqCst);
                reactor.durable();
            }
            Said::Asleep => std::thread::sleep(Duration::from_micros(100)),
            Said::Idle => match reactor.release(token, 1) {
                None => return,
                Some(bytes) => session.inner.lock().input.extend_from_slice(&bytes),
            },
        }
    }
}

pub struct Client {
    pub socket: TcpStream,
    pub reader: BufReader<TcpStream>,
}

impl Client {
    pub fn send(&mut self, lines: &str) {
        self.socket.write_all(lines.as_bytes()).unwrap();
    }

    /// The next line; `None`: closed.
    pub fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(String::from_utf8(line).unwrap().trim_end().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    pub fn expect(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.line().as_deref(), Some(*line));
        }
    }
}
