//! The machine's peaks: FLOP/s of fused multiply-adds and bytes/s of reading, of all workers of a crew at once.
//!
//! A measurement is a handful of short stretches. In each all workers set out together; its rate is what they did, all
//! told, by the time from the first start to the last end. The median of the stretches counts. The bench takes its
//! fraction of the peak from here, `gatemill machine` what it shows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gatemill_kernels::{Buffer, Kernels, OutOfMemory};

use crate::Crew;

/// Stretches of a measurement: odd, for a median.
const STRETCHES: usize = 5;
/// Length of a stretch: long beside a barrier, short beside a human being.
const STRETCH: Duration = Duration::from_millis(12);

/// One worker's stretch: when it began and ended, and what it did.
type Stretch = (Instant, Instant, f64);

impl Crew {
    /// FLOP/s of a tier's fused multiply-adds on all workers at once, nothing else in the way.
    pub fn peak_flops_per_s(&self, kernels: &Kernels) -> f64 {
        const FEW: u64 = 1 << 12;
        let per_call = self.install(|| seconds_of(|| kernels.fma_chains(FEW))) / FEW as f64;
        let repeats = (STRETCH.as_secs_f64() / per_call).max(1.0) as u64;
        self.rate(|| Ok(()), |()| kernels.fma_chains(repeats)).unwrap_or(f64::NAN)
    }

    /// Bytes/s of reading, each worker from `bytes` of its own, over and over. Errors: the memory is not to be had.
    pub fn read_bytes_per_s(&self, kernels: &Kernels, bytes: usize) -> Result<f64, OutOfMemory> {
        // The same for all, so that they end together: the most that any of them counts.
        let times = AtomicU64::new(1);
        let prepare = || {
            let mut buffer = Buffer::zeroed((bytes / size_of::<f32>()).max(1))?;
            // Written once: untouched pages would all be the one page of zeros.
            buffer.fill(1.0);
            // Once around to fill the cache that is asked about, and to count how often is long enough.
            let seconds = seconds_of(|| kernels.read(&buffer));
            times.fetch_max((STRETCH.as_secs_f64() / seconds).clamp(1.0, 1e9) as u64, Ordering::Relaxed);
            Ok(buffer)
        };
        self.rate(prepare, |buffer| {
            let mut done = 0.0;
            for _ in 0..times.load(Ordering::Relaxed) {
                done += kernels.read(buffer);
            }
            done
        })
    }

    /// The median rate of `work` on all workers; each prepares its own matter before the first start.
    fn rate<T>(
        &self,
        prepare: impl Fn() -> Result<T, OutOfMemory> + Sync,
        work: impl Fn(&T) -> f64 + Sync,
    ) -> Result<f64, OutOfMemory> {
        let start = Barrier::new(self.threads());
        let of_workers = Mutex::new(Vec::new());
        self.fork(&|_| {
            let matter = prepare();
            let stretches = std::array::from_fn(|_| {
                // One without memory comes to the starts too: the others wait there.
                start.wait();
                let begin = Instant::now();
                let done = matter.as_ref().map_or(0.0, &work);
                (begin, Instant::now(), done)
            });
            of_workers.lock().unwrap_or_else(PoisonError::into_inner).push(matter.map(|_| stretches));
        });
        let of_workers: Vec<Result<[Stretch; STRETCHES], OutOfMemory>> =
            of_workers.into_inner().unwrap_or_else(PoisonError::into_inner);
        let of_workers = of_workers.into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut rates: [f64; STRETCHES] = std::array::from_fn(|i| rate(of_workers.iter().map(|worker| worker[i])));
        rates.sort_by(f64::total_cmp);
        Ok(rates[STRETCHES / 2])
    }
}

/// What all did, by the time from the first start to the last end.
fn rate(stretches: impl Iterator<Item = Stretch> + Clone) -> f64 {
    let done: f64 = stretches.clone().map(|(_, _, done)| done).sum();
    let begin = stretches.clone().map(|(begin, _, _)| begin).min();
    let end = stretches.map(|(_, end, _)| end).max();
    match (begin, end) {
        (Some(begin), Some(end)) => done / end.duration_since(begin).as_secs_f64().max(f64::MIN_POSITIVE),
        _ => 0.0,
    }
}

/// Seconds of a call, after one that warms up.
fn seconds_of(work: impl Fn() -> f64) -> f64 {
    work();
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_all_that_was_done_between_first_start_and_last_end() {
        let zero = Instant::now();
        let at = |seconds: u64| zero + Duration::from_secs(seconds);
        let stretches = [(at(1), at(4), 10.0), (at(0), at(2), 10.0)];
        assert_eq!(rate(stretches.into_iter()), 5.0);
    }

    #[test]
    fn memory_that_is_not_to_be_had_is_an_error_and_no_worker_waits_for_ever() {
        let crew = Crew::new(2).expect("threads");
        assert!(crew.read_bytes_per_s(&Kernels::best(), usize::MAX / 4).is_err());
    }

    #[test]
    fn peaks_are_rates() {
        for threads in [1, 3] {
            let crew = Crew::new(threads).expect("threads");
            assert!(crew.peak_flops_per_s(&Kernels::best()) > 1e8);
            assert!(crew.read_bytes_per_s(&Kernels::best(), 10_000).expect("little") > 1e8);
        }
    }
}
