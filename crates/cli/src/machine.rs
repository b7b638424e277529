//! `gatemill machine`: which kernels run here and why, on how many threads, and how fast this machine can be at all.
//!
//! The peaks are measured in two or three seconds: fused multiply-adds of every tier that is here, and reading from each
//! cache and from memory with the tier that will run, on one thread and on as many as training takes.

use std::fmt::Write;
use std::path::Path;

use gatemill_crew::Crew;
use gatemill_kernels::{Isa, Kernels, OutOfMemory, TileRows};
use serde::Serialize;

use crate::args::MachineArgs;
use crate::exit::{self, Failure, RESOURCES};
use crate::json;
use crate::progress::printable;

pub(crate) mod host;

use host::{Cache, Host};

/// Columns of a vector.
const LANES: usize = 16;
/// Memory is read from this many times the last cache, within these bounds.
const BEYOND_CACHE: usize = 4;
const MEMORY_LEAST_BYTES: usize = 64 << 20;
const MEMORY_MOST_BYTES: usize = 1 << 30;
/// Part of the available memory that a measurement may take.
const MEMORY_PART: u64 = 4;
/// Where the caches are unknown.
const MEMORY_GUESS_BYTES: usize = 256 << 20;

/// What `--json` writes.
#[derive(Serialize)]
struct Report {
    isa: &'static str,
    /// By GATEMILL_ISA.
    forced: bool,
    tiers: Vec<TierFacts>,
    /// Lanes, or rows of a weight gradient, by columns.
    tiles: Tiles,
    threads: usize,
    #[serde(flatten)]
    host: Host,
    measured: Option<Measured>,
}

#[derive(Serialize)]
struct TierFacts {
    name: &'static str,
    available: bool,
    features: Vec<Feature>,
}

#[derive(Serialize)]
struct Feature {
    name: &'static str,
    here: bool,
}

#[derive(Serialize)]
struct Tiles {
    lanes: [usize; 4],
    weights: [usize; 4],
    columns: [usize; 4],
}

/// Peaks.
#[derive(Serialize)]
struct Measured {
    threads: usize,
    fma: Vec<Flops>,
    read: Vec<Bandwidth>,
}

#[derive(Serialize)]
struct Flops {
    isa: &'static str,
    one_thread_gflops: f64,
    all_threads_gflops: f64,
}

#[derive(Serialize)]
struct Bandwidth {
    /// `L1`, `L2`, `L3`, `memory`.
    from: String,
    one_thread_gb_per_s: Option<f64>,
    all_threads_gb_per_s: Option<f64>,
}

/// Runs the command.
pub(crate) fn run(args: &MachineArgs) -> Result<u8, Failure> {
    let kernels = Kernels::from_env()?;
    let threads = Crew::available();
    let host = Host::below(Path::new("/"));
    let measured = if args.no_measure { None } else { Some(measure(&kernels, threads, &host)?) };
    let TileRows { lanes, weights } = kernels.tiles();
    let tier = |isa: Isa| TierFacts {
        name: isa.name(),
        available: isa.is_available(),
        features: isa.features().into_iter().map(|(name, here)| Feature { name, here }).collect(),
    };
    let report = Report {
        isa: kernels.name(),
        forced: std::env::var_os("GATEMILL_ISA").is_some(),
        tiers: Isa::ALL.into_iter().map(tier).collect(),
        tiles: Tiles { lanes, weights, columns: [1, 2, 3, 4].map(|vectors: usize| vectors.saturating_mul(LANES)) },
        threads,
        host,
        measured,
    };
    if args.json {
        json::object(&report)?;
    } else {
        json::text(printable(&in_words(&report)).as_bytes())?;
    }
    Ok(exit::OK)
}

/// Measures the peaks.
fn measure(kernels: &Kernels, threads: usize, host: &Host) -> Result<Measured, Failure> {
    let one = Crew::new(1)?;
    let all = if threads > 1 { Some(Crew::new(threads)?) } else { None };
    let fma = Kernels::available().map(|tier| {
        let one_thread_gflops = one.peak_flops_per_s(&tier) / 1e9;
        let all_threads_gflops = all.as_ref().map_or(one_thread_gflops, |all| all.peak_flops_per_s(&tier) / 1e9);
        Flops { isa: tier.name(), one_thread_gflops, all_threads_gflops }
    });
    let fma = fma.collect();
    let rate = |crew: &Crew, bytes: Option<usize>| -> Result<Option<f64>, OutOfMemory> {
        bytes.map(|bytes| crew.read_bytes_per_s(kernels, bytes).map(|rate| rate / 1e9)).transpose()
    };
    let mut read = Vec::new();
    for (from, [of_one, of_all]) in places(host, threads) {
        let row = rate(&one, of_one).and_then(|one| Ok((one, all.as_ref().map(|all| rate(all, of_all)).transpose()?)));
        let (one_thread, all_threads) = row.map_err(|error| {
            Failure::new(RESOURCES, error.to_string()).help("--no-measure leaves the measurements out")
        })?;
        let all_threads_gb_per_s = all_threads.unwrap_or(one_thread);
        read.push(Bandwidth { from, one_thread_gb_per_s: one_thread, all_threads_gb_per_s });
    }
    Ok(Measured { threads, fma, read })
}

/// Where to read from, and how many bytes each thread should have to be there: for one thread, and for all at once.
///
/// Half of a thread's part of a cache. A part that is no larger than what lies before it cannot be told from that.
fn places(host: &Host, threads: usize) -> Vec<(String, [Option<usize>; 2])> {
    let part = |cache: &Cache, threads: usize| {
        cache.size_bytes.checked_div(cache.shared_by.min(threads)).unwrap_or(cache.size_bytes)
    };
    let mut places = Vec::new();
    let mut before: Option<&Cache> = None;
    for cache in &host.caches {
        let bytes = |threads: usize| {
            let least = before.map_or(0, |before| part(before, threads));
            Some(part(cache, threads) / 2).filter(|&bytes| bytes > least)
        };
        places.push((format!("L{}", cache.level), [bytes(1), bytes(threads)]));
        before = Some(cache);
    }
    let most = host.available_bytes.map_or(MEMORY_MOST_BYTES as u64, |bytes| bytes / MEMORY_PART);
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(MEMORY_MOST_BYTES);
    let memory = |threads: usize| {
        let all = host.caches.last().map_or(MEMORY_GUESS_BYTES, |last| {
            let caches = threads.div_ceil(last.shared_by.max(1));
            last.size_bytes.saturating_mul(caches).saturating_mul(BEYOND_CACHE).max(MEMORY_LEAST_BYTES)
        });
        Some(all.min(most).checked_div(threads).unwrap_or(all))
    };
    places.push(("memory".to_owned(), [memory(1), memory(threads)]));
    places
}

/// The report for people.
fn in_words(report: &Report) -> String {
    let Report { isa, forced, tiers, tiles, threads, host, measured } = report;
    let mut text = String::new();
    let mut line = |name: &str, words: String| {
        let _ = writeln!(text, "{name:<9}{words}");
    };
    line("cpu", format!("{} ({})", host.cpu.as_deref().unwrap_or("of unknown name"), host.arch));
    let why = if *forced { "forced by GATEMILL_ISA" } else { "the best tier of this machine" };
    line("kernels", format!("{isa}: {why}"));
    let [.., lanes] = tiles.lanes;
    let [.., weights] = tiles.weights;
    let [.., columns] = tiles.columns;
    line("", format!("gates in tiles of {lanes} lanes x {columns} columns, weight gradients of {weights} x {columns}"));
    for (i, tier) in tiers.iter().enumerate() {
        line(if i == 0 { "tiers" } else { "" }, tier_words(tier));
    }
    line("cores", cores_words(host));
    line("threads", format!("{threads} for training, unless --threads says otherwise"));
    let caches: Vec<String> = host.caches.iter().map(cache_words).collect();
    line("caches", if caches.is_empty() { "unknown".to_owned() } else { caches.join(", ") });
    let gb = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), |bytes| format!("{:.1} GB", bytes as f64 / 1e9));
    let huge = host.huge_pages.as_deref().unwrap_or("unknown");
    let (total, free) = (gb(host.memory_bytes), gb(host.available_bytes));
    line("memory", format!("{total}, {free} available; huge pages: {huge}"));
    if let Some(measured) = measured {
        text.push_str(&measured_words(measured));
    }
    if *isa == Isa::Portable.name() {
        text.push_str(portable_words());
    }
    text
}

fn tier_words(tier: &TierFacts) -> String {
    let names = |here: bool| -> Vec<&str> {
        tier.features.iter().filter(|feature| feature.here == here).map(|feature| feature.name).collect()
    };
    let (has, lacks) = (names(true), names(false));
    let words = match (tier.available, tier.features.is_empty()) {
        (true, true) => "here: runs on every CPU".to_owned(),
        (true, false) => format!("here: {}", has.join(", ")),
        (false, true) => "not for this kind of CPU".to_owned(),
        (false, false) => format!("not here: no {}", lacks.join(", ")),
    };
    format!("{:<10}{words}", tier.name)
}

fn cores_words(host: &Host) -> String {
    let number = |count: Option<usize>| count.map_or("an unknown number".to_owned(), |count| count.to_string());
    let affinity = match (&host.affinity, host.affinity_cores) {
        (Some(list), Some(count)) => format!("{count} of them for this process ({list})"),
        _ => "affinity unknown".to_owned(),
    };
    let quota = host.quota_cpus.map_or("no cgroup quota".to_owned(), |cpus| format!("cgroup quota {cpus:.2} CPUs"));
    format!("{} visible, {affinity}, {quota}", number(host.cores))
}

fn cache_words(cache: &Cache) -> String {
    let kib = cache.size_bytes / 1024;
    let size =
        if kib >= 1024 && kib.is_multiple_of(1024) { format!("{} MiB", kib / 1024) } else { format!("{kib} KiB") };
    let data = if cache.level == 1 { "d" } else { "" };
    let shared = if cache.shared_by > 1 { format!(" for {} cores", cache.shared_by) } else { String::new() };
    format!("L{}{data} {size}{shared}", cache.level)
}

fn measured_words(measured: &Measured) -> String {
    let mut text = String::new();
    let several = measured.threads > 1;
    let all = if several { format!("{:>14}", format!("{} threads", measured.threads)) } else { String::new() };
    let mut row = |name: &str, unit: &str, one: Option<f64>, all: Option<f64>| {
        let number = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.1}"));
        let all = if several { format!("{:>14}", number(all)) } else { String::new() };
        let _ = writeln!(text, "{name:<16}{:>12}{all}  {unit}", number(one));
    };
    for flops in &measured.fma {
        let one = Some(flops.one_thread_gflops);
        row(flops.isa, "GFLOP/s, multiply-add", one, Some(flops.all_threads_gflops));
    }
    for read in &measured.read {
        row(&read.from, "GB/s, reading", read.one_thread_gb_per_s, read.all_threads_gb_per_s);
    }
    format!("\n{:<16}{:>12}{all}\n{text}", "measured", "1 thread")
}

/// What to expect where only the portable tier runs.
fn portable_words() -> &'static str {
    "\nThe portable tier works in the vectors that every CPU of its kind has: expect a quarter to a half of the speed of\n\
     AVX2, and less beside AVX-512. Results are as good; the promise of equal bits holds on it for any number of threads\n\
     and through stops, on one kind of CPU, but not between it and the other tiers (doc/numerics.md).\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(caches: Vec<Cache>) -> Host {
        let (affinity, available_bytes) = (Some("0-7".to_owned()), Some(8 << 30));
        Host {
            cpu: None,
            arch: "x86_64",
            cores: Some(16),
            affinity,
            affinity_cores: Some(8),
            quota_cpus: Some(1.5),
            caches,
            memory_bytes: None,
            available_bytes,
            huge_pages: None,
        }
    }
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    fn cache(level: usize, size_bytes: usize, shared_by: usize) -> Cache {
        Cache { level, size_bytes, shared_by }
    }

    #[test]
    fn each_place_is_beyond_the_cache_before_it() {
        let host = host(vec![cache(1, 32 * KIB, 2), cache(2, MIB, 2), cache(3, 32 * MIB, 8)]);
        let found = places(&host, 8);
        let bytes: Vec<[Option<usize>; 2]> = found.iter().map(|place| place.1).collect();
        let expected = [
            [Some(16 * KIB), Some(8 * KIB)],
            [Some(512 * KIB), Some(256 * KIB)],
            [Some(16 * MIB), Some(2 * MIB)],
            [Some(128 * MIB), Some(16 * MIB)],
        ];
        assert_eq!(bytes, expected);
        // A last cache whose part is no larger than the one before it.
        let small = self::host(vec![cache(1, 32 * KIB, 1), cache(2, 2 * MIB, 1), cache(3, 16 * MIB, 8)]);
        assert_eq!(places(&small, 8).get(2).unwrap().1, [Some(8 * MIB), None]);
        let names: Vec<String> = found.into_iter().map(|place| place.0).collect();
        assert_eq!(names, ["L1", "L2", "L3", "memory"]);
        let unknown = Host { available_bytes: Some(400 << 20), ..self::host(vec![]) };
        assert_eq!(places(&unknown, 2), [("memory".to_owned(), [Some(100 * MIB), Some(50 * MIB)])]);
    }

    #[test]
    fn fault_h01_a_tier_that_is_not_here_says_what_is_missing() {
        let feature = |name, here| Feature { name, here };
        let tier = |available, features| TierFacts { name: "avx2", available, features };
        let words = tier_words(&tier(false, vec![feature("AVX2", true), feature("FMA", false)]));
        assert_eq!(words, "avx2      not here: no FMA");
        assert_eq!(tier_words(&tier(false, vec![])), "avx2      not for this kind of CPU");
    }

    #[test]
    fn the_portable_tier_comes_with_a_plain_word() {
        let tiles = || Tiles { lanes: [4; 4], weights: [8; 4], columns: [16, 32, 48, 64] };
        let report = |isa| Report {
            isa,
            forced: true,
            tiers: Vec::new(),
            tiles: tiles(),
            threads: 1,
            host: host(vec![cache(1, 48 * KIB, 1), cache(3, 32 * MIB, 8)]),
            measured: None,
        };
        let text = in_words(&report("portable"));
        for words in ["forced by GATEMILL_ISA", "quarter to a half", "numerics.md", "quota 1.50 CPUs", "8 of them"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(text.contains("L1d 48 KiB, L3 32 MiB for 8 cores"), "{text}");
        assert!(!in_words(&report("avx2")).contains("quarter"));
    }
}
