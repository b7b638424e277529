//! A task's numbers as text: inputs, answers, a few predictions to look at.

use gatemill_crew::Crew;
use gatemill_kernels::Kernels;

use crate::error::TrainError;
use crate::task::{Alphabet, Example, Input, PredictOptions, TaskKind, TaskModel};

/// An input as it is written in a file.
pub fn input_text(alphabet: &Alphabet, input: &Input) -> String {
    match input {
        Input::Symbols(symbols) => alphabet.input.decode(symbols),
        Input::Dense(numbers) => numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

/// Classes, tags or an answer as they are written in a file: tags of one character stand one behind the other.
pub fn answer_text(model: &TaskModel, symbols: &[u32]) -> String {
    let output = &model.alphabet.output;
    if model.config.kind != TaskKind::Tag {
        return output.decode(symbols);
    }
    let names: Vec<String> = symbols.iter().map(|&symbol| output.name(symbol)).collect();
    let short = names.iter().all(|name| name.chars().count() == 1);
    names.join(if short { "" } else { " " })
}

/// What the model makes of some examples, one a line, with what was wanted where it is something else.
pub(super) fn sample_text(
    model: &TaskModel,
    examples: &[Example],
    (crew, kernels): (&Crew, &Kernels),
) -> Result<String, TrainError> {
    let inputs: Vec<Input> = examples.iter().map(|example| example.input.clone()).collect();
    let mut lines = Vec::new();
    for (predicted, example) in model.predict(&inputs, &PredictOptions::default(), crew, kernels)?.iter().zip(examples)
    {
        let (input, answer) = (input_text(&model.alphabet, &example.input), answer_text(model, &predicted.output));
        let wanted = answer_text(model, &example.output);
        let differs = if answer == wanted { String::new() } else { format!("   (wanted: {wanted})") };
        lines.push(match model.config.kind {
            TaskKind::Tag => format!("{input}\n{answer}{}", differs.replace("   (", "\n(")),
            _ => format!("{input} -> {answer}{differs}"),
        });
    }
    Ok(lines.join("\n"))
}
