//! Runs on examples: the same weights, bit for bit, through any stop, on any number of threads; signals; what may change.

use std::fs;

use crate::bits::{log, stopped_at, story};
use crate::place::{Place, checkpoints, step_of};

/// Every mechanism at once, in sizes that differ pairwise.
const FORMS: [(&str, &str); 5] = [
    ("map", "--cell rnn --hidden 7"),
    ("describe", "--cell gru --hidden 9 --embed 5"),
    ("classify", "--cell lstm --hidden 9 --layers 2 --dropout 0.2 --bidirectional --pool max --test-frac 0.1"),
    ("tag", "--cell gru --hidden 7 --layers 2 --bidirectional"),
    ("translate", "--cell lstm --hidden 10 --embed 6 --bidirectional --attention on --bridge linear"),
];

#[test]
fn a_stop_at_any_step_and_other_threads_change_nothing() {
    let place = Place::new();
    for (task, flags) in FORMS {
        let examples = place.run(&format!("corpus --task {task} --examples 120 --seed 3")).succeeds();
        place.write("examples.tsv", &examples.out);
        // Epochs of 12 steps and a last smaller batch; stops within and at the end of one.
        let line = format!(
            "train --task {task} examples.tsv {flags} --batch 9 --epochs 2 --eval-every 5 --sample-every 8 --json"
        );
        let whole = place.run(&format!("{line} --out {task} --threads 1 --save-every 1 --keep all")).succeeds();
        let sha256 = whole.sha256();
        assert_eq!(place.run(&format!("{line} --out {task}-2 --threads 2")).succeeds().sha256(), sha256, "{task}");
        let steps = step_of(checkpoints(&place.path(task)).last().expect("a checkpoint"));
        for (step, flags) in [(0, "--threads 2"), (7, "--threads 3"), (12, ""), (steps, "--threads 2")] {
            let run = format!("{task}-at-{step}");
            stopped_at(&place, task, &run, step);
            let resumed = place.run(&format!("train --resume {run} --json {flags}")).succeeds();
            assert_eq!(resumed.sha256(), sha256, "{task} from step {step}");
            assert_eq!(story(&log(&place, &run)), story(&log(&place, task)), "{task} from step {step}");
            let samples = |run: &str| fs::read_to_string(place.path(run).join("samples.txt")).expect("read");
            assert_eq!(samples(&run), samples(task));
        }
    }
}

#[test]
fn a_signal_saves_and_leaves_and_the_run_goes_on() {
    let place = Place::new();
    let flags = "--task classify --steps 400 --hidden 40 --eval-every 50 --json";
    let whole = place.run(&format!("train {flags} --out whole")).succeeds();
    let mut started = place.spawn(&format!("train {flags} --out run"));
    started.wait_for("step", 30);
    started.signal("INT");
    let ended = started.finish();
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    let stopped = &ended.events("stopped")[0];
    let newest = checkpoints(&place.path("run")).pop().expect("a checkpoint");
    assert_eq!(Some(step_of(&newest)), stopped["step"].as_u64());
    assert!(ended.err.contains("go on with: ") && ended.err.contains("train --resume run"), "{}", ended.err);
    let resumed = place.run("train --resume run --json").succeeds();
    assert_eq!(resumed.sha256(), whole.sha256());
}

#[test]
fn what_may_change_on_resume_and_what_not() {
    let place = Place::new();
    let made = place.run("corpus --task tag --examples 60").succeeds();
    place.write("tags.tsv", &made.out);
    place.run("train --task tag tags.tsv --steps 6 --hidden 8 --schedule constant --out run").succeeds();
    place.run("train --resume run --pool max").fails(2, &["--pool", "for classify alone"]);
    place.run("train --resume run --task translate").fails(2, &["--task translate (was tag)"]);
    place.run("train --resume run --hidden 9 --bidirectional").fails(2, &["--hidden 9 (was 8)", "--bidirectional"]);
    place.run("train --resume run --lr 0.5").fails(2, &["--lr 0.5"]);
    place.run("train --resume run --seq 5").fails(2, &["--seq means nothing for a task"]);
    let on = place.run("train --resume run --steps 9 --warmup 0 --override --json").succeeds();
    assert_eq!(on.events("done")[0]["steps"], 9);

    // Other examples are not those of the run; the same ones elsewhere are.
    place.write("other.tsv", String::from_utf8(made.out.clone()).expect("UTF-8").replacen('q', "-", 1));
    place.run("train --resume run other.tsv").fails(3, &["is not the corpus of this run"]);
    fs::rename(place.path("tags.tsv"), place.path("moved.tsv")).expect("moved");
    place.run("train --resume run").fails(4, &["tags.tsv"]);
    place.run("train --resume run moved.tsv").succeeds();
}

#[test]
fn minutes_and_patience_end_a_run_on_examples() {
    let place = Place::new();
    let ended = place.run("train --task map --hidden 8 --minutes 0.02 --schedule constant --json --out m").succeeds();
    let (start, done) = (&ended.events("start")[0], &ended.events("done")[0]);
    let (planned, made) = (start["steps"].as_u64().expect("counted out"), done["steps"].as_u64().expect("made"));
    assert!(made > 0 && made <= planned, "{made} of {planned}");
    let line = format!("train --task map --hidden 8 --steps {made} --schedule constant --json --out again");
    assert_eq!(place.run(&line).succeeds().sha256(), ended.sha256());

    // Far too large a rate: no score is better than the first ones.
    let line =
        "train --task map --hidden 8 --lr 30 --clip-norm 0 --patience 2 --eval-every 3 --steps 600 --json --out p";
    let few = place.run(line).succeeds();
    let done = &few.events("done")[0];
    assert_eq!(done["ended"], "patience", "{done}");
    let (best, steps) = (done["best_step"].as_u64().expect("a step"), done["steps"].as_u64().expect("steps"));
    assert_eq!(steps, best + 2 * 3);
}
