//! Results on stdout: one JSON object per line, or a text; what happens when nobody reads them.
//!
//! A closed pipe ends the output and nothing else: a training run goes on and saves, a text that nobody wants is no
//! error. Other failures, such as a full disk behind a redirection, are errors where the output is the whole purpose.

use std::io::{self, ErrorKind, Stdout, Write};

use gatemill_train::events::Event;
use serde::Serialize;

use crate::exit::{Failure, IO};

/// A run's events, as long as somebody reads them.
#[derive(Debug)]
pub(crate) struct Lines {
    out: Option<Stdout>,
    line: Vec<u8>,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self { out: Some(io::stdout()), line: Vec::new() }
    }

    /// Writes one event at once. Returns the error with which the output ended, once.
    pub(crate) fn write(&mut self, event: &Event) -> Option<io::Error> {
        let out = self.out.as_mut()?;
        self.line.clear();
        event.write_line(&mut self.line);
        let error = out.write_all(&self.line).and_then(|()| out.flush()).err()?;
        self.out = None;
        Some(error)
    }
}

/// Writes one object as one line. False: the reader has gone, and no more is wanted.
pub(crate) fn object(value: &impl Serialize) -> Result<bool, Failure> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    text(&line)
}

/// Writes to stdout and flushes. False: the reader has gone, and no more is wanted.
pub(crate) fn text(bytes: &[u8]) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(IO, format!("cannot write to stdout: {error}"))
            .help("make room where it is redirected to, or send it elsewhere")),
    }
}
