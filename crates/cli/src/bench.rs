//! `gatemill bench`: how fast training, scoring and writing go on this machine, beside its peak; two such measurements compared.
//!
//! Each measurement has a process of its own (`alone.rs`), so that its peak of memory is its own and nothing of an earlier
//! one is left. One that turns out wrong has no figures: the others are made and told, and the end is an error.

use gatemill_kernels::Kernels;
use gatemill_train::bench::{Kind, Record, Task};

use crate::args::BenchArgs;
use crate::exit::{self, Failure, INTERNAL};
use crate::{json, memory, place};

mod alone; // one measurement in a process of its own
mod diff; // two files compared
mod saved; // figures as a file
mod tell; // figures as a table
mod watch; // what is being measured

/// Runs the command.
pub(crate) fn run(args: &BenchArgs) -> Result<u8, Failure> {
    if let Some(task) = &args.one {
        return alone::child(task);
    }
    if let Some([a, b]) = args.diff.as_deref() {
        return diff::run(a, b, args.json);
    }
    let kernels = Kernels::from_env()?;
    let plan = args.plan();
    for (task, _) in plan.iter().filter(|(task, _)| task.kind == Kind::Train) {
        memory::check(&task.sizes.config(), task.sizes.vocab)?;
    }
    if let Some(path) = &args.save {
        place::check("--save", path, [])?;
    }
    let Measured { records, failures } = measure(&plan, args.json)?;
    if !args.json && !records.is_empty() {
        json::text(tell::page(&records, crate::runs::width()).as_bytes())?;
    }
    if let Some(path) = args.save.as_ref().filter(|_| !records.is_empty()) {
        saved::Document::new(records, &kernels).write(path)?;
    }
    end(failures)
}

/// What came of the measurements.
struct Measured {
    records: Vec<Record>,
    failures: Vec<Failure>,
}

/// Makes them, one after the other. What is wrong is passed over; any other failure is the last.
fn measure(plan: &[(Task, usize)], as_json: bool) -> Result<Measured, Failure> {
    let mut watch = watch::Watch::new(plan.len());
    let mut measured = Measured { records: Vec::new(), failures: Vec::new() };
    for (task, threads) in plan {
        watch.next(task, *threads);
        match alone::measure(task, *threads) {
            Ok(record) => {
                if as_json && !json::object(&record)? {
                    // Nobody reads any more.
                    break;
                }
                measured.records.push(record);
            }
            Err(failure) => {
                let wrong = failure.code == INTERNAL;
                measured.failures.push(failure);
                if !wrong {
                    break;
                }
            }
        }
    }
    watch.close();
    Ok(measured)
}

/// The command's end: the first failure, and how many there are.
fn end(failures: Vec<Failure>) -> Result<u8, Failure> {
    let count = failures.len();
    // The last may be of another kind: the reason why there are no more measurements.
    let Some(mut failure) = failures.into_iter().next() else { return Ok(exit::OK) };
    if count > 1 {
        failure.message = format!("{} (the first of {count} measurements that failed)", failure.message);
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_ends_with_70_and_says_how_many() {
        assert_eq!(end(Vec::new()).unwrap(), exit::OK);
        let wrong = |text: &str| Failure::new(INTERNAL, text);
        let failure = end(vec![wrong("one"), wrong("two")]).unwrap_err();
        assert_eq!((failure.code, failure.message.as_str()), (70, "one (the first of 2 measurements that failed)"));
    }
}
