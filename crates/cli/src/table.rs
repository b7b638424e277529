//! Texts in columns: widths as a terminal shows them, and what is left out where it is too narrow.
//!
//! Names and samples are others' texts: control characters, and those that turn the direction of writing, are replaced
//! before they are measured. A wide character (Hangul, Han) takes two columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Between columns.
const GAP: &str = "  ";
/// The longest cell of a table; more is cut.
const CELL_MOST: usize = 48;

/// A text on one line, with nothing in it that moves the cursor or its neighbours.
pub(crate) fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() || turns(c) { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}

/// Whether a character turns the direction of what stands after it on the line.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// A column's title and manners.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    title: String,
    right: bool,
    /// 0: always shown; else the larger, the sooner it is left out.
    rank: u8,
}

impl Column {
    /// Words, from the left.
    pub(crate) fn words(title: impl Into<String>, rank: u8) -> Self {
        Self { title: title.into(), right: false, rank }
    }
    /// Numbers, to the right.
    pub(crate) fn numbers(title: impl Into<String>, rank: u8) -> Self {
        Self { title: title.into(), right: true, rank }
    }
}

/// Rows of cells under titles.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| cut(&plain(&cell), CELL_MOST)).collect());
    }

    /// The table in at most so many columns of the screen, if leaving columns out can do it. Empty columns have no place.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let cell = |row: &[String], i: usize| row.get(i).cloned().unwrap_or_default();
        let wide = |i: usize, title: &str| {
            let cells = self.rows.iter().map(|row| row.get(i).map_or(0, |cell| cell.width()));
            cells.max().unwrap_or(0).max(title.width())
        };
        let filled = |i: usize| self.rows.iter().any(|row| row.get(i).is_some_and(|cell| !cell.is_empty()));
        let mut shown: Vec<(usize, &Column, usize)> = Vec::new();
        for (i, column) in self.columns.iter().enumerate() {
            if column.rank == 0 || filled(i) {
                shown.push((i, column, wide(i, &column.title)));
            }
        }
        let total = |shown: &[(usize, &Column, usize)]| {
            let gaps = shown.len().saturating_sub(1).saturating_mul(GAP.len());
            shown.iter().fold(gaps, |sum, column| sum.saturating_add(column.2))
        };
        while width.is_some_and(|width| total(&shown) > width) {
            let Some(rank) = shown.iter().map(|column| column.1.rank).max().filter(|&rank| rank > 0) else { break };
            shown.retain(|column| column.1.rank != rank);
        }
        let line = |cells: Vec<String>| {
            let padded = shown.iter().zip(&cells).map(|((_, column, width), cell)| pad(cell, *width, column.right));
            let line: Vec<String> = padded.collect();
            format!("{}\n", line.join(GAP).trim_end())
        };
        let mut text = line(shown.iter().map(|column| column.1.title.clone()).collect());
        for row in &self.rows {
            text.push_str(&line(shown.iter().map(|column| cell(row, column.0)).collect()));
        }
        text
    }
}

/// A cell with spaces to its width.
pub(crate) fn pad(cell: &str, width: usize, right: bool) -> String {
    let spaces = " ".repeat(width.saturating_sub(cell.width()));
    if right { format!("{spaces}{cell}") } else { format!("{cell}{spaces}") }
}

/// A text cut to a width, with dots in place of what went.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut taken = 0_usize;
    for c in text.chars() {
        taken = taken.saturating_add(c.width().unwrap_or(0));
        if taken >= width {
            break;
        }
        kept.push(c);
    }
    kept.push('\u{2026}');
    kept
}

/// A text of several lines in a column: broken at its line breaks, then at spaces, and where there is none anywhere.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.trim_matches('\n').split('\n') {
        let line = plain(&line.trim_end_matches('\r').replace('\t', "    "));
        let mut rest = line.as_str();
        while let Some(at) = break_at(rest, width) {
            let (head, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
            lines.push(head.trim_end().to_owned());
            rest = tail.strip_prefix(' ').unwrap_or(tail);
        }
        lines.push(rest.trim_end().to_owned());
    }
    lines
}

/// Where a line that is too long is to be broken: a place in bytes, beyond its first character.
fn break_at(line: &str, width: usize) -> Option<usize> {
    let (mut taken, mut space, mut hard) = (0_usize, None, None);
    for (at, c) in line.char_indices() {
        taken = taken.saturating_add(c.width().unwrap_or(0));
        if taken > width {
            // A space just beyond the edge is as good a place.
            let space = if c == ' ' { Some(at) } else { space };
            // At least one character goes, however wide.
            return space.or(hard).or_else(|| line.chars().next().map(char::len_utf8)).filter(|&at| at < line.len());
        }
        if at > 0 && c == ' ' {
            space = Some(at);
        }
        hard = Some(at.saturating_add(c.len_utf8()));
    }
    None
}

/// A text under a few lines that say what it is.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    /// What it is.
    pub(crate) head: Vec<String>,
    /// The text.
    pub(crate) text: String,
}

/// A column of text is no narrower than this,
const CARD_LEAST: usize = 28;
/// nor wider than this.
const CARD_MOST: usize = 72;
const BETWEEN_CARDS: &str = " \u{2502} ";
const BETWEEN_CARDS_WIDTH: usize = 3;

/// Texts beside each other, as many as fit; where two do not fit, one below the other.
pub(crate) fn side_by_side(cards: &[Card], width: usize) -> String {
    let with_gap = CARD_LEAST.saturating_add(BETWEEN_CARDS_WIDTH);
    let fit = (width.saturating_add(BETWEEN_CARDS_WIDTH).checked_div(with_gap).unwrap_or(1)).max(1);
    let across = even(cards.len(), fit);
    let gaps = BETWEEN_CARDS_WIDTH.saturating_mul(across.saturating_sub(1));
    let each = width.saturating_sub(gaps).checked_div(across).unwrap_or(width).clamp(1, CARD_MOST);
    let mut text = String::new();
    for (i, group) in cards.chunks(across).enumerate() {
        if i > 0 {
            text.push('\n');
        }
        let heads: Vec<Vec<String>> =
            group.iter().map(|card| card.head.iter().flat_map(|line| wrap(line, each)).collect()).collect();
        let bodies: Vec<Vec<String>> = group.iter().map(|card| wrap(&card.text, each)).collect();
        block(&mut text, &heads, each);
        let rule = vec![vec!["\u{2500}".repeat(each)]; group.len()];
        block(&mut text, &rule, each);
        block(&mut text, &bodies, each);
    }
    text
}

/// How many stand in a row, so that rows are as full as they go.
fn even(count: usize, fit: usize) -> usize {
    let rows = count.div_ceil(fit).max(1);
    count.div_ceil(rows).max(1)
}

fn block(text: &mut String, columns: &[Vec<String>], width: usize) {
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    for row in 0..height {
        let cells = columns.iter().map(|column| pad(column.get(row).map_or("", String::as_str), width, false));
        let line: Vec<String> = cells.collect();
        text.push_str(line.join(BETWEEN_CARDS).trim_end());
        text.push('\n');
    }
}

/// At most `most` of `count` places, evenly chosen, first and last included.
pub(crate) fn spread(count: usize, most: usize) -> Vec<usize> {
    if count <= most || most < 2 {
        return (0..count).rev().take(most.max(1)).rev().collect();
    }
    let (last, steps) = (count.saturating_sub(1), most.saturating_sub(1));
    (0..most).filter_map(|i| i.saturating_mul(last).checked_div(steps)).collect()
}

/// A row of bars, the higher the larger: eight heights between the smallest and the largest value.
pub(crate) fn sparkline(values: &[f64], width: usize) -> String {
    const BARS: [char; 8] =
        ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let span = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
    let bar = |value: f64| {
        let height = if span > 0.0 { (value - least) / span * (BARS.len() as f64 - 1.0) } else { 0.0 };
        BARS.get(height.round() as usize).copied().unwrap_or(' ')
    };
    spread(values.len(), width).into_iter().filter_map(|i| values.get(i)).map(|&value| bar(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_move_the_cursor_or_turn_the_line() {
        assert_eq!(
            plain("a\u{1b}[2J\nb\t\u{9b}\u{202e}c\u{2066}"),
            "a\u{fffd}[2J\u{fffd}b\u{fffd}\u{fffd}\u{fffd}c\u{fffd}"
        );
        assert_eq!(plain("소설 é"), "소설 é");
    }

    #[test]
    fn columns_stand_under_each_other_whatever_the_script() {
        let mut table = Table::new(vec![Column::words("name", 0), Column::numbers("n", 0), Column::words("", 1)]);
        table.row(["소설".to_owned(), "7".to_owned(), String::new()]);
        table.row(["abcde".to_owned(), "1000".to_owned(), String::new()]);
        assert_eq!(table.render(None), "name      n\n소설      7\nabcde  1000\n");
    }

    #[test]
    fn a_narrow_screen_loses_the_columns_that_matter_least() {
        let mut table = Table::new(vec![Column::words("aaaa", 0), Column::words("bbbb", 2), Column::words("cccc", 1)]);
        table.row(["x".to_owned(), "y".to_owned(), "z".to_owned()]);
        let titles = |width| table.render(Some(width)).lines().next().unwrap().to_owned();
        assert_eq!([16, 15, 10, 9, 1].map(titles), ["aaaa  bbbb  cccc", "aaaa  cccc", "aaaa  cccc", "aaaa", "aaaa"]);
    }

    #[test]
    fn texts_are_broken_at_spaces_and_no_line_is_too_wide() {
        assert_eq!(wrap("the mill turns", 8), ["the mill", "turns"]);
        assert_eq!(wrap("the mill turns", 9), ["the mill", "turns"]);
        assert_eq!(wrap("themillturns", 5), ["themi", "lltur", "ns"]);
        assert_eq!(wrap("소설가의 하루", 5), ["소설", "가의", "하루"]);
        assert_eq!(wrap("\n\na\n\nb\tc\n", 9), ["a", "", "b    c"]);
        assert_eq!(wrap("", 5), [""]);
        let text = "소 ab\u{1b}\u{301}cd  설설설 e\u{200d}fgh\nijk    lmn".repeat(3);
        for width in 1..12 {
            for line in wrap(&text, width) {
                assert!(line.width() <= width.max(2), "{width}: {line:?}");
            }
        }
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(letters(&wrap(&text, 7).concat()), letters(&plain(&text.replace('\n', ""))), "nothing is lost");
    }

    #[test]
    fn cards_stand_side_by_side_where_two_fit() {
        let card = |head: &str, text: &str| Card { head: vec![head.to_owned()], text: text.to_owned() };
        let cards = [card("one", "소설\nb"), card("two", "x")];
        let text = side_by_side(&cards, 59);
        let rule = "\u{2500}".repeat(28);
        let expected = format!(
            "one{s} \u{2502} two\n{rule} \u{2502} {rule}\n소설{k} \u{2502} x\nb{t} \u{2502}\n",
            s = " ".repeat(25),
            k = " ".repeat(24),
            t = " ".repeat(27)
        );
        assert_eq!(text, expected);
        let narrow = side_by_side(&cards, 58);
        assert!(!narrow.contains('\u{2502}') && narrow.find("one") < narrow.find("two"), "{narrow}");
        // Five where four fit: three and two.
        let five = side_by_side(&vec![card("h", "t"); 5], 130);
        assert_eq!(five.lines().next().unwrap().matches('h').count(), 3);
    }

    #[test]
    fn a_choice_has_its_ends_and_a_curve_its_shape() {
        assert_eq!(spread(5, 9), [0, 1, 2, 3, 4]);
        assert_eq!(spread(100, 4), [0, 33, 66, 99]);
        assert_eq!((spread(0, 4), spread(3, 1)), (vec![], vec![2]));
        assert_eq!(sparkline(&[4.0, 2.0, f64::NAN, 1.0, 0.5], 10), "\u{2588}\u{2584}\u{2582}\u{2581}");
        assert_eq!(sparkline(&[1.0, 1.0], 10), "\u{2581}\u{2581}");
        assert_eq!(cut("abcdef", 4), "abc\u{2026}");
        assert_eq!(cut("소설소설", 4), "소\u{2026}");
    }
}
