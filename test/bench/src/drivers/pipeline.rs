//! Drives protocols in which requests are sent without waiting for the answers before: connections on one thread, each
//! with the same number of units on their way. A unit is one request or a few, and done when all are answered.

use crate::figures::{percentile, Figure, Figures};
use crate::Result;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// The length of the first whole answer, if there is one. Errors: an answer that is no success.
pub type Parse = fn(&[u8]) -> Result<Option<usize>>;

/// Requests that are sent and answered together.
#[derive(Clone)]
pub struct Unit {
    pub bytes: Vec<u8>,
    pub answers: usize,
}

/// What to send, and where to.
pub struct Pipeline<'a> {
    /// Connects and logs in.
    pub connect: &'a dyn Fn() -> Result<std::net::TcpStream>,
    pub parse: Parse,
    /// Sent in turn.
    pub units: &'a [Unit],
    pub connections: usize,
    pub depth: usize,
}

/// When a run is over.
#[derive(Clone, Copy)]
pub enum Until {
    Seconds(u32),
    /// All of them once.
    Sent,
}

struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
    /// When each unit on its way was made, and how many of its answers are missing.
    waiting: VecDeque<(Instant, usize)>,
}

impl Pipeline<'_> {
    /// The number of units answered, and the figures of a client. Errors: any answer that is no success.
    pub fn drive(&self, until: Until) -> Result<(f64, Figures)> {
        let mut poll = Poll::new()?;
        let mut connections = Vec::new();
        for token in 0..self.connections {
            let stream = (self.connect)()?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(token), both)?;
            connections.push(Connection::new(stream));
        }
        let mut sent = 0;
        let mut next = || match until {
            Until::Sent if sent == self.units.len() => None,
            _ => {
                sent += 1;
                Some(&self.units[(sent - 1) % self.units.len()])
            }
        };
        let start = Instant::now();
        let mut latencies: Vec<u32> = Vec::new();
        let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0);
        for connection in &mut connections {
            let units = (0..self.depth).map_while(|_| next());
            units.for_each(|unit| connection.push(unit, start));
            connection.flush()?;
        }
        let mut events = Events::with_capacity(1024);
        let wait = Duration::from_millis(100);
        loop {
            match until {
                Until::Seconds(seconds) if start.elapsed().as_secs() >= u64::from(seconds) => break,
                Until::Sent if latencies.len() == self.units.len() => break,
                _ => poll.poll(&mut events, Some(wait))?,
            }
            for event in &events {
                let connection = &mut connections[event.token().0];
                bytes += connection.read(&mut buffer)?;
                connection.take(self.parse, &mut next, &mut latencies)?;
                connection.flush()?;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        latencies.sort_unstable();
        let done = latencies.len() as f64;
        match done > 0.0 {
            true => Ok((
                done,
                Figures::from([
                    (Figure::Rate, done / seconds),
                    (Figure::P50, percentile(&latencies, 0.5)),
                    (Figure::P99, percentile(&latencies, 0.99)),
                    (Figure::P999, percentile(&latencies, 0.999)),
                    (Figure::Bytes, bytes as f64 / seconds),
                ]),
            )),
            false => Err("no answer at all".into()),
        }
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            out: Vec::new(),
            sent: 0,
            input: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    fn push(&mut self, unit: &Unit, now: Instant) {
        self.out.extend_from_slice(&unit.bytes);
        self.waiting.push_back((now, unit.answers));
    }

    /// Sends what it can: the rest when the socket takes it.
    fn flush(&mut self) -> Result<()> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads what has come: how many bytes.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let before = self.input.len();
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err("the server has closed a connection".into()),
                Ok(count) => {
                    self.input.extend_from_slice(&buffer[..count]);
                    // A short read has emptied the socket (epoll(7)).
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.input.len() - before)
    }

    /// Takes the whole answers. For each unit that is done, another one goes out. Answers come in the order of the requests,
    /// or in one that makes no difference to the latencies as a whole.
    fn take<'u>(
        &mut self,
        parse: Parse,
        next: &mut impl FnMut() -> Option<&'u Unit>,
        latencies: &mut Vec<u32>,
    ) -> Result<()> {
        let now = Instant::now();
        let mut taken = 0;
        while let Some(length) = parse(&self.input[taken..])? {
            taken += length;
            let (made, missing) = self.waiting.front_mut().ok_or("an answer to nothing")?;
            *missing -= 1;
            if *missing == 0 {
                latencies.push(u32::try_from(now.duration_since(*made).as_micros())?);
                self.waiting.pop_front();
                if let Some(unit) = next() {
                    self.push(unit, now);
                }
            }
        }
        self.input.drain(..taken);
        Ok(())
    }
}
