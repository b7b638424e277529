//! Labels that are made from a unit are found in it; the score is what a plain count says; chance earns no name.

use super::*;
use crate::label::{Kind, Label};
use crate::text::Text;
use gatemill_corpus::builtin;
use gatemill_corpus::{Vocab, VocabKind};
use gatemill_crew::Crew;
use gatemill_kernels::Kernels;
use gatemill_train::{CellKind, Config, TracePlan, TrainError};
use std::ops::Range;

const CHARS: usize = 24_000;

struct Fixture {
    model: CharModel,
    text: Text,
    halves: [Range<usize>; 2],
    plan: TracePlan,
}

/// A model that has learned nothing: its units still follow the text, each in its own way.
fn fixture(cell: CellKind, hidden: usize, (crew, kernels): (&Crew, &Kernels)) -> Fixture {
    let bytes = builtin::text(CHARS, 3);
    let vocab = Vocab::of(VocabKind::Chars, &bytes).unwrap();
    let config = Config { cell, layers: 2, hidden, ..Config::default() };
    let model = CharModel::new(&config, &vocab, crew, kernels).unwrap();
    let text = Text::of(&vocab, &bytes).unwrap();
    let plan = TracePlan::whole(text.ids.len());
    Fixture { model, text, halves: [0..CHARS / 2, CHARS / 2..CHARS], plan }
}

/// A column's value at every character.
fn values(f: &Fixture, column: Column, (crew, kernels): (&Crew, &Kernels)) -> Vec<f32> {
    let mut all = vec![0.0; f.text.len()];
    f.model
        .trace(&f.text.ids, &f.plan, (crew, kernels), |trace| {
            for &moment in trace.moments() {
                all[moment.at] = trace.unit(column.layer, column.part, column.unit, moment);
            }
            Ok::<(), TrainError>(())
        })
        .unwrap();
    all
}

fn probed(f: &Fixture, labels: &[Label], (crew, kernels): (&Crew, &Kernels)) -> (Probe, Bins, Tally) {
    let bins = Bins::of(&f.model, &f.text, CHARS / 2, (crew, kernels)).unwrap();
    let tally = Tally::of(&f.model, &f.text, (labels, &bins), (&f.plan, &f.halves), (crew, kernels), |_| {}).unwrap();
    let probe = findings(&tally, &bins, labels, &f.halves, Columns::of(&f.model));
    (probe, bins, tally)
}

fn label(name: &str, kind: Kind, values: impl Iterator<Item = u8>) -> Label {
    Label { name: name.to_owned(), kind, values: values.collect() }
}

/// Inside where the value is above its border that most of the text is below.
fn above(values: &[f32], part: f64) -> Vec<u8> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let border = sorted[(part * sorted.len() as f64) as usize];
    values.iter().map(|&v| u8::from(v > border)).collect()
}

#[test]
fn a_label_that_is_made_of_a_unit_is_found_in_it_and_one_by_chance_in_none() {
    let (crew, kernels) = (Crew::new(2).unwrap(), Kernels::best());
    for (cell, part) in [(CellKind::Lstm, Part::Cell), (CellKind::Gru, Part::Hidden), (CellKind::Rnn, Part::Hidden)] {
        // 21 units: a tail in the second vector.
        let f = fixture(cell, 21, (&crew, &kernels));
        let (first, second) = (Column { layer: 0, part, unit: 4 }, Column { layer: 1, part, unit: 18 });
        let (a, b) = (values(&f, first, (&crew, &kernels)), values(&f, second, (&crew, &kernels)));
        let (least, most) = b.iter().fold((f32::MAX, f32::MIN), |(l, m), &v| (l.min(v), m.max(v)));
        // Long stretches that have nothing to do with the text.
        let chance = (0..CHARS)
            .map(|i| u8::from(gatemill_kernels::uniform(7, gatemill_kernels::Purpose::Sample, 0, i as u64 / 60) < 0.3));
        let labels = [
            label("of the first", Kind::Binary, above(&a, 0.81).into_iter()),
            label("not of the second", Kind::Binary, above(&b, 0.31).into_iter().map(|v| 1 - v)),
            label("number", Kind::Number, b.iter().map(|v| ((most - v) / (most - least) * 60.0) as u8)),
            label("chance", Kind::Binary, chance),
        ];
        let (probe, ..) = probed(&f, &labels, (&crew, &kernels));
        let best = |k: usize| &probe.labels[k].best[0];
        let place = |k: usize| (best(k).layer, best(k).unit, best(k).part);
        assert_eq!(place(0), (0, 4, part.letter()), "{:?}", best(0));
        assert_eq!((best(0).above, best(1).above), (Some(true), Some(false)));
        assert_eq!(place(1), (1, 18, part.letter()), "{:?}", best(1));
        assert_eq!(place(2), (1, 18, part.letter()), "{:?}", best(2));
        assert!(best(0).score > 0.97 && best(1).score > 0.97 && best(2).score > 0.97, "{:#?}", probe.names);
        assert!(best(2).correlation.unwrap() < -0.97, "{:?}", best(2));
        assert!(best(0).clears && !best(3).clears && best(3).score < 0.6, "{:?}", best(3));
        assert!(probe.names.iter().any(|c| (c.layer, c.unit, c.label.as_str()) == (0, 4, "of the first")));
        assert!(probe.names.iter().all(|c| c.label != "chance"));
        for found in &probe.labels {
            let control = found.control.iter().copied().fold(0.0, f64::max);
            assert_eq!(found.control_names, 0);
            assert!(control < if found.kind == Kind::Binary { 0.65 } else { 0.2 }, "{found:?}");
        }
    }
}

/// The best border of A, its score on B, means and gate counts, from the values themselves.
#[test]
fn the_score_is_what_a_plain_count_says() {
    let (crew, kernels) = (Crew::new(2).unwrap(), Kernels::best());
    let f = fixture(CellKind::Lstm, 18, (&crew, &kernels));
    let all = crate::label::labels(&f.text.chars, &[]);
    let (probe, _, tally) = probed(&f, &all, (&crew, &kernels));
    assert_eq!(tally.compared, CHARS);
    let mut checked = 0;
    for (found, label) in probe.labels.iter().zip(&all) {
        for cell in found.best.iter().take(3) {
            let part = f.model.parts().iter().copied().find(|p| p.letter() == cell.part).unwrap();
            let column = Column { layer: cell.layer, part, unit: cell.unit };
            let values = values(&f, column, (&crew, &kernels));
            let (Some(border), Some(above)) = (cell.border, cell.above) else { continue };
            let mut counts = [[0u32; 2]; 2];
            for i in f.halves[1].clone() {
                let told = (f64::from(values[i]) > border) == above;
                counts[usize::from(label.values[i] > 0)][usize::from(told)] += 1;
            }
            let share = |c: [u32; 2], k: usize| f64::from(c[k]) / f64::from((c[0] + c[1]).max(1));
            let want = 0.5 * (share(counts[1], 1) + share(counts[0], 0));
            assert!((cell.score - want).abs() < 1e-9, "{} {column:?}: {} {want}", found.label, cell.score);
            let gate = tally.gate_use(column);
            let ends = |of: &dyn Fn(f32) -> bool| values.iter().filter(|v| of(**v)).count() as f64 / CHARS as f64;
            let least = if part.opens() { 0.1 } else { -0.9 };
            let want = (part != Part::Cell).then(|| GateUse { open: ends(&|v| v > 0.9), closed: ends(&|v| v < least) });
            assert_eq!(gate, want);
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn the_findings_are_the_same_for_any_number_of_threads() {
    let kernels = Kernels::best();
    let of = |threads: usize| {
        let crew = Crew::new(threads).unwrap();
        let f = fixture(CellKind::Gru, 40, (&crew, &kernels));
        let labels = crate::label::labels(&f.text.chars, &[]);
        probed(&f, &labels, (&crew, &kernels)).0
    };
    assert_eq!(of(1), of(3));
}
