//! Any bytes, read as a configuration page.
//!
//! Invariants checked:
//! 1. reading never panics, and an error names a place that the page has;
//! 2. a page that is read can be laid over the defaults and over every preset;
//! 3. what it gives and is valid survives being written as a run's own page and read again, with the same values and the
//!    same bytes.
#![no_main]

use gatemill_train::Config;
use gatemill_train::config_page::{At, Page, PageError, to_toml};
use gatemill_train::preset::{Preset, layered};
use gatemill_train::run::{Settings, Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let page = match Page::parse(bytes) {
        Ok(page) => page,
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.help().is_empty());
            if let Some(At { line, column }) = place(&error) {
                let lines = bytes.split(|&byte| byte == b'\n').nth(line - 1);
                // One behind the last character is where something is missing; bytes bound characters.
                assert!(lines.is_some_and(|text| column <= text.len() + 1), "no such place: {error}");
            }
            return;
        }
    };
    for preset in [None].into_iter().chain(Preset::ALL.map(Some)) {
        let (_, config) = layered(preset, &page, |_| ()).expect("the defaults are a configuration");
        if config.validate().is_err() {
            continue;
        }
        let source = page.source.clone().unwrap_or(Source::Builtin { bytes: 1, seed: 1 });
        let mut settings = Settings::new(source);
        page.set_intervals(&mut settings);
        let written = to_toml(&config, &settings).expect("written");
        let again = Page::parse(written.as_bytes()).unwrap_or_else(|error| panic!("{error}:\n{written}"));
        let mut read = Config::default();
        again.configure(&mut read).expect("laid");
        let mut intervals = Settings::new(again.source.clone().expect("a text"));
        again.set_intervals(&mut intervals);
        assert_eq!((&read, &intervals), (&config, &settings));
        assert_eq!(to_toml(&read, &intervals).expect("written"), written);
    }
});

fn place(error: &PageError) -> Option<At> {
    match error {
        PageError::NotUtf8 { at }
        | PageError::Syntax { at, .. }
        | PageError::Unknown { at, .. }
        | PageError::Elsewhere { at, .. }
        | PageError::Value { at, .. }
        | PageError::Twice { at, .. }
        | PageError::Both { at, .. } => Some(*at),
        PageError::Base { .. } => None,
    }
}
