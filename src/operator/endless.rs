//! An answer over HTTP/1.1 that goes on for as long as a worker lives. A client of hyper's holds 24 KiB for each connection, whatever it is
//! told; this one holds nothing while nothing comes, and there may be a thousand.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// What one read takes (bytes).
const READ: usize = 8 << 10;
/// No head is larger, and no line between two chunks (bytes).
const LONGEST: usize = 8 << 10;
const HEADERS: usize = 64;

pub struct Endless {
    socket: TcpStream,
    decoder: Decoder,
}

impl Endless {
    /// Asks for `path`, on a connection that serves for nothing else.
    pub async fn get(at: SocketAddr, path: &str, accept: &str) -> Result<Endless> {
        let mut socket = TcpStream::connect(at).await.with_context(|| format!("connecting to {at}"))?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.with_context(|| format!("asking {at}"))?;
        Ok(Endless { socket, decoder: Decoder::default() })
    }

    /// Waits for more of the answer's content and adds it; false where it has ended.
    pub async fn read(&mut self, content: &mut Vec<u8>) -> Result<bool> {
        loop {
            self.socket.readable().await?;
            if let Some(more) = self.take(content) {
                return more;
            }
        }
    }

    /// Its buffer is on the stack of a call that waits for nothing, and so nobody keeps it.
    fn take(&mut self, content: &mut Vec<u8>) -> Option<Result<bool>> {
        let mut buffer = [0; READ];
        match self.socket.try_read(&mut buffer) {
            Ok(0) => Some(Ok(false)),
            Ok(read) => Some(self.decoder.take(&buffer[..read], content).map(|()| !self.decoder.has_ended())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error.into())),
        }
    }
}

#[derive(Default)]
enum State {
    #[default]
    Head,
    /// The answer ends with the connection.
    Plain,
    /// A line with the size of the next chunk.
    Size,
    Chunk(u64),
    /// Of the line behind a chunk, so many bytes.
    Behind(usize),
    Ended,
}

/// What of the bytes is content. Pure.
#[derive(Default)]
struct Decoder {
    state: State,
    /// A head or a line that is not whole yet.
    part: Vec<u8>,
}

impl Decoder {
    fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    fn take(&mut self, mut bytes: &[u8], content: &mut Vec<u8>) -> Result<()> {
        while let Some(first) = bytes.first() {
            match &mut self.state {
                State::Head => {
                    let known = self.part.len();
                    self.part.extend_from_slice(bytes);
                    let Some(end) = self.head()? else { return Ok(()) };
                    self.part = Vec::new();
                    bytes = &bytes[end - known..];
                }
                State::Plain => {
                    content.extend_from_slice(bytes);
                    return Ok(());
                }
                State::Size => {
                    self.part.push(*first);
                    bytes = &bytes[1..];
                    if *first == b'\n' {
                        self.size()?;
                    }
                    ensure!(self.part.len() <= LONGEST, "the line with a chunk's size does not end");
                }
                State::Chunk(left) => {
                    let here = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    content.extend_from_slice(&bytes[..here]);
                    bytes = &bytes[here..];
                    *left -= here as u64;
                    if *left == 0 {
                        self.state = State::Behind(2);
                    }
                }
                State::Behind(left) => {
                    bytes = &bytes[1..];
                    *left -= 1;
                    if *left == 0 {
                        self.state = State::Size;
                    }
                }
                State::Ended => return Ok(()),
            }
        }
        Ok(())
    }

    /// Where the head ends; `None` where it is not whole.
    fn head(&mut self) -> Result<Option<usize>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        let parsed = answer.parse(&self.part).context("its answer is no HTTP")?;
        let httparse::Status::Complete(end) = parsed else {
            ensure!(self.part.len() <= LONGEST, "the head of its answer does not end");
            return Ok(None);
        };
        let status = answer.code.unwrap_or_default();
        if !(200..300).contains(&status) {
            bail!("it answers {status} {}", answer.reason.unwrap_or_default());
        }
        let is_chunked = |header: &httparse::Header| {
            header.name.eq_ignore_ascii_case("transfer-encoding") && header.value.eq_ignore_ascii_case(b"chunked")
        };
        self.state = if answer.headers.iter().any(is_chunked) { State::Size } else { State::Plain };
        Ok(Some(end))
    }

    fn size(&mut self) -> Result<()> {
        match httparse::parse_chunk_size(&self.part) {
            Ok(httparse::Status::Complete((_, 0))) => self.state = State::Ended,
            Ok(httparse::Status::Complete((_, size))) => self.state = State::Chunk(size),
            Ok(httparse::Status::Partial) | Err(_) => bail!("a chunk of its answer has no size"),
        }
        self.part.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of an answer that arrives in pieces of this size.
    fn decoded(answer: &[u8], piece: usize) -> Result<(String, bool)> {
        let (mut decoder, mut content) = (Decoder::default(), Vec::new());
        for bytes in answer.chunks(piece) {
            decoder.take(bytes, &mut content)?;
        }
        assert!(decoder.part.capacity() <= 64 || !matches!(decoder.state, State::Chunk(_)), "nothing is kept while it flows");
        Ok((String::from_utf8(content)?, decoder.has_ended()))
    }

    #[test]
    fn the_content_is_the_same_in_whatever_pieces_it_comes() {
        let plain = b"HTTP/1.1 200 OK\r\nx: y\r\n\r\ndata: 1\n\ndata: 2\n\n".as_slice();
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n9;x=y\r\ndata: 2\n\n\r\n".as_slice();
        let ended = [chunked, b"0\r\n\r\n"].concat();
        for piece in 1..=plain.len().max(ended.len()) {
            assert_eq!(decoded(plain, piece).unwrap(), ("data: 1\n\ndata: 2\n\n".into(), false), "{piece}");
            assert_eq!(decoded(chunked, piece).unwrap(), ("data: 1\n\ndata: 2\n\n".into(), false), "{piece}");
            assert_eq!(decoded(&ended, piece).unwrap(), ("data: 1\n\ndata: 2\n\n".into(), true), "{piece}");
        }
    }

    #[test]
    fn what_is_no_answer_of_this_kind_is_told() {
        let long = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'y'; 2 * LONGEST]].concat();
        let endless = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9;".as_slice(), &[b'y'; 2 * LONGEST]].concat();
        let sizeless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnine\r\n".as_slice();
        for (answer, why) in [
            (b"SSH-2.0-OpenSSH\r\n\r\n".as_slice(), "no HTTP"),
            (b"HTTP/1.1 401 Unauthorized\r\n\r\n", "it answers 401 Unauthorized"),
            (b"HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", "it answers 302"),
            (&long, "head of its answer does not end"),
            (&endless, "size does not end"),
            (sizeless, "has no size"),
        ] {
            for piece in [1, 7, READ] {
                let said = decoded(answer, piece).unwrap_err().to_string();
                assert!(said.contains(why), "{said:?} is not {why:?}");
            }
        }
    }
}
