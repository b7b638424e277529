//! A text on its way to stdout: as it is into a file or pipe; on a terminal in whole characters that cannot move the cursor.
//!
//! A model of bytes gives a character of several bytes one after the other. A terminal gets it when it is complete, and
//! U+FFFD for what is no UTF-8, in the same way as a reader of the whole text would see it.

use std::io::IsTerminal;

use crate::exit::Failure;
use crate::json;
use crate::progress::printable;

/// Where a text goes.
#[derive(Debug)]
pub(crate) struct Text {
    terminal: bool,
    /// The begin of a character or of CRLF whose end has not come yet: at most three bytes.
    pending: Vec<u8>,
    ends_line: bool,
}

impl Text {
    /// A new text on stdout, at the begin of a line.
    pub(crate) fn new() -> Self {
        Self::to(std::io::stdout().is_terminal())
    }

    fn to(terminal: bool) -> Self {
        Self { terminal, pending: Vec::new(), ends_line: true }
    }

    /// Whether a reader watches it come.
    pub(crate) fn is_watched(&self) -> bool {
        self.terminal
    }

    /// Writes the next piece. False: the reader has gone.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<bool, Failure> {
        let shown = self.shown(piece);
        if shown.is_empty() { Ok(true) } else { json::text(&shown) }
    }

    /// Ends the text, with a line's end where a terminal or another text follows. False: the reader has gone.
    pub(crate) fn end(&mut self, another: bool) -> Result<bool, Failure> {
        let mut rest = printable(&String::from_utf8_lossy(&std::mem::take(&mut self.pending))).into_bytes();
        if (self.terminal || another) && (!self.ends_line || !rest.is_empty()) {
            rest.push(b'\n');
        }
        self.ends_line = true;
        if rest.is_empty() { Ok(true) } else { json::text(&rest) }
    }

    /// The bytes to write now.
    fn shown(&mut self, piece: &[u8]) -> Vec<u8> {
        if let Some(last) = piece.last() {
            self.ends_line = *last == b'\n';
        }
        if !self.terminal {
            return piece.to_vec();
        }
        self.pending.extend_from_slice(piece);
        let whole = match std::str::from_utf8(&self.pending) {
            // It may be half of a line's end.
            Ok(text) => text.strip_suffix('\r').unwrap_or(text).len(),
            Err(_) => complete(&self.pending),
        };
        let rest = self.pending.split_off(whole);
        let text = std::mem::replace(&mut self.pending, rest);
        printable(&String::from_utf8_lossy(&text)).into_bytes()
    }
}

/// Length of the part of `bytes` after which no character is left unfinished.
fn complete(bytes: &[u8]) -> usize {
    let mut start = 0_usize;
    loop {
        let Some(rest) = bytes.get(start..) else { return bytes.len() };
        match std::str::from_utf8(rest) {
            Ok(_) => return bytes.len(),
            Err(error) => {
                start = start.saturating_add(error.valid_up_to());
                match error.error_len() {
                    Some(wrong) => start = start.saturating_add(wrong),
                    None => return start,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_whole_characters_and_the_same_text_however_it_comes() {
        let texts: [&[u8]; 6] = [
            "naïve 물레방아 🌊.\n".as_bytes(),
            b"a\xffb\xc3(\xe2\x82\xe2\x82\xac\xf0\x9f\x8c",
            b"\xed\xa0\x80\x80\xc0\xaf\xf5",
            b"\x1b[2J\xe2\x98\x83\r\n",
            b"\xf0\x9f\x8c\x8a\xf0\x9f",
            b"",
        ];
        for text in texts {
            let want = printable(&String::from_utf8_lossy(text));
            for size in 1..=text.len().max(1) {
                let mut out = Text::to(true);
                let mut got = Vec::new();
                for piece in text.chunks(size) {
                    let shown = out.shown(piece);
                    assert!(std::str::from_utf8(&shown).is_ok() && out.pending.len() <= 3);
                    got.extend(shown);
                }
                got.extend(printable(&String::from_utf8_lossy(&out.pending)).into_bytes());
                assert_eq!(String::from_utf8_lossy(&got), want, "in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_file_gets_the_bytes_as_they_are() {
        let mut out = Text::to(false);
        assert_eq!(out.shown(b"\xe2\x98"), b"\xe2\x98");
        assert_eq!(out.shown(b"\x1b\n"), b"\x1b\n");
        assert!(out.pending.is_empty() && out.ends_line);
    }
}
