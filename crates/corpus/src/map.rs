//! Bytes `[offset, offset+len)` of a mapped file, copied out; the map is never lent.
//!
//! Another process may write or cut the file at any time. So the map has no references into it: bytes leave through relaxed
//! atomic loads into a buffer of the caller's, and all checks happen on that copy.
//!
//! A page that the file no longer has, or that the disk does not deliver, raises SIGBUS. The handler, set at the first map:
//!
//! ```text
//! is the address in a live map of ours?
//!     yes: note the fault at that map, put a zero page over the page, return (the load is repeated and reads 0)
//!     no:  what was there before us gets it
//! ```
//!
//! After each copy the note is read, and a copy with zeros of ours is refused. The note is made before the zero page is,
//! so a thread that reads zeros sees it, whichever thread faulted. A map with a note stays refused.
//!
//! Pages that have been read count as memory of the process until they are given back, though they are the system's cache. So
//! every 32 MiB or so all of them are: what is resident does not grow with the file, whose pages stay in the cache.
//!
//! Promises: never undefined behaviour, never death by SIGBUS, whatever happens to the file; the handler is
//! async-signal-safe: it takes no lock, allocates nothing and keeps errno. This is the only file of the crate with `unsafe`.

use memmap2::{MmapOptions, MmapRaw, UncheckedAdvice};
use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Maps that can live at once; 1024 is also the usual limit of open files. Beyond it, files are read instead.
const SLOTS: usize = 1024;

/// Bytes that may be resident before all pages of a map are given back.
const RESIDENT_BYTES: usize = 32 << 20;
/// Bytes that a read of one makes resident: Linux maps what it has around a page that is missed.
const AROUND_BYTES: usize = 1 << 16;

/// A read-only map of a whole file.
#[derive(Debug)]
pub(crate) struct Map {
    raw: MmapRaw,
    slot: &'static Slot,
    /// Bytes made resident since pages were given back last, at most.
    resident: AtomicUsize,
}

/// A page of the map did not come; the first byte of the file that was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: u64,
}

impl Map {
    /// Maps the first `len > 0` bytes of `file`. None where the table of maps is full: the caller reads instead.
    pub(crate) fn new(file: &File, len: u64) -> io::Result<Option<Self>> {
        install()?;
        let size = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let raw = MmapOptions::new().len(size).map_raw_read_only(file)?;
        let start = raw.as_ptr().addr();
        Ok(Slot::register(start, start.saturating_add(raw.len())).map(|slot| Self {
            raw,
            slot,
            resident: AtomicUsize::new(0),
        }))
    }
    /// Copies bytes from `offset` on. Errors: a fault of this map, now or earlier; `out` then holds nothing of use.
    pub(crate) fn copy(&self, offset: usize, out: &mut [u8]) -> Result<(), Fault> {
        let end = offset.checked_add(out.len());
        assert!(end.is_some_and(|end| end <= self.raw.len()), "a copy of bytes outside the map");
        self.slot.fault()?;
        // SAFETY: offset + out.len() <= len, checked above, and `raw` lives as long as `self`; the handler stands ready.
        unsafe { copy_relaxed(self.raw.as_mut_ptr().add(offset), out) };
        // The loads above come before the look at the note.
        fence(Ordering::Acquire);
        self.give_back(out.len());
        self.slot.fault()
    }
    /// Gives the pages back once enough have been read; `len` bytes were just now.
    fn give_back(&self, len: usize) {
        let more = len.max(AROUND_BYTES);
        if self.resident.fetch_add(more, Ordering::Relaxed).saturating_add(more) < RESIDENT_BYTES {
            return;
        }
        self.resident.store(0, Ordering::Relaxed);
        // SAFETY: the map is shared and read-only, so a page that is given back is read from the file again when it is
        // next touched, and a zero page that the handler put is zeros again; nothing in this process ever wrote there.
        // A failure costs memory, no more.
        let _ = unsafe { self.raw.unchecked_advise(UncheckedAdvice::DontNeed) };
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // Out of the table first: once unmapped, the addresses may be another's.
        self.slot.release();
    }
}

/// Copies `out.len()` bytes from `from` by relaxed atomic loads, words where they are aligned.
///
/// # Safety
/// - `from .. from + out.len()` is mapped readable for the whole call.
/// - Nothing in this process writes there other than atomically.
unsafe fn copy_relaxed(from: *mut u8, out: &mut [u8]) {
    let head = from.align_offset(align_of::<AtomicU64>()).min(out.len());
    let (head, rest) = out.split_at_mut(head);
    let (words, tail) = rest.as_chunks_mut::<8>();
    let mut at = from;
    for byte in head {
        // SAFETY: inside the range that the caller vouches for. A relaxed load never writes, so read-only memory will do.
        *byte = unsafe { AtomicU8::from_ptr(at) }.load(Ordering::Relaxed);
        at = at.wrapping_add(1);
    }
    for word in words {
        // SAFETY: as above; `at` is aligned to 8 since the head was taken off, and 8 bytes of the range are left.
        *word = unsafe { AtomicU64::from_ptr(at.cast()) }.load(Ordering::Relaxed).to_ne_bytes();
        at = at.wrapping_add(8);
    }
    for byte in tail {
        // SAFETY: as the first.
        *byte = unsafe { AtomicU8::from_ptr(at) }.load(Ordering::Relaxed);
        at = at.wrapping_add(1);
    }
}

/// One live map, as the handler sees it. `version` is odd while the bounds are being written.
///
/// The handler skips a slot that is being written or was written while it looked: the map of a thread that faults is
/// borrowed by that thread, so its slot is at rest.
#[derive(Debug)]
struct Slot {
    taken: AtomicBool,
    version: AtomicU32,
    start: AtomicUsize,
    end: AtomicUsize,
    /// 0: none; else 1 + the offset of the first fault.
    fault: AtomicUsize,
}

static LIVE: [Slot; SLOTS] = [const { Slot::empty() }; SLOTS];

impl Slot {
    const fn empty() -> Self {
        Self {
            taken: AtomicBool::new(false),
            version: AtomicU32::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            fault: AtomicUsize::new(0),
        }
    }
    /// Takes the first free slot for addresses `start..end`.
    fn register(start: usize, end: usize) -> Option<&'static Slot> {
        let free =
            |slot: &&Slot| slot.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        let slot = LIVE.iter().find(free)?;
        slot.fault.store(0, Ordering::Relaxed);
        slot.write(start, end);
        Some(slot)
    }
    fn release(&self) {
        self.write(0, 0);
        self.taken.store(false, Ordering::Release);
    }
    fn write(&self, start: usize, end: usize) {
        // Only the owner of `taken` writes, so load and store need not be one operation.
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.start.store(start, Ordering::Relaxed);
        self.end.store(end, Ordering::Relaxed);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }
    /// The start of the map, if `address` lies in it.
    fn holding(&self, address: usize) -> Option<usize> {
        let version = self.version.load(Ordering::Acquire);
        let (start, end) = (self.start.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let at_rest = version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version;
        (at_rest && (start..end).contains(&address)).then_some(start)
    }
    fn fault(&self) -> Result<(), Fault> {
        match self.fault.load(Ordering::Relaxed).checked_sub(1) {
            None => Ok(()),
            Some(offset) => Err(Fault { offset: offset as u64 }),
        }
    }
}

/// What answered SIGBUS before us; set before our handler is.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Sets the handler, once per process.
fn install() -> io::Result<()> {
    static DONE: OnceLock<Result<(), i32>> = OnceLock::new();
    DONE.get_or_init(|| set_handler().map_err(|e| e.raw_os_error().unwrap_or(libc::EINVAL)))
        .map_err(io::Error::from_raw_os_error)
}

fn set_handler() -> io::Result<()> {
    // SAFETY: sysconf only reads.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(page).ok().filter(|p| p.is_power_of_two());
    PAGE_BYTES.store(page.ok_or(io::ErrorKind::Unsupported)?, Ordering::Relaxed);
    // SAFETY: sigaction is plain data, for which zeros are valid.
    let (mut old, mut new) = unsafe { (std::mem::zeroed::<libc::sigaction>(), std::mem::zeroed::<libc::sigaction>()) };
    // SAFETY: a null action only asks; `old` is writable.
    if unsafe { libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut old) } != 0 {
        return Err(io::Error::last_os_error());
    }
    PREVIOUS.get_or_init(|| old);
    new.sa_sigaction = on_sigbus as *const () as libc::sighandler_t;
    // ONSTACK: as the standard library's own handler, which we may have to call, expects.
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: both point to live, initialised actions; the handler has the signature that SA_SIGINFO asks for.
    let set = unsafe {
        libc::sigemptyset(&raw mut new.sa_mask);
        libc::sigaction(libc::SIGBUS, &raw const new, std::ptr::null_mut())
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The handler: our own faults are noted and papered over, all others passed on.
extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel hands over a valid siginfo_t; si_addr is set where the code is positive (a real
    // fault, not a signal that a process sent).
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    if !(code > 0 && stand_in(address)) {
        pass_on(signal, code, info, context);
    }
}

/// Notes a fault at `address` and puts a zero page there. False where no map of ours has it, or the page cannot be put.
fn stand_in(address: usize) -> bool {
    let Some((slot, start)) = LIVE.iter().find_map(|slot| slot.holding(address).map(|start| (slot, start))) else {
        return false;
    };
    // Before the page: a thread that finds zeros must find the note. The first fault is the one told.
    let note = address.wrapping_sub(start).wrapping_add(1);
    let _ = slot.fault.compare_exchange(0, note, Ordering::SeqCst, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    let page = PAGE_BYTES.load(Ordering::Relaxed);
    let base = address & !page.wrapping_sub(1);
    // SAFETY: the page at `base` belongs to a live map of ours: `start` is page-aligned (memmap2 maps from offset 0), so
    // base >= start, and the faulting thread borrows the map, so it is not unmapped meanwhile. mmap is a system call
    // without locks of the library's; errno is put back.
    unsafe {
        let errno = *errno_location();
        let at = std::ptr::with_exposed_provenance_mut(base);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let put = libc::mmap(at, page, libc::PROT_READ, flags, -1, 0);
        *errno_location() = errno;
        put != libc::MAP_FAILED
    }
}

/// Gives the signal to whoever had it before us; the default action is death by the signal.
fn pass_on(signal: libc::c_int, code: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let previous = PREVIOUS.get();
    let action = previous.map_or(libc::SIG_DFL, |p| p.sa_sigaction);
    let takes_info = previous.is_some_and(|p| p.sa_flags & libc::SA_SIGINFO != 0);
    if action == libc::SIG_IGN && code <= 0 {
        return;
    }
    if action == libc::SIG_DFL || action == libc::SIG_IGN {
        // SAFETY: zeros are a valid action, and SIG_DFL is zero; both calls are async-signal-safe. The raised signal is
        // blocked until this handler returns, and then ends the process as it would have without us.
        unsafe {
            let default = std::mem::zeroed::<libc::sigaction>();
            libc::sigaction(signal, &raw const default, std::ptr::null_mut());
            libc::raise(signal);
        }
        return;
    }
    let address = std::ptr::with_exposed_provenance::<()>(action);
    #[allow(clippy::disallowed_methods, reason = "an address becomes a function pointer; bytemuck has no such cast")]
    // SAFETY: neither SIG_DFL nor SIG_IGN, so it is a handler that someone set; its flags say which of both signatures it
    // has, and it is called as the kernel would have.
    unsafe {
        if takes_info {
            type WithInfo = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            std::mem::transmute::<*const (), WithInfo>(address)(signal, info, context);
        } else {
            std::mem::transmute::<*const (), extern "C" fn(libc::c_int)>(address)(signal);
        }
    }
}

/// Where this thread's errno is.
fn errno_location() -> *mut libc::c_int {
    // SAFETY: always valid to ask; the answer is valid for this thread.
    #[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "fuchsia"))]
    return unsafe { libc::__errno_location() };
    // SAFETY: as above.
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    return unsafe { libc::__error() };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;

    fn file_with(bytes: &[u8]) -> (tempfile::NamedTempFile, File) {
        let mut named = tempfile::NamedTempFile::new().unwrap();
        named.write_all(bytes).unwrap();
        let file = File::open(named.path()).unwrap();
        (named, file)
    }

    #[test]
    fn copies_every_range_of_a_small_file() {
        let bytes: Vec<u8> = (0..61).map(|i| i * 3 + 1).collect();
        let (_named, file) = file_with(&bytes);
        let map = Map::new(&file, 61).unwrap().unwrap();
        for start in 0..=61 {
            for end in start..=61 {
                let mut out = vec![0; end - start];
                map.copy(start, &mut out).unwrap();
                assert_eq!(out, bytes[start..end]);
            }
        }
    }

    #[test]
    #[should_panic(expected = "outside the map")]
    fn refuses_a_range_outside() {
        let (_named, file) = file_with(b"abc");
        let map = Map::new(&file, 3).unwrap().unwrap();
        let _ = map.copy(2, &mut [0; 2]);
    }

    #[test]
    fn fault_c09_sigbus_becomes_an_error_and_stays_one() {
        let page = 1 << 16;
        let (named, file) = file_with(&vec![7; 4 * page]);
        let map = Map::new(&file, 4 * page as u64).unwrap().unwrap();
        let other = Map::new(&file, 4 * page as u64).unwrap().unwrap();
        let mut out = vec![0; 2 * page];
        map.copy(page, &mut out).unwrap();
        named.as_file().set_len(2 * page as u64).unwrap();
        // The first byte that is gone is told, though hundreds of pages fault.
        assert_eq!(map.copy(page, &mut out), Err(Fault { offset: 2 * page as u64 }));
        // Zeros of ours are in the map now: even a range that is whole is refused, also when the file is long again.
        named.as_file().set_len(4 * page as u64).unwrap();
        assert_eq!(map.copy(0, &mut out), Err(Fault { offset: 2 * page as u64 }));
        // Another map of the same file has no zeros of ours and goes on.
        other.copy(page, &mut out).unwrap();
        assert!(out[..page].iter().all(|&b| b == 7) && out[page..].iter().all(|&b| b == 0));
    }

    #[test]
    fn fault_c09_threads_that_share_a_map_all_see_the_fault() {
        for _ in 0..20 {
            let page = 4096;
            let (named, file) = file_with(&vec![7; 8 * page]);
            let map = Map::new(&file, 8 * page as u64).unwrap().unwrap();
            named.as_file().set_len(0).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| assert!(map.copy(0, &mut vec![0; 8 * page]).is_err()));
                }
            });
        }
    }

    #[test]
    fn what_is_resident_does_not_grow_with_the_file() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
            line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
        };
        const BYTES: usize = 256 << 20;
        let file = tempfile::tempfile().unwrap();
        file.set_len(BYTES as u64).unwrap();
        let map = Map::new(&file, BYTES as u64).unwrap().unwrap();
        let (before, mut most) = (resident(), 0);
        let mut block = vec![1; 1 << 20];
        for at in (0..BYTES).step_by(block.len()) {
            map.copy(at, &mut block).unwrap();
            most = most.max(resident());
        }
        assert!(block.iter().all(|&b| b == 0));
        assert!(most > before && most < before + BYTES / 2, "{before} bytes before, {most} at the most");
    }

    #[test]
    fn slots_are_taken_again() {
        let (_named, file) = file_with(b"abc");
        for _ in 0..3 * SLOTS {
            let map = Map::new(&file, 3).unwrap().unwrap();
            map.copy(0, &mut [0; 3]).unwrap();
        }
    }

    /// A fault outside our maps ends the process by SIGBUS as if we were not there. In a process of its own.
    #[test]
    fn a_foreign_fault_is_passed_on() {
        const NAME: &str = "map::tests::a_foreign_fault_is_passed_on";
        if std::env::var_os("GATEMILL_TEST_FOREIGN_FAULT").is_some() {
            let (named, file) = file_with(&[1; 100]);
            let _ours = Map::new(&file, 100).unwrap().unwrap();
            // A map that is in no table: cut, then read.
            let foreign = MmapOptions::new().len(100).map_raw_read_only(&file).unwrap();
            named.as_file().set_len(0).unwrap();
            // SAFETY: mapped for reading; that it faults is the test.
            unsafe { copy_relaxed(foreign.as_mut_ptr(), &mut [0; 8]) };
            return;
        }
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env("GATEMILL_TEST_FOREIGN_FAULT", "1")
            .output()
            .unwrap();
        assert_eq!(child.status.signal(), Some(libc::SIGBUS), "{child:?}");
    }
}
