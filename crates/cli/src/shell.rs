//! `gatemill completions` and `gatemill man`: the parser's own knowledge of commands and flags, for shells and for `man`.

use std::path::Path;

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
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for subcommand in command.get_subcommands() {
        let man = Man::new(subcommand.clone());
        let mut part = Vec::new();
        man.render_synopsis_section(&mut part)?;
        man.render_description_section(&mut part)?;
        man.render_options_section(&mut part)?;
        if subcommand.get_after_help().is_some() {
            man.render_extra_section(&mut part)?;
        }
        page.extend_from_slice(format!(".SH GATEMILL {}\n", subcommand.get_name().to_uppercase()).as_bytes());
        // Within the page a command's sections are one level down.
        let part = String::from_utf8_lossy(&part).replace(".SH ", ".SS ");
        page.extend_from_slice(part.as_bytes());
    }
    man.render_extra_section(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// `gatemill.1`, `gatemill-train.1`, ...
fn pages(command: &Command, folder: &Path) -> Result<(), (std::path::PathBuf, std::io::Error)> {
    std::fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    let write = |name: String, command: &Command| {
        let path = folder.join(format!("{name}.1"));
        let mut page = Vec::new();
        let written = Man::new(command.clone()).title(name).render(&mut page);
        written.and_then(|()| std::fs::write(&path, &page)).map_err(|error| (path, error))
    };
    write("gatemill".to_owned(), command)?;
    for subcommand in command.get_subcommands() {
        write(format!("gatemill-{}", subcommand.get_name()), subcommand)?;
    }
    Ok(())
}
