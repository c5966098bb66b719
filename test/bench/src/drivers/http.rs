//! Requests of HTTP: one by one, or by `wrk`.

use crate::figures::{Figure, Figures};
use crate::process::command;
use crate::Result;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// POST requests that differ in their bodies only.
#[derive(Clone)]
pub struct Http {
    pub port: u16,
    path: String,
    token: Option<String>,
    bodies: Vec<String>,
}

impl Http {
    pub fn new(port: u16, path: &str, bodies: impl IntoIterator<Item = String>) -> Self {
        Self {
            port,
            path: path.to_owned(),
            token: None,
            bodies: bodies.into_iter().collect(),
        }
    }

    pub fn with_token(self, token: String) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    /// Sends the first one. The body of the answer, which has to be a success.
    pub fn exchange(&self) -> Result<Vec<u8>> {
        let body = self.bodies.first().ok_or("no request")?;
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let token = self.token.as_ref();
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        // In one piece: Webdis does not understand a first line in two.
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{}\
             Content-Length: {}\r\n\r\n{body}",
            self.path,
            token.unwrap_or_default(),
            body.len(),
        );
        stream.write_all(request.as_bytes())?;
        let answer = read(&mut BufReader::new(stream));
        answer.map_err(|error| format!("{} on port {}: {error}", self.path, self.port).into())
    }

    /// Drives the server by `wrk`: how many requests, and the figures of a client. Errors: any answer that is no success.
    pub fn drive(&self, connections: u32, seconds: u32) -> Result<(f64, Figures)> {
        let mut script = tempfile::NamedTempFile::new()?;
        script.write_all(self.script().as_bytes())?;
        let output = command("wrk")
            .args(["-t1", "--timeout", "30s"])
            .arg(format!("-c{connections}"))
            .arg(format!("-d{seconds}s"))
            .arg("-s")
            .arg(script.path())
            .arg(format!("http://127.0.0.1:{}{}", self.port, self.path))
            .output()?;
        result(&String::from_utf8_lossy(&output.stdout))
    }

    /// Requests are built once and sent in turn; where there is but one, `wrk` builds it without calling Lua.
    fn script(&self) -> String {
        let bodies: Vec<_> = self
            .bodies
            .iter()
            .map(|body| format!("[==[{body}]==]"))
            .collect();
        let token = self.token.as_ref();
        let token = token.map(|token| format!("wrk.headers['Authorization'] = 'Bearer {token}'\n"));
        let turns = match bodies.as_slice() {
            [_] => "",
            _ => {
                "local requests, turn = {}, 0\n\
                 init = function() for i, body in ipairs(bodies) do requests[i] = wrk.format(nil, nil, nil, body) end end\n\
                 request = function() turn = turn % #requests + 1 return requests[turn] end\n"
            }
        };
        format!(
            "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\n{}\
             local bodies = {{{}}}\nwrk.body = bodies[1]\n{turns}{DONE}",
            token.unwrap_or_default(),
            bodies.join(",\n"),
        )
    }
}

/// The body of an answer that is a success.
fn read(from: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head)? == 0 {
            return Err(format!("cut short: {head}").into());
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let found = name.eq_ignore_ascii_case("content-length");
        found.then(|| value.trim().parse::<usize>())
    });
    let mut body = Vec::new();
    match length {
        Some(length) => piece(from, length?, &mut body)?,
        // In chunks (RFC 9112 §7.1).
        None => loop {
            let mut size = String::new();
            from.read_line(&mut size)?;
            match usize::from_str_radix(size.trim(), 16)? {
                0 => break,
                size => piece(from, size, &mut body)?,
            }
            from.read_line(&mut size)?;
        },
    }
    match head.starts_with("HTTP/1.1 20") {
        true => Ok(body),
        false => Err(format!("{head}{}", String::from_utf8_lossy(&body)).into()),
    }
}

fn piece(from: &mut impl BufRead, size: usize, body: &mut Vec<u8>) -> Result<()> {
    let before = body.len();
    body.resize(before + size, 0);
    Ok(from.read_exact(&mut body[before..])?)
}

const DONE: &str = "\
done = function(summary, latency)
    local e = summary.errors
    print('RESULT', summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        latency:percentile(99.9), summary.bytes, e.status, e.connect + e.read + e.write + e.timeout)
end
";

/// What the script has printed at the end.
fn result(text: &str) -> Result<(f64, Figures)> {
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT"));
    let figures: Vec<f64> = line
        .unwrap_or_default()
        .split_whitespace()
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    let [requests, duration, p50, p99, p999, bytes, refused, lost] = figures[..] else {
        return Err(format!("wrk: {text}").into());
    };
    if refused > 0.0 || lost > 0.0 || requests == 0.0 {
        return Err(
            format!("of {requests} requests {refused} were refused and {lost} lost").into(),
        );
    }
    let seconds = duration / 1e6;
    let figures = Figures::from([
        (Figure::Rate, requests / seconds),
        (Figure::P50, p50),
        (Figure::P99, p99),
        (Figure::P999, p999),
        (Figure::Bytes, bytes / seconds),
    ]);
    Ok((requests, figures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_length() {
        let read = |text: &str| read(&mut text.as_bytes());
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
        assert_eq!(read(&format!("{answer}HTTP")).unwrap(), b"ab");
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n";
        assert_eq!(read(chunked).unwrap(), b"ab");
        assert!(read(&answer[..answer.len() - 1]).is_err());
        assert!(read(&answer.replace("200 OK", "404 Not Found")).is_err());
    }

    #[test]
    fn a_run_counts_only_where_every_answer_was_a_success() {
        let run = |refused, lost| {
            result(&format!(
                "x\nRESULT 2e3 2e6 10 20 30 4e3 {refused} {lost}\n"
            ))
        };
        let (requests, figures) = run(0, 0).unwrap();
        assert_eq!((requests, figures[&Figure::Rate]), (2000.0, 1000.0));
        assert!(run(1, 0).is_err() && run(0, 1).is_err());
        assert!(result("unable to connect").is_err());
    }
}
