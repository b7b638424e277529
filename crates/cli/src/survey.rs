//! `gatemill corpus FILE`: what a text is, in words and tables or as one JSON object.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Once;

use gatemill_corpus::survey::{Bigram, FileSurvey, Survey, SurveyOptions, Yardsticks, survey};
use gatemill_corpus::{Io, VocabKind};
use gatemill_crew::Crew;
use gatemill_train::VocabChoice;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::args::CorpusArgs;
use crate::corpus;
use crate::exit::{self, Failure};
use crate::json;
use crate::progress::grouped;

/// Symbols that are listed without `--all`.
const LISTED: usize = 40;
/// Less is surveyed before a bar could be looked at.
const BAR_FROM_BYTES: u64 = 100_000_000;

/// Runs the command.
pub(crate) fn run(args: &CorpusArgs) -> Result<u8, Failure> {
    let vocab = match args.vocab {
        Some(VocabChoice::Bytes) => VocabKind::Bytes,
        _ => VocabKind::Chars,
    };
    let crew = Crew::new(Crew::available())?;
    let bar = ProgressBar::hidden();
    let shown = Once::new();
    let progress = |done, all| {
        if all >= BAR_FROM_BYTES && std::io::stderr().is_terminal() {
            shown.call_once(|| show(&bar, all));
            bar.set_position(done);
        }
    };
    // Read, not mapped: pages of a map would count as memory of this program until they are wanted elsewhere.
    let options = SurveyOptions { vocab, io: Io::Read };
    let files = corpus::expanded(&args.files)?;
    let result = crew.install(|| survey(&files, &options, &progress));
    bar.finish_and_clear();
    let survey = result?;
    let listed = if args.all { usize::MAX } else { LISTED };
    if args.json {
        json::object(&object(&survey, listed))?;
    } else {
        json::text(page(&survey, listed).as_bytes())?;
    }
    Ok(exit::OK)
}

fn show(bar: &ProgressBar, all: u64) {
    bar.set_length(all);
    bar.set_draw_target(ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {bytes} of {total_bytes}  {bytes_per_sec}, {eta} left") {
        bar.set_style(style);
    }
}

fn bits(nats: f64) -> f64 {
    nats / std::f64::consts::LN_2
}

/// What `--json` writes.
fn object(survey: &Survey, listed: usize) -> Value {
    let Yardsticks { ln_v, unigram_nats, bigram } = survey.yardsticks;
    let file = |file: &FileSurvey| {
        json!({
            "path": file.path.to_string_lossy(), "bytes": file.size_bytes, "characters": file.characters,
            "utf8": file.faults == 0, "faults": file.faults, "fault_offsets": file.fault_offsets,
            "byte_order_mark": file.byte_order_mark, "nfc": file.nfc, "nuls": file.nuls,
            "lf": file.lines.lf, "crlf": file.lines.crlf, "cr": file.lines.cr,
            "longest_line": file.lines.longest, "longest_line_offset": file.lines.longest_at,
        })
    };
    let symbol = |&(code, count): &(u32, u64)| {
        let text = char::from_u32(code).filter(|_| survey.vocab == VocabKind::Chars || code < 0x80);
        json!({ "code": code, "symbol": text, "count": count })
    };
    let rest = survey.counts.get(listed..).unwrap_or_default();
    json!({
        "files": survey.files.iter().map(file).collect::<Vec<_>>(),
        "bytes": survey.size_bytes(), "characters": survey.characters(), "faults": survey.faults(),
        "vocab": match survey.vocab { VocabKind::Chars => "chars", VocabKind::Bytes => "bytes" },
        "symbols": survey.symbols, "distinct": survey.counts.len(), "vocab_size": survey.vocab_len,
        "counts": survey.counts.iter().take(listed).map(symbol).collect::<Vec<_>>(),
        "other_kinds": rest.len(), "other_symbols": sum(rest),
        "ln_v": ln_v, "unigram_nats": unigram_nats, "unigram_bits": bits(unigram_nats),
        "bigram_nats": bigram.map(|bigram| bigram.nats), "bigram_bits": bigram.map(|bigram| bits(bigram.nats)),
        "bigram_symbols": bigram.map(|bigram| bigram.symbols),
        "bigram_unseen": bigram.map(|bigram| bigram.unseen),
        "bigram_unseen_kinds": bigram.map(|bigram| bigram.unseen_kinds),
        "notes": survey.notes,
    })
}

fn sum(counts: &[(u32, u64)]) -> u64 {
    counts.iter().fold(0, |sum, &(_, count)| sum.saturating_add(count))
}

/// What people read.
fn page(survey: &Survey, listed: usize) -> String {
    let mut page = String::new();
    survey.files.iter().for_each(|file| about(file, &mut page));
    let many = survey.files.len() > 1;
    if many {
        let (bytes, characters) = (grouped(survey.size_bytes()), grouped(survey.characters()));
        line(&mut page, "together", format!("{} files, {bytes} bytes, {characters} characters", survey.files.len()));
    }
    for note in &survey.notes {
        line(&mut page, "note", note);
    }
    let other = survey.files.iter().find_map(|file| file.byte_order_mark.filter(|&mark| mark != "UTF-8"));
    if let Some(encoding) = other {
        line(&mut page, "to learn", format!("convert it first: `iconv -f {encoding} -t UTF-8`, or use --vocab bytes"));
    } else if survey.faults() > 0 {
        let what = "characters need UTF-8: convert the text, read faults as U+FFFD with --lossy, or use --vocab bytes";
        line(&mut page, "to learn", what);
    }
    symbols(survey, listed, &mut page);
    yardsticks(survey, &mut page);
    page
}

/// A line with its name in front.
fn line(page: &mut String, name: &str, text: impl AsRef<str>) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{name:<12}{}", text.as_ref());
}

fn about(file: &FileSurvey, page: &mut String) {
    let (bytes, characters) = (grouped(file.size_bytes), grouped(file.characters));
    line(page, "file", format!("{:?}", file.path));
    line(page, "size", format!("{bytes} bytes, {characters} characters"));
    let mark = file.byte_order_mark.map(|mark| format!(", with the byte-order mark of {mark}")).unwrap_or_default();
    let form = if file.nfc { "in" } else { "not in" };
    line(
        page,
        "encoding",
        match file.faults {
            0 => format!("UTF-8{mark}, {form} normal form C"),
            faults => {
                let places: Vec<String> = file.fault_offsets.iter().map(|&at| grouped(at)).collect();
                let more = if faults > places.len() as u64 { ", ..." } else { "" };
                let plural = if faults == 1 { "" } else { "s" };
                format!(
                    "not UTF-8{mark}: {} fault{plural}, at byte offset {}{more}",
                    grouped(faults),
                    places.join("; ")
                )
            }
        },
    );
    let lines = &file.lines;
    let kinds = [("LF", lines.lf), ("CRLF", lines.crlf), ("CR", lines.cr)];
    let kinds: Vec<String> =
        kinds.into_iter().filter(|kind| kind.1 > 0).map(|(name, count)| format!("{} {name}", grouped(count))).collect();
    let mixed = if kinds.len() > 1 { " (mixed; they are kept as they are)" } else { "" };
    let ends = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
    line(page, "line ends", format!("{ends}{mixed}"));
    let at = grouped(lines.longest_at);
    line(page, "longest", format!("a line of {} characters, at byte offset {at}", grouped(lines.longest)));
    if file.nuls > 0 {
        line(page, "NUL", format!("{}; an ordinary symbol", grouped(file.nuls)));
    }
}

/// The table of symbols.
fn symbols(survey: &Survey, listed: usize, page: &mut String) {
    let (symbols, kinds) = (grouped(survey.symbols), grouped(survey.counts.len() as u64));
    line(
        page,
        "symbols",
        match survey.vocab {
            VocabKind::Chars => format!("{symbols} characters, {kinds} different: V = {kinds}"),
            VocabKind::Bytes => format!("{symbols} bytes, {kinds} different: V = 256 in any case"),
        },
    );
    let mut row = |name: &str, count: u64| {
        let share = 100.0 * count as f64 / survey.symbols.max(1) as f64;
        let _ = writeln!(page, "{:12}{name:<12}{:>15}{share:>9.3} %", "", grouped(count));
    };
    for &(code, count) in survey.counts.iter().take(listed) {
        row(&name(code, survey.vocab), count);
    }
    let rest = survey.counts.get(listed..).unwrap_or_default();
    if !rest.is_empty() {
        row(&format!("{} others", grouped(rest.len() as u64)), sum(rest));
    }
}

/// A symbol in quotation marks; what cannot be seen, or would stack on them, as an escape.
fn name(code: u32, vocab: VocabKind) -> String {
    match char::from_u32(code).filter(|c| vocab == VocabKind::Chars || c.is_ascii()) {
        Some(c) => format!("{c:?}"),
        None => format!("0x{code:02x}"),
    }
}

fn yardsticks(survey: &Survey, page: &mut String) {
    let Yardsticks { ln_v, unigram_nats, bigram } = survey.yardsticks;
    let unit = match survey.vocab {
        VocabKind::Chars => "character",
        VocabKind::Bytes => "byte",
    };
    line(page, "guessing", format!("{:<44}{:>8}{:>9} per {unit}", "", "nats", "bits"));
    let mut row = |name: &str, nats: f64| {
        let _ = writeln!(page, "{:12}{name:<44}{nats:>8.3}{:>9.3}", "", bits(nats));
    };
    row("ln V: every symbol alike", ln_v);
    row("unigram: each symbol by its frequency", unigram_nats);
    let Some(Bigram { nats, symbols, unseen, unseen_kinds }) = bigram else {
        let why = if survey.symbols < 2 { "there is one symbol" } else { "there are too many kinds of pairs to keep" };
        line(page, "", format!("bigram: not counted, {why}"));
        return;
    };
    row("bigram: by the one before, last tenth", nats);
    if unseen > 0 {
        let (unseen, symbols, kinds) = (grouped(unseen), grouped(symbols), grouped(unseen_kinds));
        line(page, "", format!("{unseen} of the {symbols} in the last tenth ({kinds} different) are new there"));
    }
    line(page, "aim", format!("a trained model should get well below the bigram's {:.3} bits per {unit}", bits(nats)));
}
