//! Scores to names, and the findings as they are told.

use super::bins::Bins;
use super::score::{Score, Tell, score};
use super::tally::Tally;
use super::{Column, Columns, LEAST_STRETCHES, LEVEL_BINARY, LEVEL_NUMBER, SHIFTS, control};
use crate::label::{Kind, Label};
use serde::Serialize;
use std::collections::HashSet;
use std::ops::Range;

/// Units that are told of each label.
const TOLD: usize = 12;

/// What one part of a unit tells of one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// From 0.
    pub layer: usize,
    /// From 0.
    pub unit: usize,
    /// The letter: h, c, or a gate.
    pub part: &'static str,
    /// Which label.
    pub label: String,
    /// Balanced accuracy or R^2 on the second half.
    pub score: f64,
    /// Inside is on this side of the value; of a number none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub border: Option<f64>,
    /// Inside is above the border.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<bool>,
    /// Mean value inside, and outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub means: Option<[f64; 2]>,
    /// Correlation with a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<f64>,
    /// Whether it clears the level and the control.
    pub clears: bool,
}

/// What all units tell of one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelFindings {
    /// Which.
    pub label: String,
    /// Binary or number.
    pub kind: Kind,
    /// Share of the characters where it is not 0.
    pub share: f64,
    /// Stretches where it is not 0, in each half.
    pub stretches: [usize; 2],
    /// Whether there are enough of them, so that it gives names.
    pub asked: bool,
    /// The score that gives a name.
    pub level: f64,
    /// The best of all units under each turned copy of the label.
    pub control: [f64; SHIFTS],
    /// Of the turned copies, how many would have given a name.
    pub control_names: usize,
    /// The best units, each with its best part, by falling score.
    pub best: Vec<Cell>,
}

/// All findings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probe {
    /// By label.
    pub labels: Vec<LabelFindings>,
    /// The units that have a name: each once, with the label that names it; the best of each label, then the second best.
    pub names: Vec<Cell>,
}

/// Scores every column under every label.
pub fn findings(tally: &Tally, bins: &Bins, labels: &[Label], halves: &[Range<usize>; 2], columns: Columns) -> Probe {
    let mut all = Vec::new();
    let mut claims = Vec::new();
    for (index, label) in labels.iter().enumerate() {
        let of_label = (index, label.kind);
        let control = control::best(tally, bins, columns, of_label);
        let chance = control.iter().copied().fold(0.0, f64::max);
        let level = if label.kind == Kind::Binary { LEVEL_BINARY } else { LEVEL_NUMBER };
        let stretches = [0, 1].map(|half: usize| label.stretches(halves[half].clone()));
        let asked = stretches.iter().all(|&n| n >= LEAST_STRETCHES);
        let mut best: Vec<(Column, Score)> = Vec::new();
        let mut own = Vec::new();
        for unit in columns.each().filter(|column| column.part == columns.parts[0]) {
            let parts = columns.parts.iter().map(|&part| Column { part, ..unit });
            let scored: Vec<_> = parts.map(|c| (c, score(tally, bins, c, of_label, [0, 1]))).collect();
            let top = scored.iter().max_by(|a, b| a.1.score.total_cmp(&b.1.score));
            best.extend(top);
            let state = scored.iter().filter(|(c, _)| c.part.is_state());
            let Some((column, state)) = state.max_by(|a, b| a.1.score.total_cmp(&b.1.score)) else { continue };
            if !asked || state.score < level || state.score <= chance {
                continue;
            }
            let share = if label.kind == Kind::Binary { 2.0 * state.score - 1.0 } else { state.score };
            own.push((share, cell(*column, label, state, true)));
        }
        own.sort_by(|a, b| b.0.total_cmp(&a.0));
        claims.extend(own.into_iter().enumerate().map(|(rank, (share, cell))| Claim { rank, share, cell }));
        best.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
        best.truncate(TOLD);
        let clears = |score: &Score| asked && score.score >= level && score.score > chance;
        // A copy would name where it clears the level and what the other copies find.
        let others = |shift: usize| (0..SHIFTS).filter(move |&s| s != shift).map(|s| control[s]).fold(0.0, f64::max);
        let control_names = (0..SHIFTS).filter(|&s| asked && control[s] >= level && control[s] > others(s)).count();
        all.push(LabelFindings {
            label: label.name.clone(),
            kind: label.kind,
            share: label.values.iter().filter(|&&v| v > 0).count() as f64 / label.values.len().max(1) as f64,
            stretches,
            asked,
            level,
            control,
            control_names,
            best: best.iter().map(|(column, score)| cell(*column, label, score, clears(score))).collect(),
        });
    }
    Probe { labels: all, names: in_turn(settled(claims)) }
}

/// A label that a unit tells well enough to be named by it.
struct Claim {
    /// How many units tell the label better.
    rank: usize,
    /// Of what is between chance and certainty.
    share: f64,
    cell: Cell,
}

/// One name for each unit, by falling share. The best unit of a label is named by it, even where it tells another label
/// still better that many units tell: it is the one to look at. Of two labels with the same rank the one told better wins.
fn settled(mut claims: Vec<Claim>) -> Vec<Cell> {
    claims.sort_by(|a, b| a.rank.cmp(&b.rank).then(b.share.total_cmp(&a.share)));
    let mut taken = HashSet::new();
    claims.retain(|claim| taken.insert((claim.cell.layer, claim.cell.unit)));
    claims.sort_by(|a, b| b.share.total_cmp(&a.share));
    claims.into_iter().map(|claim| claim.cell).collect()
}

/// The best cell of each label, then the second best of each, and so on: no label crowds out the others.
fn in_turn(names: Vec<Cell>) -> Vec<Cell> {
    let rank = |i: usize| names[..i].iter().filter(|other| other.label == names[i].label).count();
    let mut ranked: Vec<(usize, Cell)> = (0..names.len()).map(|i| (rank(i), names[i].clone())).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, cell)| cell).collect()
}

fn cell(column: Column, label: &Label, score: &Score, clears: bool) -> Cell {
    let mut cell = Cell {
        layer: column.layer,
        unit: column.unit,
        part: column.part.letter(),
        label: label.name.clone(),
        score: score.score,
        border: None,
        above: None,
        means: None,
        correlation: None,
        clears,
    };
    match score.tell {
        Tell::Border { at, above, means } => {
            (cell.border, cell.above, cell.means) = (Some(at), Some(above), Some(means));
        }
        Tell::Means { correlation } => cell.correlation = Some(correlation),
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_unit_of_a_label_is_named_by_it() {
        let claim = |rank, share, unit, label: &str| Claim {
            rank,
            share,
            cell: Cell {
                layer: 0,
                unit,
                part: "c",
                label: label.to_owned(),
                score: share,
                border: None,
                above: None,
                means: None,
                correlation: None,
                clears: true,
            },
        };
        // Many units tell braces; unit 3 does too, better than it tells quotes, and no unit tells quotes better.
        let claims = vec![
            claim(0, 0.98, 7, "braces"),
            claim(1, 0.97, 9, "braces"),
            claim(2, 0.95, 3, "braces"),
            claim(3, 0.94, 4, "braces"),
            claim(0, 0.90, 3, "quotes"),
            claim(1, 0.80, 7, "quotes"),
            // The best of two labels has the name of the one that it tells better; the other one's next best is its own.
            claim(0, 0.85, 3, "string"),
            claim(1, 0.75, 4, "string"),
        ];
        let names = in_turn(settled(claims));
        let found: Vec<_> = names.iter().map(|c| (c.unit, c.label.as_str(), c.score)).collect();
        assert_eq!(found, [(7, "braces", 0.98), (3, "quotes", 0.90), (4, "string", 0.75), (9, "braces", 0.97)]);
    }
}
