//! `gatemill completions` and `gatemill man`: the parser's own knowledge of commands and flags, for shells and for `man`.

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::exit::{self, Failure, IO};
use crate::json;

/// Writes the completions of a shell to stdout.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gatemill", &mut script);
    json::text(&script)?;
    Ok(exit::OK)
}

/// Writes one page with all commands to stdout, or a page for each into a folder.
pub(crate) fn man(args: &ManArgs) -> Result<u8, Failure> {
    let command = whole();
    match &args.out {
        None => {
            json::text(&one_page(&command).map_err(|error| Failure::new(exit::INTERNAL, error.to_string()))?)?;
        }
        Some(folder) => pages(&command, folder).map_err(|(path, error)| {
            Failure::new(IO, format!("cannot write {}: {error}", path.display()))
                .help("choose a folder that can be written with --out")
        })?,
    }
    Ok(exit::OK)
}

/// The parser with everything filled in. `help` repeats the commands and has no page.
fn whole() -> Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    command
}

/// The page of `gatemill`, then for each command its description and flags.
fn one_page(command: &Command) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    body(&man, &mut page)?;
    for subcommand in command.get_subcommands() {
        let mut part = Vec::new();
        let man = Man::new(subcommand.clone());
        body(&man, &mut part)?;
        examples(&man, subcommand, &mut part)?;
        page.extend_from_slice(format!(".SH GATEMILL {}\n", subcommand.get_name().to_uppercase()).as_bytes());
        // Within the page a command's sections are one level down.
        let part = String::from_utf8_lossy(&part).replace(".SH ", ".SS ");
        page.extend_from_slice(part.as_bytes());
    }
    examples(&man, command, &mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// A command's own page.
fn own_page(command: &Command, name: &str) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).title(name);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    body(&man, &mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    examples(&man, command, &mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

fn body(man: &Man, page: &mut Vec<u8>) -> std::io::Result<()> {
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)
}

/// What stands after the flags in the help: examples, whose lines are not to be run into one another.
fn examples(man: &Man, command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    if command.get_after_help().is_none() {
        return Ok(());
    }
    let mut part = Vec::new();
    man.render_extra_section(&mut part)?;
    let part = String::from_utf8_lossy(&part).replacen(".SH EXTRA\n", ".SH EXAMPLES\n.nf\n", 1);
    page.extend_from_slice(part.replacen("\nExamples:\n", "\n", 1).as_bytes());
    page.extend_from_slice(b".fi\n");
    Ok(())
}

/// `gatemill.1`, `gatemill-train.1`, ...
fn pages(command: &Command, folder: &Path) -> Result<(), (PathBuf, std::io::Error)> {
    std::fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    let write = |name: &str, command: &Command| {
        let path = folder.join(format!("{name}.1"));
        own_page(command, name).and_then(|page| std::fs::write(&path, page)).map_err(|error| (path, error))
    };
    write("gatemill", command)?;
    for subcommand in command.get_subcommands() {
        write(&format!("gatemill-{}", subcommand.get_name()), subcommand)?;
    }
    Ok(())
}
