//! Data, scripts and styles as the text of an element that no content can end.
//!
//! A `script` element ends at the first `</script`, and `<!--` followed by `<script` changes how it ends; a `style` element
//! ends at `</style`. In JSON every `<` can stand as `\u003c`. In a script `<` before `/script`, `script` or `!--` gets a
//! backslash, which a string, a template and a regular expression read as the same character.

use serde::Serialize;

/// A value as JSON for a `script` element of data. What JSON cannot say (NaN, infinities, a map with keys that are no
/// text) is `null`.
pub(super) fn json(value: &(impl Serialize + ?Sized)) -> String {
    let text = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    let mut safe = String::with_capacity(text.len() + text.len() / 64);
    for c in text.chars() {
        match c {
            // Outside of strings JSON has none of these, inside they may stand as escapes.
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

/// A script's text for its element.
pub(super) fn script(js: &str) -> String {
    let js = guarded(js, "</script", 1);
    let js = guarded(&js, "<script", 1);
    guarded(&js, "<!--", 1)
}

/// A style's text for its element: inside a string of CSS a backslash before `/` is nothing.
pub(super) fn style(css: &str) -> String {
    guarded(css, "</style", 1)
}

/// `text` with a backslash inside each `mark`, before its byte `at`; upper or lower case alike.
fn guarded(text: &str, mark: &str, at: usize) -> String {
    // ASCII alone changes case here, so that places are the same in both.
    let lower = text.to_ascii_lowercase();
    let (mut safe, mut from) = (String::with_capacity(text.len()), 0);
    while let Some(found) = lower[from..].find(mark) {
        let cut = from + found + at;
        safe.push_str(&text[from..cut]);
        safe.push('\\');
        from = cut;
    }
    safe.push_str(&text[from..]);
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn data_comes_back_whatever_it_holds() {
        let texts = [
            "</script><!-- <script>",
            "quotes \" ' ` and \\ \\u003c",
            "\0\u{1}\u{1b}\u{7f}\u{80}\r\n\t",
            "\u{2028}\u{2029}\u{fffd}\u{feff}",
            "물레방아 🌊 e\u{301} &lt; &amp;",
            "",
        ];
        for text in texts {
            let written = json(text);
            assert!(!written.contains(['<', '>', '&', '\u{2028}', '\u{2029}', '\0', '\n']), "{written}");
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
        let all: String = (0..=0x3000_u32).filter_map(char::from_u32).collect();
        assert_eq!(serde_json::from_str::<String>(&json(&all)).unwrap(), all);
    }

    #[test]
    fn numbers_that_are_none_are_null_and_floats_keep_their_bits() {
        assert_eq!(json(&[1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]), "[1.5,null,null,null]");
        assert_eq!(json(&f32::NAN), "null");
        for x in [0.1 + 0.2, 1.0 / 3.0, f64::MIN_POSITIVE, -0.0] {
            let back: Value = serde_json::from_str(&json(&x)).unwrap();
            assert_eq!(back.as_f64().unwrap().to_bits(), x.to_bits());
        }
        assert_eq!(json(&std::collections::BTreeMap::from([((1, 2), 3)])), "null");
    }

    #[test]
    fn marks_inside_scripts_and_styles_do_not_end_them() {
        assert_eq!(script("a = '</script>' + '</SCRIPT >'"), "a = '<\\/script>' + '<\\/SCRIPT >'");
        assert_eq!(script("'<!--' < '<script'"), "'<\\!--' < '<\\script'");
        assert_eq!(script("a < b / script"), "a < b / script");
        assert_eq!(style("q { content: '</Style>é' }"), "q { content: '<\\/Style>é' }");
    }
}
