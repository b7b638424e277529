//! What a command line asks for: the defaults, over them a preset, over that the page of `--config`, over that the flags.
//!
//! Only values come out, so that a run can be understood without its preset or its page.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use gatemill_train::Config;
use gatemill_train::config_page::Page;
use gatemill_train::preset::{Preset, layered};
use gatemill_train::run::{Settings, Source};

use gatemill_train::run::task::{made_source, task_defaults};
use gatemill_train::task::{TaskConfig, TaskKind};

use crate::args::TrainArgs;
use crate::corpus;
use crate::exit::{Failure, IO, USAGE};

/// Far more than all keys with comments; a text given by mistake is larger.
const LARGEST_PAGE_BYTES: u64 = 1 << 20;

/// The configuration and settings of a new run.
pub(crate) fn of_a_new_run(args: &TrainArgs) -> Result<(Config, Settings), Failure> {
    let page = page(args)?;
    let (preset, config) = layered(args.preset, &page, |config| args.configure(config))
        .map_err(|error| Failure::new(USAGE, error.to_string()))?;
    if let Some(preset) = preset {
        preset.check(&config).map_err(|error| Failure::new(USAGE, error.to_string()).help(without(preset, &config)))?;
    }
    config.validate()?;
    if page.is_of_a_task() {
        let message = "the page of --config is one of a task, and without --task a model learns from a text";
        return Err(Failure::new(USAGE, message).help("add the --task that the page names, or take its lines out"));
    }
    let source = match &page.source {
        _ if !args.files.is_empty() => corpus::files(&args.files)?,
        Some(source) => source.clone(),
        None => corpus::BUILTIN,
    };
    let mut settings = Settings::new(source);
    if let Some(preset) = preset {
        preset.set_intervals(&mut settings);
    }
    page.set_intervals(&mut settings);
    args.set_intervals(&mut settings);
    Ok((config, settings))
}

/// The configuration and settings of a run that goes on, from those that it had.
pub(crate) fn of_a_resumed_run(
    args: &TrainArgs,
    config: &Config,
    settings: &Settings,
) -> Result<(Config, Settings), Failure> {
    let (mut config, mut settings) = (config.clone(), settings.clone());
    let page = page(args)?;
    if let Some(preset) = page.preset {
        let message =
            format!("a run that goes on has its settings, and the page of --config begins anew from {preset}");
        return Err(
            Failure::new(USAGE, message).help("take `preset` out of the page, or start a new run without --resume")
        );
    }
    page.configure(&mut config).map_err(|error| Failure::new(USAGE, error.to_string()))?;
    args.configure(&mut config);
    config.validate()?;
    page.set_intervals(&mut settings);
    args.set_intervals(&mut settings);
    if !args.files.is_empty() {
        settings.source = corpus::files(&args.files)?;
    } else if let Some(source) = page.source {
        settings.source = source;
    }
    Ok((config, settings))
}

/// The configuration and settings of a new run on examples.
pub(crate) fn of_a_new_task(args: &TrainArgs, kind: TaskKind) -> Result<(TaskConfig, Settings), Failure> {
    no_flags_of_a_text(args)?;
    let page = page(args)?;
    let mut config = task_defaults(kind);
    page.configure_task(&mut config).map_err(|error| Failure::new(USAGE, error.to_string()).help(error.help()))?;
    args.configure_task(&mut config);
    config.validate()?;
    let source = match &page.source {
        _ if !args.files.is_empty() => corpus::files(&args.files)?,
        Some(source) => source.clone(),
        None => made_source(config.kind),
    };
    let mut settings = Settings::new(source);
    page.set_intervals(&mut settings);
    args.set_intervals(&mut settings);
    settings.val = validation(args)?.or(settings.val).or(page.val);
    Ok((config, settings))
}

/// The configuration and settings of a run on examples that goes on, from those that it had.
pub(crate) fn of_a_resumed_task(
    args: &TrainArgs,
    config: &TaskConfig,
    settings: &Settings,
) -> Result<(TaskConfig, Settings), Failure> {
    no_flags_of_a_text(args)?;
    let (mut config, mut settings) = (config.clone(), settings.clone());
    let page = page(args)?;
    page.configure_task(&mut config).map_err(|error| Failure::new(USAGE, error.to_string()).help(error.help()))?;
    args.configure_task(&mut config);
    config.validate()?;
    let val = validation(args)?.or(page.val.clone()).or(settings.val.take());
    page.set_intervals(&mut settings);
    args.set_intervals(&mut settings);
    settings.val = val;
    if !args.files.is_empty() {
        settings.source = corpus::files(&args.files)?;
    } else if let Some(source) = page.source {
        settings.source = source;
    }
    Ok((config, settings))
}

fn validation(args: &TrainArgs) -> Result<Option<Source>, Failure> {
    args.val.as_ref().map(|path| corpus::files(std::slice::from_ref(path))).transpose()
}

/// Errors: a flag that means nothing for a task.
fn no_flags_of_a_text(args: &TrainArgs) -> Result<(), Failure> {
    match args.no_flags_of_a_task() {
        Some((flag, why)) => {
            Err(Failure::new(USAGE, format!("{flag} means nothing for a task: {why}"))
                .help(format!("leave {flag} out")))
        }
        None => Ok(()),
    }
}

/// The page of `--config`, or an empty one.
fn page(args: &TrainArgs) -> Result<Page, Failure> {
    let Some(path) = &args.config else { return Ok(Page::default()) };
    let bytes = read(path).map_err(|error| {
        Failure::new(IO, format!("cannot read {}: {error}", path.display()))
            .help("--config takes a TOML file with one `flag = value` to a line, such as a run's config.toml")
    })?;
    if bytes.len() as u64 > LARGEST_PAGE_BYTES {
        let message = format!("{} is larger than {LARGEST_PAGE_BYTES} bytes: no configuration", path.display());
        return Err(Failure::new(USAGE, message).help("the text to learn from is given without --config"));
    }
    Page::parse(&bytes).map_err(|error| Failure::new(USAGE, format!("{}, {error}", path.display())).help(error.help()))
}

/// At most one byte more than a page may have.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_PAGE_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What to type where a preset does not hold for a configuration.
fn without(preset: Preset, config: &Config) -> String {
    let flags = preset.flags_at(config.seq).into_iter().filter(|(name, _)| name != "--cell");
    let flags: Vec<String> = flags.map(|(name, value)| format!("{name} {value}")).collect();
    format!("give `--cell gru` without the preset, or with its settings as flags: --cell gru {}", flags.join(" "))
}
