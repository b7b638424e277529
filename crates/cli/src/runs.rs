//! `gatemill runs`: what was trained, how it went, and what it wrote on the way; one run, several compared, or all.
//!
//! Run folders are read and nothing else: a run that goes on is not disturbed. Whether one goes on is asked of the system
//! (`gatemill_train::history`). Results go to stdout; where that is a terminal, they keep to its width.

use std::cmp::Ordering;
use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

use gatemill_train::history::History;

use crate::args::{RunsArgs, Sort};
use crate::exit::{self, BAD_DATA, Failure, IO};
use crate::json;
use crate::train::RUNS;

mod compare;
mod list;
mod object;
mod one;
mod stages;
mod words;

/// The width of texts side by side where stdout is no terminal.
const SCREEN: usize = 120;
/// Narrower screens are taken for this wide.
const SCREEN_LEAST: usize = 20;

/// Runs the command.
pub(crate) fn run(args: &RunsArgs) -> Result<u8, Failure> {
    let Found { folders, listing } = find(&args.paths)?;
    let mut runs: Vec<History> = folders.iter().map(|folder| History::read(folder)).collect();
    if listing || args.sort.is_some() {
        sort(&mut runs, args.sort.unwrap_or(Sort::Newest));
    }
    if args.stages {
        stages::tell(&runs, args, width().unwrap_or(SCREEN))?;
        return Ok(exit::OK);
    }
    if args.json {
        for run in &runs {
            if args.samples {
                json::object(&object::Samples::of(run))?;
            } else {
                json::object(&object::Page::of(run))?;
            }
        }
        return Ok(exit::OK);
    }
    let width = width();
    let screen = width.unwrap_or(SCREEN);
    let text = match runs.as_slice() {
        [run] if !listing && args.samples => one::samples(run, screen),
        [run] if !listing => one::page(run, width, screen),
        runs if !listing && args.samples => compare::samples(runs, screen),
        runs if !listing => compare::page(runs, width, screen),
        runs if args.samples => {
            let pages: Vec<String> = runs.iter().map(|run| one::samples(run, screen)).collect();
            pages.join("\n")
        }
        runs => list::table(runs, None).render(width),
    };
    json::text(text.as_bytes())?;
    Ok(exit::OK)
}

/// Runs to show.
struct Found {
    folders: Vec<PathBuf>,
    /// Some were found in a folder: a table, whatever their number.
    listing: bool,
}

/// The runs that paths mean: themselves, or those inside.
fn find(paths: &[PathBuf]) -> Result<Found, Failure> {
    let help = "`gatemill train` makes a run folder; give one, or a folder with some in it";
    if paths.is_empty() {
        let folders = inside(Path::new(RUNS)).map_err(|failure| failure.help(help))?;
        return Ok(Found { folders, listing: true });
    }
    let mut found = Found { folders: Vec::new(), listing: false };
    for path in paths {
        if History::is_there(path) {
            found.folders.push(path.clone());
        } else {
            found.folders.extend(inside(path).map_err(|failure| failure.help(help))?);
            found.listing = true;
        }
    }
    Ok(found)
}

/// The runs in a folder. Errors: it cannot be listed, or there are none.
fn inside(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let shown = folder.display();
    let runs = History::runs_in(folder).map_err(|error| match error.kind() {
        ErrorKind::NotADirectory => Failure::new(BAD_DATA, format!("{shown} is a file, not a run folder")),
        _ => Failure::new(IO, format!("cannot list {shown}: {error}")),
    })?;
    if runs.is_empty() {
        return Err(Failure::new(BAD_DATA, format!("{shown} is no run folder and holds none")));
    }
    Ok(runs)
}

fn sort(runs: &mut [History], by: Sort) {
    let name = |a: &History, b: &History| a.name.cmp(&b.name);
    let val = |run: &History| run.best.map_or(f64::INFINITY, |best| best.0);
    runs.sort_by(|a, b| {
        let order = match by {
            Sort::Newest => a.written.cmp(&b.written),
            Sort::Val => val(a).total_cmp(&val(b)),
            Sort::Time => a.seconds.total_cmp(&b.seconds),
            Sort::Name => Ordering::Equal,
        };
        order.then_with(|| name(a, b))
    });
}

/// Columns of the screen: what COLUMNS says, else the terminal; none where stdout goes elsewhere.
pub(crate) fn width() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse::<usize>().ok());
    let terminal = || {
        let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
        Some(usize::from(width.0))
    };
    let columns = columns.or_else(|| if std::io::stdout().is_terminal() { terminal() } else { None });
    columns.filter(|&columns| columns > 0).map(|columns| columns.max(SCREEN_LEAST))
}
