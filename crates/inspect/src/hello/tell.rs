//! The walk-through as a text of at most 100 columns: each step in a sentence, with its equation and its numbers.

use std::fmt::Write;

use gatemill_train::CellKind;
use unicode_width::UnicodeWidthChar;

use super::{Hello, Matrix, Step};
use crate::page::visible;

/// Numbers of a vector in one line, and columns of a matrix; more of a vector are wrapped, of a matrix left out.
const ACROSS: usize = 8;
/// Columns of each of three matrices beside each other.
const UPDATE_COLUMNS: usize = 3;
/// Letters with their probability in one line.
const LETTERS_ACROSS: usize = 5;
/// Width of the name of a vector.
const NAME: usize = 16;
/// Columns of the text.
const WIDTH: usize = 98;

/// A letter between quotes, as a reader can see it.
pub(super) fn quoted(c: char) -> String {
    format!("'{}'", visible(c))
}

/// `text` with blanks before it up to a width on screen.
fn right(text: &str, width: usize) -> String {
    let shown: usize = text.chars().map(|c| c.width().unwrap_or(1)).sum();
    format!("{}{text}", " ".repeat(width.saturating_sub(shown)))
}

/// Words in lines of at most WIDTH columns, each after `indent` blanks.
fn prose(out: &mut String, indent: usize, words: &str) {
    let width = |text: &str| text.chars().map(|c| c.width().unwrap_or(1)).sum::<usize>();
    let mut line = String::new();
    for word in words.split(' ') {
        if !line.is_empty() && indent + width(&line) + 1 + width(word) > WIDTH {
            let _ = writeln!(out, "{:indent$}{line}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{:indent$}{line}", "");
}

/// The whole walk-through.
pub fn text(hello: &Hello) -> String {
    let mut out = String::new();
    title(&mut out, hello);
    vocabulary(&mut out, hello);
    weights(&mut out, hello);
    forward(&mut out, hello);
    backward(&mut out, hello);
    update(&mut out, hello);
    training(&mut out, hello);
    inference(&mut out, hello);
    out
}

/// A cell in words.
pub(super) fn cell_words(cell: CellKind) -> &'static str {
    match cell {
        CellKind::Rnn => "a tanh RNN",
        CellKind::Lstm => "an LSTM",
        CellKind::Gru => "a GRU",
    }
}

/// The equations of a step.
pub(super) fn equations(cell: CellKind) -> &'static [&'static str] {
    match cell {
        CellKind::Rnn => &["h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_xh + b_hh),  h_0 = 0"],
        CellKind::Lstm => &[
            "i_t, f_t, o_t = sigmoid(W_x x_t + W_h h_{t-1} + b), each with rows of its own;  h_0 = c_0 = 0",
            "g_t = tanh(W_xg x_t + W_hg h_{t-1} + b_g)",
            "c_t = f_t * c_{t-1} + i_t * g_t",
            "h_t = o_t * tanh(c_t)",
        ],
        CellKind::Gru => &[
            "r_t, z_t = sigmoid(W_x x_t + W_h h_{t-1} + b), each with rows of its own;  h_0 = 0",
            "n_t = tanh(W_xn x_t + b_xn + r_t * (W_hn h_{t-1} + b_hn))",
            "h_t = (1 - z_t) * n_t + z_t * h_{t-1}",
        ],
    }
}

fn title(out: &mut String, hello: &Hello) {
    let s = if hello.hidden == 1 { "" } else { "s" };
    let shown: String = hello.text.chars().map(visible).collect();
    let (cell, hidden, parameters, seed) = (cell_words(hello.cell), hello.hidden, hello.parameters, hello.seed);
    let words = format!(
        "\"{shown}\", number by number: {cell} with {hidden} hidden unit{s}, {parameters} weights, seed {seed}"
    );
    prose(out, 0, &words);
    out.push('\n');
}

fn vocabulary(out: &mut String, hello: &Hello) {
    let count = hello.vocabulary.len();
    out.push_str("1. The vocabulary: each character of the text once, sorted.\n\n");
    let _ = writeln!(out, "  x of a character is a one-hot vector of V = {count} numbers.\n");
    let wide = 2 * count + 8;
    let per_line = (WIDTH / wide).max(1);
    for (row, chars) in hello.vocabulary.chunks(per_line).enumerate() {
        let entries = chars.iter().enumerate().map(|(i, &c)| {
            let hot = row * per_line + i;
            let bits: Vec<&str> = (0..count).map(|k| if k == hot { "1" } else { "0" }).collect();
            format!("{} [{}]", right(&quoted(c), 4), bits.join(" "))
        });
        let _ = writeln!(out, "  {}", entries.collect::<Vec<_>>().join("  "));
    }
    let line = |name: &str, letters: &mut dyn Iterator<Item = char>| {
        format!("  {name:<10}{}\n", letters.map(|c| right(&visible(c).to_string(), 3)).collect::<String>())
    };
    out.push_str("\nIt reads all characters but the last, one a step, and is to predict the one after each.\n\n");
    out.push_str(&line("reads", &mut hello.steps.iter().map(|step| step.read)));
    out.push_str(&line("predicts", &mut hello.steps.iter().map(|step| step.target)));
}

/// Names of a matrix's rows and columns.
fn row_name(hello: &Hello, matrix: &Matrix, row: usize) -> String {
    if matrix.name.ends_with('y') {
        return quoted(hello.vocabulary[row]);
    }
    let gates: &[&str] = match hello.cell {
        CellKind::Rnn => &["h"],
        CellKind::Lstm => &["i", "f", "g", "o"],
        CellKind::Gru => &["r", "z", "n"],
    };
    format!("{}{}", gates[(row / hello.hidden).min(gates.len() - 1)], row % hello.hidden + 1)
}

pub(super) fn names(hello: &Hello, matrix: &Matrix) -> (Vec<String>, Vec<String>) {
    let rows = (0..matrix.rows).map(|row| row_name(hello, matrix, row)).collect();
    let columns = match matrix.name {
        "W_xh" => hello.vocabulary.iter().map(|&c| quoted(c)).collect(),
        "W_hh" | "W_hy" => (1..=matrix.columns).map(|unit| format!("h{unit}")).collect(),
        _ => vec![String::new()],
    };
    (rows, columns)
}

/// Columns that are shown, and whether some are left out.
fn shown(columns: usize, most: usize) -> (usize, bool) {
    if columns <= most { (columns, false) } else { (most.saturating_sub(1).max(1), true) }
}

/// Lines of a block: matrices beside each other, the row's names before the first.
fn beside(hello: &Hello, blocks: &[(&str, &Matrix)], most: usize) -> String {
    let Some((_, first)) = blocks.first() else { return String::new() };
    // A matrix that is too wide and low enough lies on its side.
    let alike = blocks.iter().all(|(_, matrix)| (matrix.rows, matrix.columns) == (first.rows, first.columns));
    let lies = alike && first.columns > most && first.rows <= most;
    let sides = |matrix: &Matrix| {
        let (rows, columns) = names(hello, matrix);
        if lies { (columns, rows) } else { (rows, columns) }
    };
    let mut lines = vec!["      ".to_owned(), "      ".to_owned()];
    lines.extend(sides(first).0.iter().map(|name| format!("  {}", right(name, 4))));
    for (title, matrix) in blocks {
        let (rows, columns) = sides(matrix);
        let title = if lies { title.replacen(' ', "^T ", 1) } else { (*title).to_owned() };
        let (count, more) = shown(columns.len(), most);
        let rest = if more { "  …" } else { "" };
        let wide = (8 * count + rest.chars().count()).max(title.chars().count());
        let heads: String = columns.iter().take(count).map(|name| right(name, 8)).collect();
        lines[0].push_str(&format!("   {title:<wide$}"));
        lines[1].push_str(&format!("   {}", right(&(heads + rest), wide)));
        for (row, line) in lines.iter_mut().skip(2).enumerate() {
            let numbers: String = if row < rows.len() {
                let at = |column| if lies { matrix.at(column, row) } else { matrix.at(row, column) };
                (0..count).map(|column| number(at(column))).collect::<String>() + rest
            } else {
                String::new()
            };
            line.push_str(&format!("   {}", right(&numbers, wide)));
        }
    }
    if lines[1].trim().is_empty() {
        lines.remove(1);
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn number(v: f64) -> String {
    // A rounded zero has no sign.
    let text = format!("{v:8.4}");
    if text.trim() == "-0.0000" { "  0.0000".to_owned() } else { text }
}

fn weights(out: &mut String, hello: &Hello) {
    out.push_str("\n2. The weights, drawn by the seed, uniform between -1/sqrt(H) and 1/sqrt(H).\n\n");
    if hello.cell == CellKind::Lstm {
        out.push_str("  The forget gates' b_xh begins 1 higher, so that at first they keep.\n\n");
    }
    let matrix = |name| Hello::matrix(&hello.before, name);
    let (Some(w_xh), Some(w_hh), Some(b_xh), Some(b_hh), Some(w_hy), Some(b_y)) =
        (matrix("W_xh"), matrix("W_hh"), matrix("b_xh"), matrix("b_hh"), matrix("W_hy"), matrix("b_y"))
    else {
        return;
    };
    // Names, gaps and biases leave 66 columns for the two matrices.
    let most = if hello.vocabulary.len() + hello.hidden <= ACROSS { ACROSS } else { 4 };
    out.push_str(&beside(hello, &[("W_xh", w_xh), ("W_hh", w_hh), ("b_xh", b_xh), ("b_hh", b_hh)], most));
    out.push('\n');
    out.push_str(&beside(hello, &[("W_hy", w_hy), ("b_y", b_y)], ACROSS));
}

fn vector(out: &mut String, name: &str, values: impl IntoIterator<Item = f64>, note: &str) {
    let values: Vec<String> = values.into_iter().map(number).collect();
    for (i, line) in values.chunks(ACROSS).enumerate() {
        let name = if i == 0 { format!("{name:<NAME$}=") } else { " ".repeat(NAME + 1) };
        let last = (i + 1) * ACROSS >= values.len();
        let text = format!("    {name}{}", line.concat());
        let _ = match note {
            note if last && !note.is_empty() && text.len() + note.len() + 3 <= WIDTH => {
                writeln!(out, "{text}   {note}")
            }
            note if last && !note.is_empty() => writeln!(out, "{text}\n    {:NAME$} {note}", ""),
            _ => writeln!(out, "{text}"),
        };
    }
}

fn by_letter(out: &mut String, hello: &Hello, name: &str, values: &[f64]) {
    let entries: Vec<String> =
        hello.vocabulary.iter().zip(values).map(|(&c, &v)| format!("{}{}", right(&quoted(c), 5), number(v))).collect();
    for (i, line) in entries.chunks(LETTERS_ACROSS).enumerate() {
        let name = if i == 0 { format!("{name:<NAME$}=") } else { " ".repeat(NAME + 1) };
        let _ = writeln!(out, "    {name}{}", line.concat());
    }
}

fn forward(out: &mut String, hello: &Hello) {
    out.push_str(
        "\n3. Forward: each step mixes what is read with the state before, and guesses the next character.\n\n",
    );
    for equation in equations(hello.cell) {
        let _ = writeln!(out, "  {equation}");
    }
    out.push_str("  y_t = W_hy h_t + b_y\n  p_t = softmax(y_t):  p_t[k] = exp(y_t[k]) / sum over j of exp(y_t[j])\n");
    out.push_str("  loss_t = -ln p_t[the character that follows]\n");
    for step in &hello.steps {
        one_step(out, hello, step);
    }
    let (steps, guess) = (hello.steps.len(), libm::log(hello.vocabulary.len() as f64));
    let (nats, symbols) = (hello.nats, hello.vocabulary.len());
    out.push('\n');
    let words = format!(
        "loss = the mean of loss_1 .. loss_{steps} = {nats:.4} nats; guessing among {symbols} costs \
         ln {symbols} = {guess:.4}."
    );
    prose(out, 2, &words);
}

fn one_step(out: &mut String, hello: &Hello, step: &Step) {
    let t = step.t;
    let _ = writeln!(out, "\n  t = {t}: reads {}, {} follows", quoted(step.read), quoted(step.target));
    for part in &step.parts {
        // Equations stand above; what a gate means is said once.
        let note = if hello.cell == CellKind::Rnn || t > 1 {
            ""
        } else {
            part.equation.split_once(": ").map_or("", |(_, meaning)| meaning)
        };
        vector(out, &part.name, part.values.iter().copied(), note);
    }
    if let Some(c) = &step.c {
        vector(out, &format!("c_{t}"), c.iter().map(|&c| c.into()), "");
    }
    let of = if hello.cell == CellKind::Rnn { format!("h_{t} = tanh(a_{t})") } else { format!("h_{t}") };
    vector(out, &of, step.h.iter().map(|&h| h.into()), "");
    let logits: Vec<f64> = step.logits.iter().map(|&y| y.into()).collect();
    by_letter(out, hello, &format!("y_{t}"), &logits);
    by_letter(out, hello, &format!("p_{t}"), &step.p);
    let verdict = if step.predicted == step.target { "right" } else { "not yet" };
    let _ = writeln!(
        out,
        "    it would say {} ({verdict}); loss_{t} = -ln {:.4} = {:.4}",
        quoted(step.predicted),
        step.p.get(step.target_id).copied().unwrap_or(0.0),
        step.nats
    );
}

fn backward(out: &mut String, hello: &Hello) {
    let steps = hello.steps.len();
    out.push_str(
        "\n4. Backward: the loss pulls each p_t towards what follows, and the pull goes back through time.\n\n",
    );
    let _ = writeln!(out, "  dL/dy_t = (p_t - one-hot of what follows) / {steps}\n");
    for step in &hello.steps {
        by_letter(out, hello, &format!("dL/dy_{}", step.t), &step.d_logits);
    }
    let through = match hello.cell {
        CellKind::Rnn => {
            "  dL/dh_t = W_hy^T dL/dy_t + W_hh^T dL/da_{t+1},   dL/da_t = dL/dh_t * (1 - h_t^2)\n  \
             dL/dW_xh = sum over t of dL/da_t x_t^T,   dL/dW_hh = sum over t of dL/da_t h_{t-1}^T\n"
        }
        CellKind::Lstm => {
            "  dL/dc_t = dL/dh_t * o_t * (1 - tanh(c_t)^2) + f_{t+1} * dL/dc_{t+1}: through c it is an addition\n  \
             dL/dW_xh = sum over t of (gradients before the activations)_t x_t^T, likewise dL/dW_hh\n"
        }
        CellKind::Gru => {
            "  dL/dh_{t-1} = z_t * dL/dh_t + what comes through r_t, z_t, n_t: along z it is an addition\n  \
             dL/dW_xh = sum over t of (gradients before the activations)_t x_t^T, likewise dL/dW_hh\n"
        }
    };
    let _ = write!(out, "\n{through}  dL/dW_hy = sum over t of dL/dy_t h_t^T\n");
}

fn update(out: &mut String, hello: &Hello) {
    let (lr, momentum) = (hello.lr, hello.momentum);
    let _ = writeln!(out, "\n5. The update: each weight moves against its gradient.\n\n  w <- w - {lr} * dL/dw");
    let _ = writeln!(out, "  (from the second on with momentum: m <- {momentum} m + dL/dw, w <- w - {lr} m)");
    for matrix in &hello.before {
        let find = |list| Hello::matrix(list, matrix.name);
        let (Some(gradient), Some(after)) = (find(&hello.gradient), find(&hello.after)) else { continue };
        let before = format!("{} before", matrix.name);
        let blocks = [(before.as_str(), matrix), ("gradient", gradient), ("after", after)];
        let _ = write!(out, "\n{}", beside(hello, &blocks, UPDATE_COLUMNS));
    }
    if hello.before.iter().any(|m| m.columns.min(m.rows) > UPDATE_COLUMNS) {
        out.push_str("\n  … : columns left out here; the page (-o FILE) and --json have all.\n");
    }
    if let Some(stage) = hello.training.get(1) {
        let _ = writeln!(out, "\n  The same text costs {:.4} nats now, {:.4} before.", stage.nats, hello.nats);
    }
}

fn training(out: &mut String, hello: &Hello) {
    let follows: String = hello.steps.iter().map(|step| visible(step.target)).collect();
    out.push_str("\n6. Train more: forward, backward, update, again and again, from h_0 = 0 each time.\n\n");
    let wide = follows.chars().map(|c| c.width().unwrap_or(1)).sum::<usize>().max(4);
    let _ = writeln!(out, "  updates     loss   {}   probability of what follows", right("says", wide));
    for stage in &hello.training {
        let says: String = stage.predicted.iter().map(|&c| visible(c)).collect();
        let p = hello
            .steps
            .iter()
            .zip(&stage.p)
            .map(|(step, p)| format!("{:>6.3}", p.get(step.target_id).copied().unwrap_or(0.0)));
        let mark = if hello.right_after == Some(stage.updates) { "   all right" } else { "" };
        let p: Vec<String> = p.collect();
        let fit = WIDTH.saturating_sub(24 + wide + mark.len() + 3) / 6;
        let _ = writeln!(
            out,
            "  {:>7} {:>8.4}   {}   {}{mark}",
            stage.updates,
            stage.nats,
            right(&says, wide),
            p.iter().take(fit).map(String::as_str).collect::<String>() + if p.len() > fit { "  …" } else { "" }
        );
    }
    if let Some(sentence) = outcome(hello) {
        out.push('\n');
        prose(out, 2, &sentence);
    }
}

/// What training came to, where it did not come to all.
pub(super) fn outcome(hello: &Hello) -> Option<String> {
    let last = hello.training.last()?;
    let steps = hello.steps.len();
    (last.right < steps).then(|| {
        format!(
            "After {} updates {} of {steps} next characters are right: more updates (--steps), more units (--hidden) or \
             another --seed may learn the rest.",
            last.updates, last.right
        )
    })
}

fn inference(out: &mut String, hello: &Hello) {
    out.push_str(
        "\n7. Inference: it gets the first character; from then on each that it says is what it reads next.\n\n",
    );
    for fed in &hello.inference {
        let _ = writeln!(out, "  reads {}   says {}   {:.3}", quoted(fed.reads), quoted(fed.says), fed.probability);
    }
    let written: String = hello.written().chars().map(visible).collect();
    let verdict = if hello.written() == hello.text { "the text completes itself" } else { "not the text yet" };
    let _ = writeln!(out, "\n  It wrote \"{written}\": {verdict}.");
}
