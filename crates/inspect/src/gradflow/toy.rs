//! The lecture's toy: `h_t = f(w_hh h_{t-1} + w_xh x_t + b)` with f = tanh or nothing, expanded, and its gradients.
//!
//! ```text
//! a_t = w_hh h_{t-1} + w_xh x_t + b      h_t = tanh(a_t), or a_t      dh_t/dh_{t-1} = w_hh (1 - h_t^2), or w_hh
//! dh_t/dh_{t-k} = the product of the last k of them
//! h_T = w^T h_0 + sum over t of w^{T-t} w_xh x_t + b (1 + w + .. + w^{T-1})      without tanh, expanded
//! ```
//!
//! The slide (lecture L8; w_hh = 3, w_xh = 2, b = 1, three steps) prints `6h_2` and `8h_1` where 3h_2 and 3h_1 are meant.
//! Without tanh all of its numbers are integers, and exact here.

use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Most steps of which the expansion is written out.
const EXPANDED: usize = 8;
/// Powers of ten from which on a number is written with an exponent.
const PLAIN: std::ops::Range<i32> = -5..12;

/// The chain's constants and inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    /// What the state is multiplied by.
    pub w_hh: f64,
    /// What the input is multiplied by.
    pub w_xh: f64,
    /// What is added.
    pub b: f64,
    /// Where it begins.
    pub h0: f64,
    /// x_1 .. x_T.
    pub x: Vec<f64>,
    /// tanh around each step.
    pub tanh: bool,
}

impl Default for Chain {
    /// The slide's, with x = 1, 1, 1 and h_0 = 0.
    fn default() -> Self {
        Self { w_hh: 3.0, w_xh: 2.0, b: 1.0, h0: 0.0, x: vec![1.0; 3], tanh: true }
    }
}

/// One step of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// x_t.
    pub x: f64,
    /// w_hh h_{t-1} + w_xh x_t + b.
    pub a: f64,
    /// h_t.
    pub h: f64,
    /// dh_t/dh_{t-1}.
    pub factor: f64,
}

/// What it computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worked {
    /// The chain.
    pub chain: Chain,
    /// t from 1.
    pub steps: Vec<Step>,
    /// dh_t/dh_{t-k}: row t - 1, column k - 1, for k = 1..=t.
    pub gradients: Vec<Vec<f64>>,
    /// Without tanh: what h_0, then each x_t, then 1 is multiplied by in h_T.
    pub expanded: Option<Vec<f64>>,
}

impl Chain {
    /// Computes all of it.
    pub fn work(&self) -> Worked {
        let mut h = self.h0;
        let step = |&x: &f64| {
            let a = self.w_hh * h + self.w_xh * x + self.b;
            h = if self.tanh { libm::tanh(a) } else { a };
            Step { x, a, h, factor: if self.tanh { self.w_hh * (1.0 - h * h) } else { self.w_hh } }
        };
        let steps: Vec<Step> = self.x.iter().map(step).collect();
        let gradients = (1..=steps.len()).map(|t| {
            let mut product = 1.0;
            let back = steps[..t].iter().rev().map(|step| {
                product *= step.factor;
                product
            });
            back.collect()
        });
        Worked {
            gradients: gradients.collect(),
            expanded: (!self.tanh).then(|| self.expand()),
            chain: self.clone(),
            steps,
        }
    }

    /// Coefficients of h_0, x_1 .. x_T and 1 in h_T without tanh: each step multiplies all by w_hh.
    fn expand(&self) -> Vec<f64> {
        let mut all = vec![1.0];
        let mut constant = 0.0;
        for _ in &self.x {
            all.iter_mut().for_each(|c| *c *= self.w_hh);
            constant = constant * self.w_hh + self.b;
            all.push(self.w_xh);
        }
        all.push(constant);
        all
    }

    /// The chain with another w_hh.
    pub fn with(&self, w_hh: f64) -> Self {
        Self { w_hh, ..self.clone() }
    }
}

/// A number as a person writes it: an integer plain, others to six digits.
pub fn number(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    let power = libm::floor(libm::log10(x.abs())) as i32;
    if !PLAIN.contains(&power) || !x.is_finite() {
        return format!("{x:.3e}");
    }
    let digits = format!("{x:.*}", (6 - power).clamp(0, 10) as usize);
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.').to_owned() } else { digits }
}

/// `3 h_0 + 2 x_1 - 1` from coefficients and names; an empty name is a number alone.
fn sum(terms: &[(f64, String)]) -> String {
    let mut text = String::new();
    for (c, name) in terms.iter().filter(|(c, _)| *c != 0.0) {
        let sign = match (text.is_empty(), *c < 0.0) {
            (true, false) => "",
            (true, true) => "-",
            (false, false) => " + ",
            (false, true) => " - ",
        };
        let size = number(c.abs());
        let _ = match (name.is_empty(), size == "1") {
            (true, _) => write!(text, "{sign}{size}"),
            (false, true) => write!(text, "{sign}{name}"),
            (false, false) => write!(text, "{sign}{size} {name}"),
        };
    }
    if text.is_empty() { "0".to_owned() } else { text }
}

impl Worked {
    /// T.
    fn last(&self) -> usize {
        self.steps.len()
    }

    /// The chain as on the slide: each step, then one in the other.
    pub fn formulas(&self) -> Vec<String> {
        let c = &self.chain;
        let wrap = |inner: String| if c.tanh { format!("tanh({inner})") } else { inner };
        let step =
            |t: usize| wrap(sum(&[(c.w_xh, format!("x_{t}")), (c.w_hh, format!("h_{}", t - 1)), (c.b, String::new())]));
        let mut lines: Vec<String> = (1..=self.last()).rev().map(|t| format!("h_{t} = {}", step(t))).collect();
        if self.last() > EXPANDED {
            return lines;
        }
        let from = self.last();
        if c.tanh {
            // The inner state in place of its name, one step further each time.
            let mut nested = step(from);
            for t in (1..from).rev() {
                nested = nested.replace(&format!("h_{t}"), &step(t));
                lines.push(format!("h_{from} = {nested}"));
            }
        } else if let Some(all) = &self.expanded {
            // h_T by h_t, for t falling: w^{T-t} h_t, the inputs after it, and what the constants add up to.
            for t in (0..from.saturating_sub(1)).rev() {
                let mut constant = 0.0;
                (t..from).for_each(|_| constant = constant * c.w_hh + c.b);
                // The coefficient of h_t after T - t steps is that of h_0 after as many.
                let power = (t..from).fold(1.0, |power, _| power * c.w_hh);
                let inputs = (t + 1..=from).map(|i| (all[i], format!("x_{i}")));
                let terms: Vec<_> =
                    [(power, format!("h_{t}"))].into_iter().chain(inputs).chain([(constant, String::new())]).collect();
                lines.push(format!("h_{from} = {}", sum(&terms)));
            }
        }
        lines
    }

    /// Every value, line by line.
    pub fn values(&self) -> Vec<String> {
        let c = &self.chain;
        let mut before = c.h0;
        let line = |(t, step): (usize, &Step)| {
            let sign = |x: f64| if x < 0.0 { format!("- {}", number(-x)) } else { format!("+ {}", number(x)) };
            let [w_hh, w_xh, h, x] = [c.w_hh, c.w_xh, before, step.x].map(bracketed);
            let a = format!("{w_hh}*{h} + {w_xh}*{x} {} = {}", sign(c.b), number(step.a));
            before = step.h;
            if c.tanh { format!("h_{t} = tanh({a}) = {}", number(step.h)) } else { format!("h_{t} = {a}") }
        };
        (1..).zip(&self.steps).map(line).collect()
    }

    /// dh_t/dh_{t-k} factor by factor, for one t and k. None: there is no such k.
    pub fn product(&self, t: usize, k: usize) -> Option<String> {
        let value = *self.gradients.get(t.checked_sub(1)?)?.get(k.checked_sub(1)?)?;
        let factor = |i: usize| {
            let step = &self.steps[t - 1 - i];
            match self.chain.tanh {
                true => format!("{} (1 - h_{}^2)", bracketed(self.chain.w_hh), t - i),
                false => bracketed(step.factor),
            }
        };
        let names: Vec<String> = (0..k).map(|i| format!("dh_{}/dh_{}", t - i, t - i - 1)).collect();
        let mut text = format!("dh_{t}/dh_{}", t - k);
        if k > 1 {
            let _ = write!(text, " = {}", names.join(" * "));
        }
        if k <= EXPANDED {
            let factors: Vec<String> = (0..k).map(factor).collect();
            let _ = write!(text, " = {}", factors.join(" * "));
            if self.chain.tanh && k > 1 {
                let each: Vec<String> = (0..k).map(|i| bracketed(self.steps[t - 1 - i].factor)).collect();
                let _ = write!(text, " = {}", each.join(" * "));
            }
        }
        if k > 1 || self.chain.tanh {
            let _ = write!(text, " = {}", number(value));
        }
        Some(text)
    }
}

/// A negative number in brackets.
fn bracketed(x: f64) -> String {
    if x < 0.0 { format!("({})", number(x)) } else { number(x) }
}

/// The whole of `gatemill gradflow --toy` as a text: the chain, its values, its gradients; then with another w_hh beside it.
pub fn page(chain: &Chain, other: f64) -> String {
    let worked = chain.work();
    let (t, slide) = (worked.last(), Chain { x: vec![1.0; 3], h0: 0.0, tanh: chain.tanh, ..Chain::default() });
    let mut text = String::new();
    let constants = format!("w_hh = {}, w_xh = {}, b = {}", number(chain.w_hh), number(chain.w_xh), number(chain.b));
    let tail = if chain.tanh { "" } else { ", without tanh: exact" };
    let _ = writeln!(
        text,
        "{} for t = 1..{t}, {constants}{tail}\n",
        if chain.tanh { "h_t = tanh(w_xh x_t + w_hh h_{t-1} + b)" } else { "h_t = w_xh x_t + w_hh h_{t-1} + b" }
    );
    for line in worked.formulas() {
        let _ = writeln!(text, "  {line}");
    }
    if (chain.w_hh, chain.w_xh, chain.b, t) == (slide.w_hh, slide.w_xh, slide.b, 3) {
        let _ =
            writeln!(text, "  (the slide's print has two slips: 6h_2 and 8h_1 stand where 3h_2 and 3h_1 are meant)");
    }
    let inputs: Vec<String> = chain.x.iter().map(|&x| number(x)).collect();
    let _ = writeln!(text, "\nh_0 = {}, x = {}\n", number(chain.h0), inputs.join(", "));
    for line in worked.values() {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "\ngradients, factor by factor\n");
    let shown = if t <= EXPANDED { 1..=t } else { t..=t };
    for t in shown {
        for k in 1..=t {
            let _ = writeln!(text, "  {}", worked.product(t, k).unwrap_or_default());
        }
    }
    let beside = chain.with(other).work();
    let _ = writeln!(text, "\n{}", pair(&worked, &beside));
    text
}

/// dh_T/dh_{T-k} of two chains side by side.
fn pair(one: &Worked, other: &Worked) -> String {
    let names = [one, other].map(|w| format!("w_hh = {}", number(w.chain.w_hh)));
    let t = one.last();
    let mut text =
        format!("how far back it reaches, dh_{t}/dh_{{{t}-k}}\n\n  {:>4}  {:>16}  {:>16}\n", "k", names[0], names[1]);
    let (a, b) = (one.gradients.last(), other.gradients.last());
    for (k, (a, b)) in (1..).zip(a.into_iter().flatten().zip(b.into_iter().flatten())) {
        let _ = writeln!(text, "  {k:>4}  {:>16}  {:>16}", number(*a), number(*b));
    }
    let verdict = |w: &Worked| {
        let name = format!("w_hh = {}", number(w.chain.w_hh));
        let last = w.gradients.last().and_then(|row| row.last()).copied().unwrap_or(1.0).abs();
        let way = if last > 1.0 {
            "explodes"
        } else if last < 1.0 {
            "vanishes"
        } else {
            "keeps its size"
        };
        let why = if w.chain.tanh && w.chain.w_hh.abs() > 1.0 && last < 1.0 {
            ": tanh is flat where |h| is near 1, which 1 - h^2 says"
        } else {
            ""
        };
        format!("with {name} it {way}{why}")
    };
    let _ = write!(text, "\n  {}; {}", verdict(one), verdict(other));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear() -> Chain {
        Chain { tanh: false, ..Chain::default() }
    }

    #[test]
    fn the_slides_numbers_without_tanh_are_integers() {
        let w = linear().work();
        assert_eq!(w.steps.iter().map(|s| s.h).collect::<Vec<_>>(), [3.0, 12.0, 39.0]);
        assert_eq!(w.expanded, Some(vec![27.0, 18.0, 6.0, 2.0, 13.0]));
        assert_eq!(w.gradients, [vec![3.0], vec![3.0, 9.0], vec![3.0, 9.0, 27.0]]);
        assert_eq!(
            w.formulas(),
            [
                "h_3 = 2 x_3 + 3 h_2 + 1",
                "h_2 = 2 x_2 + 3 h_1 + 1",
                "h_1 = 2 x_1 + 3 h_0 + 1",
                "h_3 = 9 h_1 + 6 x_2 + 2 x_3 + 4",
                "h_3 = 27 h_0 + 18 x_1 + 6 x_2 + 2 x_3 + 13",
            ]
        );
        assert_eq!(w.values(), ["h_1 = 3*0 + 2*1 + 1 = 3", "h_2 = 3*3 + 2*1 + 1 = 12", "h_3 = 3*12 + 2*1 + 1 = 39"]);
        assert_eq!(w.product(3, 2).unwrap(), "dh_3/dh_1 = dh_3/dh_2 * dh_2/dh_1 = 3 * 3 = 9");
        assert_eq!(w.product(1, 1).unwrap(), "dh_1/dh_0 = 3");
        assert_eq!((w.product(3, 4), w.product(4, 1), w.product(0, 0)), (None, None, None));
    }

    #[test]
    fn the_expansion_has_the_chains_value_for_any_inputs() {
        for (x, h0) in [(vec![1.0, -2.0, 5.0, 7.0], 4.0), (vec![3.0], -1.0), (vec![2.0; 20], 1.0)] {
            let chain = Chain { x: x.clone(), h0, w_hh: -2.0, ..linear() };
            let w = chain.work();
            let factors = w.expanded.clone().unwrap();
            let inputs = [h0].into_iter().chain(x).chain([1.0]);
            let value: f64 = factors.iter().zip(inputs).map(|(c, x)| c * x).sum();
            assert_eq!(value, w.steps.last().unwrap().h, "{chain:?}");
        }
    }

    #[test]
    fn with_tanh_it_is_nested_as_on_the_slide() {
        let w = Chain::default().work();
        assert_eq!(w.formulas()[3], "h_3 = tanh(2 x_3 + 3 tanh(2 x_2 + 3 h_1 + 1) + 1)");
        assert_eq!(w.formulas()[4], "h_3 = tanh(2 x_3 + 3 tanh(2 x_2 + 3 tanh(2 x_1 + 3 h_0 + 1) + 1) + 1)");
        assert!((w.steps[0].h - 0.995_054_753_686_730_5).abs() < 1e-15);
        assert!(page(&Chain::default(), 0.5).contains("6h_2 and 8h_1 stand where 3h_2 and 3h_1 are meant"));
        assert!(!page(&Chain { b: 2.0, ..Chain::default() }, 0.5).contains("slips"));
    }

    #[test]
    fn gradients_are_the_slopes_of_the_chain() {
        for (tanh, w_hh) in [(true, 3.0), (true, 0.5), (true, -1.25), (false, 3.0), (false, 0.5)] {
            let chain = Chain { w_hh, w_xh: 0.25, b: -0.125, h0: 0.25, x: vec![1.0, -2.0, 0.5, 0.75, -0.5], tanh };
            let w = chain.work();
            for t in 1..=5 {
                for k in 1..=t {
                    // The chain from step t - k on, from a moved state.
                    let from = if k == t { chain.h0 } else { w.steps[t - k - 1].h };
                    let end =
                        |h0: f64| Chain { h0, x: chain.x[t - k..t].to_vec(), ..chain.clone() }.work().steps[k - 1].h;
                    let slope = (end(from + 1e-5) - end(from - 1e-5)) / 2e-5;
                    let found = w.gradients[t - 1][k - 1];
                    assert!(
                        (found - slope).abs() < 1e-7 * found.abs().max(1.0),
                        "{tanh} {w_hh} t {t} k {k}: {found} {slope}"
                    );
                }
            }
        }
    }

    #[test]
    fn numbers_are_written_as_people_do() {
        let written = [27.0, -0.5, 0.0, 1.0 / 3.0, 3e20, 2.5e-9, 0.000_15, 1e11, -12.0].map(number);
        assert_eq!(written, ["27", "-0.5", "0", "0.3333333", "3.000e20", "2.500e-9", "0.00015", "100000000000", "-12"]);
        assert_eq!(
            sum(&[(-1.0, "x".into()), (0.0, "y".into()), (-2.5, "z".into()), (-3.0, String::new())]),
            "-x - 2.5 z - 3"
        );
        assert_eq!(sum(&[]), "0");
    }
}
