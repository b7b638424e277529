//! Several runs in a table: what each is, where it stands, how good it became.

use gatemill_train::history::History;

use super::words;
use crate::table::{Column, Table};

/// A row per run. With `letters` each has one, by which a comparison goes on to call it.
pub(super) fn table(runs: &[History], letters: Option<&[String]>) -> Table {
    let mut columns = vec![
        Column::words("run", 0),
        Column::words("state", 0),
        Column::words("model", 0),
        Column::numbers("weights", 7),
        Column::words("corpus", 6),
        Column::numbers("steps", 3),
        Column::numbers("epochs", 8),
        Column::numbers("time", 2),
        Column::numbers("chars/s", 5),
        Column::numbers("train nats", 1),
        Column::numbers("bits", 9),
        Column::numbers("val nats", 0),
        Column::numbers("bits", 4),
        Column::numbers("best val", 0),
    ];
    if letters.is_some() {
        columns.insert(0, Column::words("", 0));
    }
    let mut table = Table::new(columns);
    for (i, run) in runs.iter().enumerate() {
        let letter = letters.map(|letters| letters.get(i).cloned().unwrap_or_default());
        let cells = [
            run.name.clone(),
            run.state.name().to_owned(),
            run.config.as_ref().map_or(String::new(), words::model),
            run.start.as_ref().map_or(String::new(), |start| words::short(start.parameters)),
            words::corpus(run),
            words::steps(run),
            run.epochs().map_or(String::new(), |epochs| format!("{epochs:.1}")),
            words::seconds(run.seconds),
            run.tokens_per_s.map_or(String::new(), |rate| words::short(rate as u64)),
            words::nats(run.train_nats),
            words::bits(run.train_nats),
            words::nats(run.val_nats),
            words::bits(run.val_nats),
            words::nats(run.best.map(|best| best.0)),
        ];
        table.row(letter.into_iter().chain(cells));
    }
    table
}
