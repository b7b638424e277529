//! A page: one self-contained HTML document with its style, data and script inside; it opens from a file and asks for nothing.
//!
//! ```text
//! title, lead | sections of markup | data as JSON | scripts            -> render() -> the text of a file
//! ```
//!
//! Markup is written with [`html!`], which escapes what it is given. Data goes into `<script type="application/json">`,
//! and scripts read it with `gatemill.data("name")` (`base.js`). A content security policy forbids every request, so that
//! a page which would need the network fails in its tests.
//!
//! Promises: the same content gives the same bytes; no text, name or number can end the element that it stands in.

mod chart; // lines over linear and logarithmic axes, as SVG
mod colour; // scales that can be told apart without colour vision
mod embed; // data, scripts and styles inside an element

pub use chart::{Axis, Chart, Series};
pub use colour::{Rgb, Scale, Theme};
pub use maud::{Markup, PreEscaped, html};

use embed::{json, script, style};
use serde::Serialize;

/// The style of every page.
const STYLE: &str = include_str!("style.css");
/// What every page's scripts may call.
const BASE: &str = include_str!("base.js");

/// Nothing is fetched from anywhere, whatever the page holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; \
                      base-uri 'none'; form-action 'none'";

/// A document in the making.
///
/// ```
/// use gatemill_inspect::page::{Page, html};
///
/// let page = Page::new("What it wrote")
///     .lead("After 100 steps.")
///     .section("Samples", html! { p { "a < b" } })
///     .data("losses", &[2.5, 1.5])
///     .script("console.assert(gatemill.data('losses').length === 2)");
/// let text = page.render();
/// assert!(text.starts_with("<!DOCTYPE html>") && text.contains("<p>a &lt; b</p>"));
/// ```
#[derive(Debug, Default)]
pub struct Page {
    title: String,
    lead: Option<String>,
    style: String,
    /// Heading (none: no section of its own) and content.
    parts: Vec<(Option<String>, Markup)>,
    /// Name and JSON text.
    data: Vec<(String, String)>,
    scripts: Vec<String>,
    wide: bool,
}

impl Page {
    /// An empty page.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }
    /// The sentence or two under the title.
    #[must_use]
    pub fn lead(mut self, text: impl Into<String>) -> Self {
        self.lead = Some(text.into());
        self
    }
    /// The content takes the whole width of a screen instead of a column for reading.
    #[must_use]
    pub fn wide(mut self) -> Self {
        self.wide = true;
        self
    }
    /// A page's own rules, after those of every page.
    #[must_use]
    pub fn style(mut self, css: &str) -> Self {
        self.style.push_str(css);
        self
    }
    /// A part under a heading.
    #[must_use]
    pub fn section(mut self, heading: impl Into<String>, content: Markup) -> Self {
        self.parts.push((Some(heading.into()), content));
        self
    }
    /// A part without a heading.
    #[must_use]
    pub fn part(mut self, content: Markup) -> Self {
        self.parts.push((None, content));
        self
    }
    /// Data for the scripts, by name. A number that is none (NaN, infinite) arrives as `null`. Data that cannot be written as JSON (a map
    /// whose keys are no text) arrives as `null` too.
    #[must_use]
    pub fn data(mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Self {
        self.data.push((name.to_owned(), json(value)));
        self
    }
    /// A script, run after the content is there; `gatemill` of `base.js` is known to it. Each has a scope of its own.
    #[must_use]
    pub fn script(mut self, js: &str) -> Self {
        self.scripts.push(js.to_owned());
        self
    }

    /// The document.
    pub fn render(&self) -> String {
        let scales = json(&Scale::tables());
        let content = html! {
            (maud::DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content={ "Gatemill " (env!("CARGO_PKG_VERSION")) };
                    title { (self.title) }
                    style { (PreEscaped(style(STYLE))) }
                    @if !self.style.is_empty() { style { (PreEscaped(style(&self.style))) } }
                }
                body {
                    main.wide[self.wide] {
                        header {
                            h1 { (self.title) }
                            @if let Some(lead) = &self.lead { p.lead { (lead) } }
                        }
                        @for (heading, content) in &self.parts {
                            @match heading {
                                Some(heading) => section { h2 { (heading) } (content) },
                                None => (content),
                            }
                        }
                        footer { "Gatemill " (env!("CARGO_PKG_VERSION")) ". This page is one file and asks for nothing else." }
                    }
                    @if !self.scripts.is_empty() || !self.data.is_empty() {
                        script type="application/json" id="data-scales" { (PreEscaped(scales)) }
                        @for (name, text) in &self.data {
                            script type="application/json" id={ "data-" (name) } { (PreEscaped(text)) }
                        }
                        script { (PreEscaped(script(BASE))) }
                        @for js in &self.scripts {
                            script { "{\n" (PreEscaped(script(js))) "\n}" }
                        }
                    }
                }
            }
        };
        content.into_string()
    }
}

/// A figure with its caption: a chart, a picture, a block of text.
pub fn figure(content: &Markup, caption: &str) -> Markup {
    html! { figure { (content) figcaption { (caption) } } }
}

/// A table that scrolls by itself where the screen is narrower than it; `label` says to a screen reader what it is.
pub fn scrolling(label: &str, table: &Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}

/// A character as a reader can see it: a space, a line's end and control characters by a picture, all others as they are.
pub fn visible(c: char) -> char {
    match c {
        ' ' => '\u{2423}',
        '\n' => '\u{21b5}',
        '\t' => '\u{21e5}',
        '\u{7f}' => '\u{2421}',
        // Unicode's pictures of the other controls stand in their order.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_the_element_that_it_stands_in() {
        let evil = "</script><script>alert(1)</script><!-- ' \" & \u{2028} \u{0} </style> </title>";
        let page = Page::new(evil)
            .lead(evil)
            .section(evil, html! { p title=(evil) { (evil) } })
            .data("text", evil)
            .script("const a = '</script>', b = '<!--<script>';")
            .style("p::after { content: '</style>' }");
        let text = page.render();
        assert!(!text.contains("alert(1)</script>") && !text.contains("<script>alert"));
        // Head, data, scales, base and script: each is closed once.
        assert_eq!(text.matches("</script").count(), 4);
        assert_eq!(text.matches("</style").count(), 2);
        assert_eq!(text.matches("<!--").count(), 0);
        assert_eq!(text.matches("</title").count(), 1);
        assert!(text.contains("p title=\"&lt;/script&gt;"), "{text}");
    }

    #[test]
    fn a_page_asks_for_nothing() {
        let text = Page::new("a").data("x", &1).script("0").render();
        for word in ["http://", "https://", "src=", "@import", "url(", "<link", "fetch(", "XMLHttpRequest"] {
            assert!(!text.contains(word), "{word}");
        }
        assert!(text.contains("default-src 'none'"));
    }

    #[test]
    fn the_same_content_gives_the_same_bytes_and_pages_without_scripts_have_none() {
        let page = || Page::new("a").section("b", html! { p { "c" } });
        assert_eq!(page().render(), page().render());
        assert!(!page().render().contains("<script"));
    }

    #[test]
    fn every_character_can_be_seen() {
        assert_eq!(" \n\tab\u{1b}\u{0}\u{7f}".chars().map(visible).collect::<String>(), "␣↵⇥ab␛␀␡");
        assert_eq!("é물\u{202e}\u{85}".chars().map(visible).collect::<String>(), "é물\u{fffd}\u{fffd}");
    }
}
