//! How long a run is and how it ends: steps, minutes, patience; what is carried between chunks; more lanes than fit.

use std::fs;

use crate::place::{SIZES, with_text};

/// A rate so small that no weight moves: after the first no evaluation is better.
const NOTHING_LEARNED: &str = "--optimizer adam --lr 1e-30 --schedule constant --eval-every 2";

#[test]
fn patience_ends_a_run_that_gets_no_better() {
    let place = with_text();
    let ended = place.train("run", &format!("{SIZES} --epochs 50 --patience 3 {NOTHING_LEARNED}")).succeeds();
    let done = &ended.events("done")[0];
    // The first evaluation is the best one; three more, and it is over.
    assert_eq!((&done["steps"], &done["ended"], &done["best_step"]), (&8.into(), &"patience".into(), &2.into()));
    assert_eq!(ended.events("sample").last().expect("a last sample")["step"], 8);
    assert!(ended.err.contains("fell no more"), "{}", ended.err);
    // More patience, and it goes on to the end from there.
    let more = place.run("train --resume run --json --patience 5 --epochs 3").succeeds();
    let done = &more.events("done")[0];
    assert_eq!((&done["steps"], &done["ended"]), (&18.into(), &"patience".into()));
}

#[test]
fn minutes_end_a_run_and_the_same_steps_give_the_same_weights() {
    // Steps of a millisecond: smaller ones cost less than telling of them, and the plan would be far off.
    const SIZES: &str = "--layers 2 --hidden 120 --batch 20 --seq 40 --val-frac 0.2";
    let place = with_text();
    let ended = place.train("run", &format!("{SIZES} --minutes 0.01 --schedule constant")).succeeds();
    let (start, done) = (&ended.events("start")[0], &ended.events("done")[0]);
    let (planned, made) = (start["steps"].as_u64().expect("counted out"), done["steps"].as_u64().expect("made"));
    assert!(made > 0 && made <= planned, "{made} of {planned}");
    assert!(start["seconds_per_epoch"].as_f64() > Some(0.0));
    let ending = if made < planned { "minutes" } else { "steps" };
    assert_eq!(done["ended"], ending);
    let again = place.train("again", &format!("{SIZES} --steps {made} --schedule constant"));
    assert_eq!(again.succeeds().sha256(), ended.sha256());
    // More minutes, more steps: those of the first plan are no bound.
    let more = place.run("train --resume run --json --minutes 0.03").succeeds();
    assert!(more.events("done")[0]["steps"].as_u64() > Some(planned), "{}", more.err);
    // A number of steps beside it is a bound of its own.
    let few = place.train("few", &format!("{SIZES} --minutes 1 --steps 3")).succeeds();
    assert_eq!(few.events("done")[0]["steps"], 3);
}

#[test]
fn accumulated_batches_give_the_bits_of_one_batch_in_shards() {
    let place = with_text();
    let flags = "--layers 2 --hidden 17 --seq 5 --val-frac 0.2 --epochs 2 --dropout 0.25";
    for cell in ["rnn", "lstm", "gru"] {
        let one = place.train(&format!("{cell}-1"), &format!("{flags} --cell {cell} --batch 12 --shards 6")).succeeds();
        let run = format!("{cell}-3");
        let three = format!("{flags} --cell {cell} --batch 4 --shards 2 --accumulate 3");
        let three = place.train(&run, &format!("{three} --threads 2 --save-every 7")).succeeds();
        assert_eq!(three.sha256(), one.sha256(), "{cell}");
        let losses = |ended: &crate::place::Ended| -> Vec<_> {
            ended.events("step").iter().map(|step| (step["train_nats"].clone(), step["tokens"].clone())).collect()
        };
        assert_eq!(losses(&three), losses(&one), "{cell}");
        // Through a stop: the last checkpoint but one, and on to the end.
        let newest = crate::place::checkpoints(&place.path(&run)).pop().expect("checkpoints");
        fs::remove_file(newest).expect("removed");
        let resumed = place.run(&format!("train --resume {run} --json --threads 1")).succeeds();
        assert!(!resumed.events("step").is_empty());
        assert_eq!(resumed.sha256(), one.sha256(), "{cell} resumed");
    }
}

#[test]
fn without_carry_each_chunk_begins_from_nothing() {
    let place = with_text();
    let flags = format!("{SIZES} --steps 40 --eval-every 20");
    let carried = place.train("carried", &flags).succeeds();
    let forgot = place.train("forgot", &format!("{flags} --no-carry")).succeeds();
    let loss = |ended: &crate::place::Ended, step: usize| ended.events("step")[step]["train_nats"].clone();
    assert_eq!(loss(&carried, 0), loss(&forgot, 0), "the first chunk begins from nothing either way");
    assert_ne!(loss(&carried, 1), loss(&forgot, 1));
    // Scored as it was trained, in the run and afterwards.
    let score = place.run("eval forgot --split val --json").succeeds().objects().remove(0);
    assert_eq!(score["nats"], forgot.events("done")[0]["best_nats"]);
    assert_ne!(score["nats"], carried.events("done")[0]["best_nats"]);
    place.run("train --resume forgot --steps 50 --override").succeeds();
}
