//! A file line by line: without its byte-order mark, its line ends, LF or CRLF; no line longer than a limit.
//!
//! One buffer holds the line at hand, so memory does not grow with the file, and a file without line ends costs the limit.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::error::{ExampleError, Problem};

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
/// UTF-32 in little-endian order begins like UTF-16 does, so it stands first.
const OTHER_MARKS: [(&[u8], &str); 4] =
    [(b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")];

/// The lines of one input, each once.
pub(super) struct Lines<R> {
    from: R,
    path: PathBuf,
    most: usize,
    line: u64,
    bytes: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(from: R, path: &Path, most: usize) -> Self {
        Self { from, path: path.to_owned(), most, line: 0, bytes: Vec::new() }
    }

    /// The next line and its number, from 1; none at the end. Errors: reading; too long; no UTF-8.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &str)>, ExampleError> {
        self.bytes.clear();
        self.line = self.line.saturating_add(1);
        // The line itself, its end, a mark before it, and one byte that shows there is more.
        let limit = self.most.saturating_add(UTF8_MARK.len()).saturating_add(3);
        let count = (&mut self.from)
            .take(limit as u64)
            .read_until(b'\n', &mut self.bytes)
            .map_err(|source| ExampleError::Io { path: self.path.clone(), source })?;
        if count == 0 { Ok(None) } else { Ok(Some((self.line, self.text()?))) }
    }

    /// The line at hand. Errors: too long; no UTF-8.
    fn text(&self) -> Result<&str, ExampleError> {
        let fault = |problem| ExampleError::line(&self.path, self.line, problem);
        let mut line = self.bytes.as_slice();
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.line == 1 {
            if let Some((_, encoding)) = OTHER_MARKS.iter().find(|(mark, _)| line.starts_with(mark)) {
                return Err(fault(Problem::OtherEncoding { encoding }));
            }
            line = line.strip_prefix(UTF8_MARK).unwrap_or(line);
        }
        if line.len() > self.most {
            return Err(fault(Problem::TooLong));
        }
        match std::str::from_utf8(line) {
            Ok(text) => Ok(text),
            Err(error) => Err(fault(Problem::InvalidUtf8 { offset: error.valid_up_to() })),
        }
    }
}

impl<R: Read> Lines<BufReader<R>> {
    /// The next line, and whether another one that is not empty is at hand already, whole.
    pub(super) fn next_of_buffer(&mut self) -> Result<Option<(u64, &str, bool)>, ExampleError> {
        if self.next()?.is_none() {
            return Ok(None);
        }
        let more = self.from.buffer().split(|&byte| byte == b'\n');
        // The last piece has no end yet.
        let mut lines = more.rev().skip(1);
        let more = lines.any(|line| !matches!(line, b"" | b"\r"));
        Ok(Some((self.line, self.text()?, more)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u64, String)>, ExampleError> {
        let mut lines = Lines::new(bytes, Path::new("f"), 8);
        let mut out = Vec::new();
        while let Some((number, line)) = lines.next()? {
            out.push((number, line.to_owned()));
        }
        Ok(out)
    }

    fn problem(bytes: &[u8]) -> (u64, Problem) {
        match all(bytes) {
            Err(ExampleError::Line { line, problem, .. }) => (line, problem),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn line_ends_and_a_mark_are_no_part_of_a_line() {
        let want = |lines: &[&str]| (1..).zip(lines.iter().map(|&line| line.to_owned())).collect::<Vec<_>>();
        assert_eq!(all(b"a\nb\r\n\nc").unwrap(), want(&["a", "b", "", "c"]));
        assert_eq!(all(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n").unwrap(), want(&["a", "\u{feff}b"]));
        assert_eq!(all(b"a\rb\n").unwrap(), want(&["a\rb"]), "a return within a line is a symbol");
        assert_eq!(all(b"").unwrap(), []);
        assert_eq!(all(b"\xef\xbb\xbf12345678\r\n12345678").unwrap(), want(&["12345678", "12345678"]));
    }

    #[test]
    fn what_is_no_line_of_text_is_told_by_its_number() {
        assert_eq!(problem(b"a\n123456789\n"), (2, Problem::TooLong));
        assert_eq!(problem(&[b'x'; 1000]), (1, Problem::TooLong));
        assert_eq!(problem(b"a\nb\nc\xe9\n"), (3, Problem::InvalidUtf8 { offset: 1 }));
        assert_eq!(problem(b"\xff\xfea\0"), (1, Problem::OtherEncoding { encoding: "UTF-16" }));
        assert_eq!(problem(b"\xff\xfe\0\0a"), (1, Problem::OtherEncoding { encoding: "UTF-32" }));
    }
}
