//! Lines over linear or logarithmic axes, as SVG inside a page.
//!
//! ```text
//! range of the finite values -> nice ticks -> places on a 640 x 360 field -> paths, broken where a value is none
//! ```
//!
//! Series are told apart by dash, marker and colour, whichever can be seen. A screen reader gets the title and a sentence
//! about each series; the legend is text beside the picture. A value that an axis cannot have (NaN, an infinity, on a
//! logarithmic axis anything up to 0) is left out and breaks its line.

use std::fmt::Write;

use maud::{Markup, html};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const TOP: f64 = 14.0;
const RIGHT: f64 = 22.0;
const BOTTOM: f64 = 50.0;
/// Width of a tick's character, a guess that no system's font exceeds by much.
const CHARACTER: f64 = 7.6;
/// Ticks that an axis aims at.
const X_TICKS: f64 = 7.0;
const Y_TICKS: f64 = 6.0;
/// Markers on a line.
const MARKERS: usize = 10;
/// Points after which a line is thinned to them: more than a screen has columns.
const MOST_POINTS: usize = 2000;
/// Kinds of line in `style.css`: classes s0, s1, ...
const KINDS: usize = 6;

/// An axis: what it measures, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    label: String,
    log: bool,
    include: Option<f64>,
}

impl Axis {
    /// Equal steps are equal differences.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: false, include: None }
    }
    /// Equal steps are equal ratios; values up to 0 have no place.
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: true, include: None }
    }
    /// The axis reaches to this value, whatever the data.
    #[must_use]
    pub fn including(mut self, value: f64) -> Self {
        self.include = Some(value);
        self
    }
    fn has(&self, x: f64) -> bool {
        x.is_finite() && (!self.log || x > 0.0)
    }
    /// The scale's own measure of a value.
    fn measure(&self, x: f64) -> f64 {
        if self.log { libm::log10(x) } else { x }
    }
}

/// A named line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

impl Series {
    /// A line through these points in their order.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.into(), points: points.into_iter().collect() }
    }
}

/// A line chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    id: String,
    title: String,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
}

/// An axis laid over pixels.
struct Laid {
    low: f64,
    high: f64,
    /// Value and text.
    ticks: Vec<(f64, String)>,
}

impl Chart {
    /// An empty chart; `id` is a word that no other chart of the page has.
    pub fn new(id: impl Into<String>, title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self { id: id.into(), title: title.into(), x, y, series: Vec::new() }
    }
    /// One more line.
    #[must_use]
    pub fn line(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// The chart with its legend.
    pub fn render(&self) -> Markup {
        let points = || self.series.iter().flat_map(|s| s.points.iter()).filter(|p| self.x.has(p.0) && self.y.has(p.1));
        let x = laid(&self.x, points().map(|p| p.0), X_TICKS);
        let y = laid(&self.y, points().map(|p| p.1), Y_TICKS);
        let widest = y.ticks.iter().map(|tick| tick.1.chars().count()).max().unwrap_or(0);
        let left = 34.0 + CHARACTER * widest as f64;
        let across = |v: f64| left + (self.x.measure(v) - x.low) / (x.high - x.low) * (WIDTH - left - RIGHT);
        let down = |v: f64| HEIGHT - BOTTOM - (self.y.measure(v) - y.low) / (y.high - y.low) * (HEIGHT - BOTTOM - TOP);
        let (title_id, desc_id) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        let (foot, end) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let middle = (TOP + foot) / 2.0;
        html! {
            div.chart id=(self.id) {
                div.scroll tabindex="0" role="region" aria-label=(self.title) {
                    svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby={ (title_id) " " (desc_id) } {
                        title id=(title_id) { (self.title) }
                        desc id=(desc_id) { (self.summary()) }
                        g.grid {
                            @for (value, text) in &y.ticks {
                                @let at = px(down(*value));
                                line x1=(px(left)) x2=(px(end)) y1=(at) y2=(at) {}
                                text x=(px(left - 8.0)) y=(at) dy="0.35em" text-anchor="end" { (text) }
                            }
                            @for (value, text) in &x.ticks {
                                @let at = px(across(*value));
                                line x1=(at) x2=(at) y1=(px(TOP)) y2=(px(foot)) {}
                                text x=(at) y=(px(foot + 18.0)) text-anchor="middle" { (text) }
                            }
                        }
                        text.axis x=(px((left + end) / 2.0)) y=(px(HEIGHT - 8.0)) text-anchor="middle" { (self.x.label) }
                        text.axis x="14" y=(px(middle)) text-anchor="middle" transform={ "rotate(-90 14 " (px(middle)) ")" } { (self.y.label) }
                        @if points().next().is_none() {
                            text x=(px((left + end) / 2.0)) y=(px(middle)) text-anchor="middle" { "no data" }
                        }
                        @for (n, series) in self.series.iter().enumerate() {
                            (self.drawn(n, series, &across, &down))
                        }
                    }
                }
                @if self.series.len() > 1 {
                    ul.legend {
                        @for (n, series) in self.series.iter().enumerate() {
                            li {
                                svg viewBox="0 0 36 12" width="36" height="12" aria-hidden="true" {
                                    g.series.{ "s" (n % KINDS) } { path d="M1 6H35" {} (marker(n % KINDS, 18.0, 6.0, None)) }
                                }
                                (series.name)
                            }
                        }
                    }
                }
            }
        }
    }

    /// A series' line and markers.
    fn drawn(&self, n: usize, series: &Series, across: &impl Fn(f64) -> f64, down: &impl Fn(f64) -> f64) -> Markup {
        let stride = series.points.len().div_ceil(MOST_POINTS).max(1);
        let last = series.points.len().saturating_sub(1);
        let (mut path, mut pen_down, mut shown) = (String::new(), false, Vec::new());
        for (i, &(x, y)) in series.points.iter().enumerate() {
            if !self.x.has(x) || !self.y.has(y) {
                pen_down = false;
                continue;
            }
            if i % stride != 0 && i != last {
                continue;
            }
            let _ = write!(path, "{}{} {}", if pen_down { 'L' } else { 'M' }, px(across(x)), px(down(y)));
            pen_down = true;
            shown.push((x, y));
        }
        let every = shown.len().div_ceil(MARKERS).max(1);
        // Markers of several lines stand in different places.
        let first = if shown.len() > MARKERS { n * every / KINDS } else { 0 };
        html! {
            g.series.{ "s" (n % KINDS) } {
                path d=(path) {}
                @for &(x, y) in shown.iter().skip(first).step_by(every) {
                    (marker(n % KINDS, across(x), down(y), Some(&format!("{}: {} at {}", series.name, short(y), short(x)))))
                }
            }
        }
    }

    /// What the picture shows, in words.
    fn summary(&self) -> String {
        let mut text = format!("{} over {}.", self.y.label, self.x.label);
        for series in &self.series {
            let seen: Vec<_> = series.points.iter().filter(|p| self.x.has(p.0) && self.y.has(p.1)).collect();
            let (Some(first), Some(last)) = (seen.first(), seen.last()) else {
                let _ = write!(text, " {}: no data.", series.name);
                continue;
            };
            let least = seen.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
            let most = seen.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
            let _ = write!(
                text,
                " {}: from {} at {} to {} at {}, between {} and {}.",
                series.name,
                short(first.1),
                short(first.0),
                short(last.1),
                short(last.0),
                short(least),
                short(most)
            );
        }
        text
    }
}

/// A marker of the n-th kind around a place, with its words for a pointer that rests on it.
fn marker(kind: usize, x: f64, y: f64, words: Option<&str>) -> Markup {
    let r = 3.6;
    let d = match kind {
        0 => format!("M{} {}a{r} {r} 0 1 0 {} 0a{r} {r} 0 1 0 {} 0z", px(x - r), px(y), 2.0 * r, -2.0 * r),
        1 => format!("M{} {}h{}v{}h{}z", px(x - 3.2), px(y - 3.2), 6.4, 6.4, -6.4),
        2 => format!("M{} {}l4 7h-8z", px(x), px(y - 4.4)),
        3 => format!("M{} {}l4.4 4.4l-4.4 4.4l-4.4 -4.4z", px(x), px(y - 4.4)),
        4 => format!("M{} {}l7 7m0 -7l-7 7", px(x - 3.5), px(y - 3.5)),
        _ => format!("M{} {}h8m-4 -4v8", px(x - 4.0), px(y)),
    };
    html! { path.mark d=(d) { @if let Some(words) = words { title { (words) } } } }
}

/// The range of an axis in its own measure, with its ticks.
fn laid(axis: &Axis, values: impl Iterator<Item = f64>, aim: f64) -> Laid {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for v in values.chain(axis.include.filter(|&v| axis.has(v))) {
        let m = axis.measure(v);
        (low, high) = (low.min(m), high.max(m));
    }
    if low > high {
        (low, high) = (0.0, 1.0);
    }
    if axis.log { decades(low, high, aim) } else { steps(low, high, aim) }
}

/// Ticks at 1, 2 or 5 times a power of ten; the range is widened to the next of them.
fn steps(low: f64, high: f64, aim: f64) -> Laid {
    let size = low.abs().max(high.abs());
    // One value alone, or values that differ by rounding: a range around them.
    let (low, high) = if high - low > size * 1e-12 {
        (low, high)
    } else if size > 0.0 {
        (low - size * 0.1, high + size * 0.1)
    } else {
        (0.0, 1.0)
    };
    // Halves first: the difference of the largest numbers would be none.
    let rough = (high / aim) - (low / aim);
    let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
    let step =
        [1.0, 2.0, 5.0].into_iter().map(|m| m * power).find(|&step| step >= rough * 0.999).unwrap_or(10.0 * power);
    let (first, last) = (libm::floor(low / step + 1e-9), libm::ceil(high / step - 1e-9));
    let digits = (-libm::floor(libm::log10(step) + 1e-9)).clamp(0.0, 17.0) as usize;
    let text = |v: f64| {
        if step >= 1e7 || digits > 6 { short(v) } else { grouped(&format!("{v:.digits$}")) }
    };
    let count = (last - first).clamp(1.0, 50.0) as i32;
    let ticks = (0..=count).map(|i| (first + f64::from(i)) * step).map(|v| (v, text(v))).collect();
    Laid { low: first * step, high: last * step, ticks }
}

/// Ticks at powers of ten, or at 1, 2, 5 of them where there are few; low and high are logarithms.
fn decades(low: f64, high: f64, aim: f64) -> Laid {
    let spread = high - low;
    if spread < 1.5 {
        let (low, high) = if spread > 1e-9 { (low, high) } else { (low - 0.3, high + 0.3) };
        let first = libm::floor(low + 1e-9);
        let candidates = (0..4).flat_map(|d| [1.0, 2.0, 5.0].map(|m| m * libm::pow(10.0, first + f64::from(d))));
        let candidates: Vec<f64> = candidates.collect();
        let log = |v: &f64| libm::log10(*v);
        let begin = candidates.iter().rposition(|v| log(v) <= low + 1e-9).unwrap_or(0);
        let end = candidates.iter().position(|v| log(v) >= high - 1e-9).unwrap_or(candidates.len() - 1).max(begin + 1);
        let shown = &candidates[begin..=end];
        let ticks = shown.iter().map(|&v| (v, power_text(v))).collect();
        return Laid { low: log(&shown[0]), high: log(&shown[shown.len() - 1]), ticks };
    }
    let step = (spread / aim).ceil().max(1.0);
    let (first, last) = (libm::floor(low / step + 1e-9), libm::ceil(high / step - 1e-9));
    let count = (last - first).clamp(1.0, 50.0) as i32;
    let ticks =
        (0..=count).map(|i| libm::pow(10.0, (first + f64::from(i)) * step)).map(|v| (v, power_text(v))).collect();
    Laid { low: first * step, high: last * step, ticks }
}

/// A tick of a logarithmic axis: in full where it is short, else as a power.
fn power_text(v: f64) -> String {
    if (0.000_9..1_000_000.0).contains(&v) {
        return if v >= 1.0 { grouped(&format!("{v:.0}")) } else { short(v) };
    }
    let exponent = libm::floor(libm::log10(v) + 1e-9);
    let lead = (v / libm::pow(10.0, exponent)).round();
    let raised = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => c.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(c),
    };
    let exponent: String = format!("{exponent:.0}").chars().map(raised).collect();
    if lead == 1.0 { format!("10{exponent}") } else { format!("{lead}·10{exponent}") }
}

/// A whole number's digits in groups of three.
fn grouped(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, rest) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let mut out = sign.to_owned();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    if let Some(rest) = rest {
        let _ = write!(out, ".{rest}");
    }
    if out.trim_matches(['-', '0', '.']).is_empty() { out.trim_start_matches('-').to_owned() } else { out }
}

/// A number in four digits.
fn short(v: f64) -> String {
    let size = v.abs();
    if v == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e7).contains(&size) {
        format!("{v:.2e}")
    } else {
        let digits = (3.0 - libm::floor(libm::log10(size))).clamp(0.0, 8.0) as usize;
        let text = format!("{v:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { grouped(&text) }
    }
}

/// A length in the picture, to a tenth.
fn px(v: f64) -> String {
    let text = format!("{v:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(laid: &Laid) -> Vec<&str> {
        laid.ticks.iter().map(|tick| tick.1.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_the_data_between_them() {
        assert_eq!(texts(&steps(0.0, 10.0, 6.0)), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(texts(&steps(1.31, 1.52, 6.0)), ["1.30", "1.35", "1.40", "1.45", "1.50", "1.55"]);
        assert_eq!(texts(&steps(-1.0, 1.0, 6.0)), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(texts(&steps(0.0, 30_000.0, 7.0)), ["0", "5,000", "10,000", "15,000", "20,000", "25,000", "30,000"]);
        for (low, high) in
            [(0.0, 0.0), (5.0, 5.0), (-3.0, -3.0), (1e-300, 2e-300), (-1e308, 1e308), (1.0, 1.0 + 1e-15), (0.1, 0.3)]
        {
            let laid = steps(low, high, 6.0);
            assert!(
                laid.low <= low && laid.high >= high && laid.low < laid.high,
                "{low} {high}: {} {}",
                laid.low,
                laid.high
            );
            assert!((2..=13).contains(&laid.ticks.len()), "{low} {high}: {:?}", laid.ticks);
            assert!(
                laid.ticks.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1),
                "{:?}",
                laid.ticks
            );
        }
    }

    #[test]
    fn logarithmic_ticks_are_decades_or_parts_of_few() {
        let of = |low: f64, high: f64| decades(libm::log10(low), libm::log10(high), 6.0);
        assert_eq!(texts(&of(1e-8, 0.5)), ["10⁻⁸", "10⁻⁶", "10⁻⁴", "0.01", "1"]);
        assert_eq!(texts(&of(1.0, 1000.0)), ["1", "10", "100", "1,000"]);
        assert_eq!(texts(&of(3.0, 40.0)), ["2", "5", "10", "20", "50"]);
        assert_eq!(texts(&of(7.0, 7.0)), ["2", "5", "10", "20"]);
        assert_eq!(texts(&of(1e-7, 3e-7)), ["10⁻⁷", "2·10⁻⁷", "5·10⁻⁷"]);
    }

    #[test]
    fn values_that_are_none_break_the_line_and_move_no_axis() {
        let nan = f64::NAN;
        let points = [(0.0, 1.0), (1.0, nan), (2.0, 3.0), (3.0, f64::INFINITY), (4.0, 2.0), (nan, 1.0), (5.0, 2.0)];
        let chart = Chart::new("c", "t", Axis::linear("x"), Axis::linear("y")).line(Series::new("a", points));
        let text = chart.render().into_string();
        let path = text.split("<path d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(path.matches('M').count(), 4, "{path}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(text.contains("from 1 at 0 to 2 at 5, between 1 and 3."));
        // On a logarithmic axis 0 and below have no place.
        let chart = Chart::new("c", "t", Axis::linear("x"), Axis::log("y"))
            .line(Series::new("a", [(0.0, 0.0), (1.0, -1.0), (2.0, 1e-3), (3.0, 1e-5)]));
        let text = chart.render().into_string();
        assert!(text.contains("10⁻⁵") && !text.contains("NaN") && !text.contains("inf"));
        for none in [vec![], vec![(nan, nan)]] {
            let chart = Chart::new("c", "t", Axis::linear("x"), Axis::log("y")).line(Series::new("a", none));
            let text = chart.render().into_string();
            assert!(text.contains("no data") && !text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }

    #[test]
    fn lines_differ_in_class_and_marker_and_names_are_escaped() {
        let mut chart = Chart::new("c", "a < b", Axis::linear("x & y"), Axis::linear("y"));
        for n in 0..KINDS {
            chart = chart.line(Series::new(format!("<{n}>"), [(0.0, n as f64), (1.0, 2.0)]));
        }
        let text = chart.render().into_string();
        let marks: std::collections::BTreeSet<String> =
            (0..KINDS).map(|kind| marker(kind, 0.0, 0.0, None).into_string()).collect();
        assert_eq!(marks.len(), KINDS);
        for n in 0..KINDS {
            assert_eq!(text.matches(&format!("class=\"series s{n}\"")).count(), 2, "line and legend");
        }
        assert!(
            text.contains("a &lt; b")
                && text.contains("x &amp; y")
                && text.contains("&lt;0&gt;")
                && !text.contains("<0>")
        );
    }

    #[test]
    fn a_long_line_is_thinned_and_keeps_its_last_point() {
        let points = (0..=100_000).map(|i| (f64::from(i), f64::from(i)));
        let text = Chart::new("c", "t", Axis::linear("x"), Axis::linear("y")).line(Series::new("a", points)).render();
        let text = text.into_string();
        assert!(text.len() < 60_000, "{}", text.len());
        assert!(text.contains("L618 14\""), "the last point lies in the corner");
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 1.0, -0.5, 1234.6, 123_456.0, 1e-9, 2.5e9, 0.012_345, 12.0].map(short);
        assert_eq!(shown, ["0", "1", "-0.5", "1,235", "123,456", "1.00e-9", "2.50e9", "0.01235", "12"]);
    }
}
