//! Descriptors of many files, of which only some are open at a time: the ones used last.
//!
//! A corpus of up to [`HELD`] files holds all of them open. One of more has a pool: a file is opened when it is read, and
//! closed when enough others were read after it. So a folder of 100,000 files needs no more descriptors than one of 300.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

/// Files that are held open together. 1024 is the usual limit of a process; each may have a token cache beside it.
pub(crate) const HELD: usize = 256;
/// Files of a pool that are open between two reads.
const OPEN: usize = 128;

/// Descriptors by the numbers of their files, last used first.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<VecDeque<(usize, Arc<File>)>>);

impl Pool {
    /// File number `number`: from the pool, or opened now.
    pub(crate) fn file<E>(&self, number: usize, open: impl FnOnce() -> Result<File, E>) -> Result<Arc<File>, E> {
        if let Some(file) = self.take(number) {
            self.put(number, Arc::clone(&file));
            return Ok(file);
        }
        let file = Arc::new(open()?);
        self.put(number, Arc::clone(&file));
        Ok(file)
    }
    /// Closes all that nobody reads at this moment.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
    fn take(&self, number: usize) -> Option<Arc<File>> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = files.iter().position(|(of, _)| *of == number)?;
        files.remove(at).map(|(_, file)| file)
    }
    fn put(&self, number: usize, file: Arc<File>) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.push_front((number, file));
        files.truncate(OPEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ones_used_last_stay_open() {
        let pool = Pool::default();
        let mut opened = Vec::new();
        let mut use_file = |number: usize| {
            pool.file(number, || {
                opened.push(number);
                File::open("/dev/null")
            })
            .unwrap();
        };
        // 0 is used between all others, so it is never the oldest.
        for number in 1..=2 * OPEN {
            use_file(0);
            use_file(number);
        }
        use_file(2 * OPEN);
        use_file(1);
        let mut right = vec![0];
        right.extend(1..=2 * OPEN);
        right.push(1);
        assert_eq!(opened, right);
        assert_eq!(pool.0.lock().unwrap().len(), OPEN);
    }
}
