//! Two colour scales, for values with a sign and for sizes, in a light and a dark form.
//!
//! Between the stops of a table a colour is the straight line in sRGB, rounded; `base.js` does the same with the same tables.
//! Blue and orange stay apart for every common colour vision. Without any, lightness tells: sequential is monotone;
//! diverging leaves the paper's own lightness with the size of the value, and its two ends are of different lightness.
//! Where a sign must be certain, print it, or underline what is below zero.

use serde::Serialize;

/// A colour in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// What the page is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark ink on light paper.
    Light,
    /// The other way round.
    Dark,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Values in -1..1: blue, paper, orange.
    Diverging,
    /// Values in 0..1: paper to deep teal (on dark paper to pale).
    Sequential,
}

/// Stops of a table, at equal distances.
const STOPS: usize = 9;
type Table = [Rgb; STOPS];

const fn table(hex: [u32; STOPS]) -> Table {
    let (mut table, mut i) = ([Rgb(0, 0, 0); STOPS], 0);
    while i < STOPS {
        let [_, r, g, b] = hex[i].to_be_bytes();
        table[i] = Rgb(r, g, b);
        i += 1;
    }
    table
}

// Chosen by eye, then held to the properties that the tests below name.
const DIVERGING_LIGHT: Table =
    table([0x0a3a78, 0x2c66ab, 0x6b9bd0, 0xb4cfe9, 0xf6f5f2, 0xfbd9b3, 0xf7b36c, 0xee8a2c, 0xd9640a]);
const DIVERGING_DARK: Table =
    table([0x4a97e6, 0x3a78ba, 0x2c5a8c, 0x243c58, 0x1d2024, 0x57401f, 0x94672a, 0xcf9139, 0xffc15c]);
const SEQUENTIAL_LIGHT: Table =
    table([0xf6f5f2, 0xdfeaec, 0xbfdbe0, 0x98c7d2, 0x6eafc2, 0x4694ad, 0x297894, 0x155b78, 0x0a3d58]);
const SEQUENTIAL_DARK: Table =
    table([0x1d2024, 0x1f343d, 0x214b58, 0x246474, 0x2d7e90, 0x459aab, 0x6bb6c4, 0x98d2dc, 0xcdeff4]);

/// The tables as pages carry them.
#[derive(Debug, Serialize)]
pub(super) struct Tables {
    diverging: Pair,
    sequential: Pair,
}

#[derive(Debug, Serialize)]
struct Pair {
    light: Table,
    dark: Table,
}

impl Scale {
    fn table(self, theme: Theme) -> &'static Table {
        match (self, theme) {
            (Scale::Diverging, Theme::Light) => &DIVERGING_LIGHT,
            (Scale::Diverging, Theme::Dark) => &DIVERGING_DARK,
            (Scale::Sequential, Theme::Light) => &SEQUENTIAL_LIGHT,
            (Scale::Sequential, Theme::Dark) => &SEQUENTIAL_DARK,
        }
    }
    pub(super) fn tables() -> Tables {
        let pair = |scale: Scale| Pair { light: *scale.table(Theme::Light), dark: *scale.table(Theme::Dark) };
        Tables { diverging: pair(Scale::Diverging), sequential: pair(Scale::Sequential) }
    }
    /// The colour of a value; beyond the scale it is the end's. None: NaN.
    pub fn at(self, value: f64, theme: Theme) -> Option<Rgb> {
        if value.is_nan() {
            return None;
        }
        let part = match self {
            Scale::Diverging => (value.clamp(-1.0, 1.0) + 1.0) / 2.0,
            Scale::Sequential => value.clamp(0.0, 1.0),
        };
        let place = part * (STOPS - 1) as f64;
        let low = (place as usize).min(STOPS - 2);
        let (table, share) = (self.table(theme), place - low as f64);
        let (from, to) = (table[low], table[low + 1]);
        let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
        Some(Rgb(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2)))
    }
    /// A `style` attribute's text: background and ink of a value, in both themes. NaN has neither.
    pub fn css(self, value: f64) -> String {
        let (Some(light), Some(dark)) = (self.at(value, Theme::Light), self.at(value, Theme::Dark)) else {
            return String::new();
        };
        let (light_ink, dark_ink) = (light.ink(), dark.ink());
        format!("background:light-dark({light},{dark});color:light-dark({light_ink},{dark_ink})")
    }
}

impl Rgb {
    /// Black or white, whichever reads better on it: a contrast of at least 4.5 to 1 on any colour.
    pub fn ink(self) -> Rgb {
        // The two contrasts are equal where (L + 0.05)^2 = 1.05 * 0.05.
        if (self.luminance() + 0.05) * (self.luminance() + 0.05) > 1.05 * 0.05 {
            Rgb(0, 0, 0)
        } else {
            Rgb(255, 255, 255)
        }
    }
    /// Relative luminance, 0 to 1, as WCAG 2 defines it.
    pub fn luminance(self) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { libm::pow((c + 0.055) / 1.055, 2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
}

impl std::fmt::Display for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEMES: [Theme; 2] = [Theme::Light, Theme::Dark];

    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let (a, b) = (a.luminance(), b.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminances(scale: Scale, theme: Theme, from: f64, to: f64) -> Vec<f64> {
        let at = |i: i32| scale.at(from + (to - from) * f64::from(i) / 64.0, theme).unwrap().luminance();
        (0..=64).map(at).collect()
    }

    #[test]
    fn lightness_alone_orders_the_sequential_scale_and_each_arm_of_the_diverging_one() {
        for theme in THEMES {
            for (scale, to) in [(Scale::Sequential, 1.0), (Scale::Diverging, 1.0), (Scale::Diverging, -1.0)] {
                let mut l = luminances(scale, theme, 0.0, to);
                if theme == Theme::Light {
                    l.reverse();
                }
                assert!(l.windows(2).all(|pair| pair[0] < pair[1]), "{scale:?} to {to} on {theme:?}: {l:?}");
            }
            let end = |x| Scale::Diverging.at(x, theme).unwrap();
            assert!(contrast(end(-1.0), end(1.0)) > 1.8, "{theme:?}: the ends look alike without colour");
            assert!(contrast(end(-1.0), end(0.0)) > 2.8 && contrast(end(1.0), end(0.0)) > 2.8, "{theme:?}");
        }
    }

    /// What is seen without red, green or blue cones: Machado, Oliveira and Fernandes (2009), severity 1, linear light.
    #[test]
    fn signs_stay_apart_for_every_dichromat() {
        let sights: [[[f64; 3]; 3]; 3] = [
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
            [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
        ];
        let linear = |c: u8| libm::pow(f64::from(c) / 255.0, 2.2);
        for theme in THEMES {
            for sight in sights {
                let seen = |x: f64| {
                    let Rgb(r, g, b) = Scale::Diverging.at(x, theme).unwrap();
                    let rgb = [linear(r), linear(g), linear(b)];
                    sight.map(|row| {
                        let mixed: f64 = row.iter().zip(rgb).map(|(w, c)| w * c).sum();
                        libm::pow(mixed.clamp(0.0, 1.0), 1.0 / 2.2)
                    })
                };
                for size in [0.5, 0.75, 1.0] {
                    let distance: f64 = seen(size).iter().zip(seen(-size)).map(|(a, b)| (a - b) * (a - b)).sum();
                    assert!(distance.sqrt() > 0.2, "{theme:?}, {size}: {distance}");
                }
            }
        }
    }

    #[test]
    fn ink_reads_on_every_colour_of_the_scales() {
        for theme in THEMES {
            for scale in [Scale::Diverging, Scale::Sequential] {
                for i in -64..=64 {
                    let paper = scale.at(f64::from(i) / 64.0, theme).unwrap();
                    assert!(contrast(paper, paper.ink()) >= 4.5, "{paper}");
                }
            }
        }
    }

    #[test]
    fn values_beyond_the_scale_take_its_ends_and_none_has_no_colour() {
        let at = |x| Scale::Diverging.at(x, Theme::Light);
        assert_eq!(at(-7.0), Some(DIVERGING_LIGHT[0]));
        assert_eq!(at(f64::INFINITY), Some(DIVERGING_LIGHT[8]));
        assert_eq!(at(0.0), Some(DIVERGING_LIGHT[4]));
        assert_eq!(at(f64::NAN), None);
        assert_eq!(Scale::Sequential.at(0.125, Theme::Dark), Some(SEQUENTIAL_DARK[1]));
        assert_eq!(Scale::Sequential.css(f64::NAN), "");
        assert_eq!(
            Scale::Sequential.css(1.0),
            "background:light-dark(#0a3d58,#cdeff4);color:light-dark(#ffffff,#000000)"
        );
        // Halfway between two stops, rounded: what base.js computes too.
        assert_eq!(Scale::Sequential.at(0.0625, Theme::Light), Some(Rgb(0xeb, 0xf0, 0xef)));
    }
}
