//! What the system tells of the machine: CPU, cores, quota, caches, memory. Linux; elsewhere most of it is unknown.
//!
//! Everything is read from `/proc` and `/sys` below a root, so that a test can lay out a machine of its own.

use std::path::Path;

use serde::Serialize;

/// A machine as its system tells it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Host {
    /// The CPU's name.
    pub(crate) cpu: Option<String>,
    /// Its kind, by Rust's name.
    pub(crate) arch: &'static str,
    /// Cores (hardware threads) that the system has.
    pub(crate) cores: Option<usize>,
    /// Those that this process may run on, as `0-3,8`.
    pub(crate) affinity: Option<String>,
    /// Their number.
    pub(crate) affinity_cores: Option<usize>,
    /// CPUs' worth of time that the cgroup grants; none: all.
    pub(crate) quota_cpus: Option<f64>,
    /// Data caches, nearest first.
    pub(crate) caches: Vec<Cache>,
    /// Memory in all.
    pub(crate) memory_bytes: Option<u64>,
    /// Memory that is to be had.
    pub(crate) available_bytes: Option<u64>,
    /// `always`, `madvise` or `never`.
    pub(crate) huge_pages: Option<String>,
}

/// A data cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Cache {
    /// 1 is nearest.
    pub(crate) level: usize,
    /// Its size.
    pub(crate) size_bytes: usize,
    /// Cores of this process's that share it.
    pub(crate) shared_by: usize,
}

impl Host {
    /// The machine below `root`: `/`, or a test's.
    pub(crate) fn below(root: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let info = read("proc/cpuinfo").unwrap_or_default();
        let affinity = read("proc/self/status").and_then(|text| field(&text, "Cpus_allowed_list"));
        let mine = affinity.as_deref().map(numbers).unwrap_or_default();
        let online = read("sys/devices/system/cpu/online").map(|list| numbers(list.trim()).len());
        let meminfo = read("proc/meminfo").unwrap_or_default();
        let bytes = |name| field(&meminfo, name)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024);
        Self {
            cpu: ["model name", "Model", "cpu model", "uarch"].iter().find_map(|name| field(&info, name)),
            arch: std::env::consts::ARCH,
            cores: online.filter(|&cores| cores > 0),
            affinity_cores: (!mine.is_empty()).then_some(mine.len()),
            affinity,
            quota_cpus: quota(root),
            caches: caches(root, &mine),
            memory_bytes: bytes("MemTotal"),
            available_bytes: bytes("MemAvailable"),
            huge_pages: read("sys/kernel/mm/transparent_hugepage/enabled").and_then(|text| {
                let (_, rest) = text.split_once('[')?;
                rest.split_once(']').map(|(word, _)| word.to_owned())
            }),
        }
    }
}

/// The value of the first `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name))?;
    let value = value.1.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// `0-3,8` as its numbers. What is no number is passed over.
fn numbers(list: &str) -> Vec<usize> {
    /// No machine has more; a list that says so is none.
    const MOST: usize = 1 << 16;
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse().ok()?..=to.trim().parse::<usize>().ok()?.min(MOST))
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// The tightest quota of this process's cgroup and those above it, versions 1 and 2.
fn quota(root: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mut tightest: Option<f64> = None;
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let v1 = controllers.split(',').any(|controller| controller == "cpu");
        if !v1 && !controllers.is_empty() {
            continue;
        }
        let mount = root.join("sys/fs/cgroup").join(controllers);
        // In a container the path may be the host's and not be there; its mount then stands for it.
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let folder = mount.join(group);
            let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
            let cpus = if v1 {
                read("cpu.cfs_quota_us")
                    .zip(read("cpu.cfs_period_us"))
                    .and_then(|(quota, period)| ratio(&quota, &period))
            } else {
                read("cpu.max").and_then(|text| text.split_once(' ').and_then(|(quota, period)| ratio(quota, period)))
            };
            tightest = [tightest, cpus].into_iter().flatten().reduce(f64::min);
        }
    }
    tightest
}

/// Microseconds of a period; `max` and -1 are no quota.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// The data caches of the first core that this process may use.
fn caches(root: &Path, mine: &[usize]) -> Vec<Cache> {
    let core = mine.first().copied().unwrap_or(0);
    let folder = root.join(format!("sys/devices/system/cpu/cpu{core}/cache"));
    let cache = |index: usize| {
        let read = |name: &str| std::fs::read_to_string(folder.join(format!("index{index}/{name}"))).ok();
        if read("type")?.trim() == "Instruction" {
            return None;
        }
        let sharing = numbers(read("shared_cpu_list").unwrap_or_default().trim());
        let sharing = sharing.iter().filter(|core| mine.contains(core)).count();
        let (level, size_bytes) = (read("level")?.trim().parse().ok()?, size(read("size")?.trim())?);
        Some(Cache { level, size_bytes, shared_by: sharing.max(1) })
    };
    let mut caches: Vec<Cache> = (0..16).filter_map(cache).collect();
    caches.sort_by_key(|cache| cache.level);
    caches
}

/// `48K`, `32M`.
fn size(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match text.get(digits.len()..)? {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Root(tempfile::TempDir);

    impl Root {
        fn with(files: &[(&str, &str)]) -> Self {
            let root = Self(tempfile::TempDir::new().unwrap());
            for (path, text) in files {
                let path: PathBuf = root.0.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            root
        }
        fn host(&self) -> Host {
            Host::below(self.0.path())
        }
    }

    #[test]
    fn a_machine_is_read_as_it_is_laid_out() {
        let cache = "sys/devices/system/cpu/cpu4/cache";
        let files = [
            ("proc/cpuinfo", "processor\t: 0\nmodel name\t: Mill 9000\n\nprocessor\t: 1\nmodel name\t: other\n"),
            ("proc/self/status", "Name:\tx\nCpus_allowed:\tf0\nCpus_allowed_list:\t4-6,9\n"),
            ("proc/meminfo", "MemTotal:       1000 kB\nMemAvailable:    250 kB\n"),
            ("sys/devices/system/cpu/online", "0-15\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            (&format!("{cache}/index0/level"), "1\n"),
            (&format!("{cache}/index0/type"), "Data\n"),
            (&format!("{cache}/index0/size"), "48K\n"),
            (&format!("{cache}/index0/shared_cpu_list"), "4,12\n"),
            (&format!("{cache}/index1/level"), "1\n"),
            (&format!("{cache}/index1/type"), "Instruction\n"),
            (&format!("{cache}/index1/size"), "32K\n"),
            (&format!("{cache}/index3/level"), "3\n"),
            (&format!("{cache}/index3/type"), "Unified\n"),
            (&format!("{cache}/index3/size"), "32M\n"),
            (&format!("{cache}/index3/shared_cpu_list"), "0-15\n"),
        ];
        let host = Root::with(&files).host();
        assert_eq!(host.cpu.as_deref(), Some("Mill 9000"));
        assert_eq!((host.cores, host.affinity.as_deref(), host.affinity_cores), (Some(16), Some("4-6,9"), Some(4)));
        assert_eq!((host.memory_bytes, host.available_bytes), (Some(1_024_000), Some(256_000)));
        assert_eq!((host.huge_pages.as_deref(), host.quota_cpus), (Some("madvise"), None));
        let cache = |level, size_bytes, shared_by| Cache { level, size_bytes, shared_by };
        assert_eq!(host.caches, [cache(1, 48 << 10, 1), cache(3, 32 << 20, 4)]);
    }

    #[test]
    fn a_machine_that_tells_nothing_is_unknown_and_no_error() {
        let host = Root::with(&[]).host();
        assert_eq!((host.cpu, host.cores, host.affinity_cores, host.quota_cpus), (None, None, None, None));
        assert_eq!((host.caches, host.memory_bytes, host.huge_pages), (vec![], None, None));
        let odd = Root::with(&[
            ("proc/self/status", "Cpus_allowed_list:\tx-y,3-,-,7\n"),
            ("proc/self/cgroup", "0::/\nrubbish\n"),
            ("sys/fs/cgroup/cpu.max", "max"),
            ("proc/meminfo", "MemTotal: 99999999999999999999 kB\nMemAvailable: 18446744073709551615 kB"),
        ]);
        let host = odd.host();
        assert_eq!((host.affinity_cores, host.quota_cpus), (Some(1), None));
        assert_eq!((host.memory_bytes, host.available_bytes), (None, None));
        assert_eq!([size("3K"), size("K"), size("5"), size("2X"), size("0K")], [Some(3072), None, Some(5), None, None]);
    }

    #[test]
    fn fault_h02_the_tightest_quota_of_either_version_counts() {
        let v2 = |own: &str, above: &str| {
            let files = [
                ("proc/self/cgroup", "0::/a/b\n"),
                ("sys/fs/cgroup/a/b/cpu.max", own),
                ("sys/fs/cgroup/a/cpu.max", above),
            ];
            Root::with(&files).host().quota_cpus
        };
        assert_eq!(v2("max 100000\n", "max 100000\n"), None);
        assert_eq!(v2("max 100000\n", "150000 100000\n"), Some(1.5));
        assert_eq!(v2("50000 100000\n", "150000 100000\n"), Some(0.5));
        let v1 = |quota: &str| {
            let files = [
                ("proc/self/cgroup", "5:memory:/m\n3:cpu:/of/the/host\n0::/\n"),
                ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota),
                ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ];
            Root::with(&files).host().quota_cpus
        };
        assert_eq!((v1("-1\n"), v1("250000\n")), (None, Some(2.5)));
        let both = Root::with(&[
            ("proc/self/cgroup", "3:cpu,cpuacct:/x\n"),
            ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "30000"),
            ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "10000"),
        ]);
        assert_eq!(both.host().quota_cpus, Some(3.0));
    }
}
