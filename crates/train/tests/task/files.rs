//! Models as files: names and shapes are PyTorch's; one kind is not taken for another; what is amiss is said.

use crate::data::{best, config, crew, dates, recall};
use gatemill_corpus::Vocab;
use gatemill_train::checkpoint::{Snapshot, form};
use gatemill_train::task::{
    Alphabet, Attention, Bridge, Example, Input, PredictOptions, Symbols, TaskConfig, TaskKind, TaskModel, TaskTrainer,
};
use gatemill_train::{CellKind, CharModel, Config};

fn translate() -> TaskConfig {
    let config = config(TaskKind::Translate, CellKind::Lstm, 10, 2);
    let base = Config { embed: 6, ..config.base };
    TaskConfig {
        bidirectional: true,
        attention: Attention::General,
        bridge: Bridge::Linear,
        base,
        ..TaskConfig::new(TaskKind::Translate)
    }
}

#[test]
fn tensors_have_pytorchs_names_and_shapes() {
    let task = dates(20, 1);
    let trainer = task.trainer(&translate(), &crew(1), best());
    let (read, written) = (task.alphabet.input.len(), task.alphabet.output.len() + 1);
    let want = [
        ("encoder_embedding.weight", vec![read, 6]),
        ("encoder.weight_ih_l0", vec![40, 6]),
        ("encoder.weight_hh_l0", vec![40, 10]),
        ("encoder.bias_ih_l0", vec![40]),
        ("encoder.bias_hh_l0", vec![40]),
        ("encoder.weight_ih_l0_reverse", vec![40, 6]),
        ("encoder.weight_hh_l0_reverse", vec![40, 10]),
        ("encoder.bias_ih_l0_reverse", vec![40]),
        ("encoder.bias_hh_l0_reverse", vec![40]),
        ("bridge.weight", vec![20, 40]),
        ("bridge.bias", vec![20]),
        ("decoder_embedding.weight", vec![written, 6]),
        ("decoder.weight_ih_l0", vec![40, 6]),
        ("decoder.weight_hh_l0", vec![40, 10]),
        ("decoder.bias_ih_l0", vec![40]),
        ("decoder.bias_hh_l0", vec![40]),
        ("attention.weight", vec![10, 20]),
        ("combine.weight", vec![10, 30]),
        ("head.weight", vec![written, 10]),
        ("head.bias", vec![written]),
    ];
    let want: Vec<(String, Vec<usize>)> = want.into_iter().map(|(name, shape)| (name.into(), shape)).collect();
    assert_eq!(trainer.model().tensor_shapes(), want);
    let snapshot = trainer.model().snapshot().held();
    let names: Vec<&str> = snapshot.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, want.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
    let classify = recall(5, true, 1);
    let classify = classify.trainer(&config(TaskKind::Classify, CellKind::Gru, 7, 1), &crew(1), best());
    let names: Vec<String> = classify.model().tensor_shapes().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..2], ["rnn.weight_ih_l0", "rnn.weight_hh_l0"]);
    assert_eq!(names[4..], ["head.weight", "head.bias"]);
}

fn through_bytes(snapshot: &Snapshot) -> Snapshot {
    form::decode(&form::encode(snapshot).expect("a file")).expect("the same file").snapshot
}

#[test]
fn a_model_comes_back_from_its_file() {
    let (task, crew) = (dates(50, 2), crew(2));
    let mut trainer = task.trainer(&translate(), &crew, best());
    while !trainer.is_done() {
        trainer.step().expect("a step");
    }
    let read = through_bytes(&trainer.model().snapshot().held());
    let model = TaskModel::load(&read, &crew, &best()).expect("a model");
    assert_eq!(model.weights_sha256(), trainer.weights_sha256());
    assert_eq!((&model.config, &model.alphabet, model.longest), (&translate(), &task.alphabet, 10));
    let inputs: Vec<Input> = task.examples.iter().map(|e| e.input.clone()).collect();
    let options = PredictOptions::default();
    let said = |model: &TaskModel| model.predict(&inputs, &options, &crew, &best()).expect("predictions");
    assert_eq!(said(&model), said(trainer.model()));
    // A checkpoint is a model too, and a model is no checkpoint.
    let checkpoint = through_bytes(&trainer.snapshot().held());
    assert!(TaskModel::load(&checkpoint, &crew, &best()).is_ok());
    let resumed = TaskTrainer::resume(&translate(), &read, task.examples.clone(), crew.clone(), best());
    let what = resumed.expect_err("a model has no training state").to_string();
    assert!(what.ends_with("a model without training state cannot be resumed"), "{what}");
    let others = TaskTrainer::resume(&translate(), &checkpoint, task.examples[1..].to_vec(), crew.clone(), best());
    let what = others.expect_err("other examples").to_string();
    assert!(what.contains("it was learning from other examples"), "{what}");
    let wider = TaskConfig { base: Config { hidden: 11, ..translate().base }, ..translate() };
    let wider = TaskTrainer::resume(&wider, &checkpoint, task.examples.clone(), crew, best());
    assert!(wider.expect_err("another size").to_string().contains("other sizes"));
}

/// Loading one where the other is wanted is an error that says which it is and what to do.
#[test]
fn a_character_model_is_no_task_and_a_task_no_character_model() {
    let (crew, kernels) = (crew(1), best());
    let small = Config { hidden: 8, layers: 1, ..Config::default() };
    let chars = CharModel::new(&small, &Vocab::from_symbols(&[97, 98]).unwrap(), &crew, &kernels).unwrap();
    let what = TaskModel::load(&through_bytes(&chars.snapshot().held()), &crew, &kernels).expect_err("no task");
    assert!(what.to_string().contains("it is a character model, not one of a task: use `gatemill sample`"), "{what}");
    let task = recall(5, true, 1);
    let trainer = task.trainer(&config(TaskKind::Classify, CellKind::Rnn, 8, 1), &crew, kernels);
    let what =
        CharModel::load(&through_bytes(&trainer.model().snapshot().held()), &crew, &kernels).expect_err("a task");
    assert!(
        what.to_string().contains("of the kind `classify`, not a character model: use `gatemill predict`"),
        "{what}"
    );
    let bare = Snapshot { meta: None, ..trainer.model().snapshot().held() };
    let what = TaskModel::load(&bare, &crew, &kernels).expect_err("no record");
    assert!(what.to_string().contains("it has no `gatemill` record"), "{what}");
}

/// Every tensor that is missing, extra or of another shape is named.
#[test]
fn what_is_amiss_with_a_file_is_said() {
    let (task, crew, kernels) = (recall(5, true, 1), crew(1), best());
    let trainer = task.trainer(&config(TaskKind::Classify, CellKind::Rnn, 8, 1), &crew, kernels);
    let mut snapshot = trainer.model().snapshot().held();
    snapshot.tensors[1].name = "rnn.weight_hh_l7".into();
    snapshot.tensors[0].shape.reverse();
    let what = TaskModel::load(&snapshot, &crew, &kernels).expect_err("three faults").to_string();
    for part in ["`rnn.weight_ih_l0` is [8, 8]", "`rnn.weight_hh_l0` is missing", "`rnn.weight_hh_l7` is not part"] {
        assert!(what.contains(part) || part.contains("[8, 8]"), "{what}");
    }
    let mut meta = snapshot.meta.take().expect("a record");
    meta.remove("alphabet");
    snapshot.meta = Some(meta);
    let what = TaskModel::load(&snapshot, &crew, &kernels).expect_err("no alphabet").to_string();
    assert!(what.contains("its record lacks `alphabet`"), "{what}");
}

/// Nothing that a caller can bring ends in a panic.
#[test]
fn examples_alphabets_and_configurations_that_cannot_be_are_refused() {
    let crew = crew(1);
    let refused = |config: &TaskConfig, alphabet: &Alphabet, examples: Vec<Example>| {
        let made = TaskTrainer::new(config, alphabet, examples, crew.clone(), best());
        made.err().map(|e| e.to_string()).unwrap_or_else(|| panic!("{config:?} was taken"))
    };
    let task = recall(3, true, 1);
    let plain = config(TaskKind::Classify, CellKind::Rnn, 8, 1);
    let one = |input, output| vec![Example { input, output }];
    let symbols = |n: usize| Input::Symbols(vec![0; n]);
    for (kind, input, output, want) in [
        (TaskKind::Classify, symbols(0), vec![0], "example 1: its input is empty"),
        (TaskKind::Classify, symbols(2), vec![0, 1], "example 1: its output is 2 classes, not one"),
        (TaskKind::Tag, symbols(2), vec![0], "example 1: it has 1 tags for 2 symbols"),
        (TaskKind::Translate, Input::Dense(vec![1.0]), vec![0], "example 1: translate reads symbols, not numbers"),
        (TaskKind::Map, symbols(2), vec![0], "example 1: map reads numbers, not symbols"),
        (TaskKind::Map, Input::Dense(vec![1.0]), vec![0], "example 1: its input has 1 numbers, not 8"),
        (TaskKind::Describe, Input::Dense(vec![f32::NAN; 8]), vec![0], "a number of its input is not finite"),
    ] {
        let what = refused(&TaskConfig { kind, ..plain.clone() }, &task.alphabet, one(input, output));
        assert!(what.contains(want), "{what}");
    }
    let twice = Alphabet { input: Symbols::Names(vec!["a".into(), "a".into()]), ..task.alphabet.clone() };
    assert_eq!(refused(&plain, &twice, Vec::new()), "the input alphabet has \"a\" twice, at 0 and 1");
    let none = Alphabet { output: Symbols::Numbers(0), ..task.alphabet.clone() };
    assert_eq!(refused(&plain, &none, Vec::new()), "the output alphabet is empty");
    let with = |change: &dyn Fn(&mut TaskConfig)| {
        let mut config = plain.clone();
        change(&mut config);
        refused(&config, &task.alphabet, Vec::new())
    };
    assert!(with(&|c| c.attention = Attention::Dot).starts_with("--attention dot: is for translate alone"));
    assert!(with(&|c| (c.kind, c.bidirectional) = (TaskKind::Map, true)).starts_with("--bidirectional true: is for"));
    assert!(with(&|c| c.base.accumulate = 2).starts_with("--accumulate 2: must be 1"));
    assert!(with(&|c| c.base.hidden = 1 << 30).starts_with("--hidden 1073741824: must be"));
    assert!(with(&|c| (c.base.hidden, c.base.layers) = (1 << 24, 1000)).starts_with("--hidden 16777216: makes more"));
    // A trainer without examples learns from the caller's alone.
    let mut trainer = TaskTrainer::new(&plain, &task.alphabet, Vec::new(), crew.clone(), best()).unwrap();
    assert_eq!(trainer.step().expect_err("nothing").to_string(), "there are no examples to learn from");
    assert_eq!(trainer.learn(&task.examples).unwrap().targets, 3);
    assert!(trainer.learn(&[]).is_err());
}

/// Characters, names and numbers as text and back.
#[test]
fn alphabets_encode_and_decode() {
    let chars = Symbols::of_texts(["hello", "é!"]);
    assert_eq!(chars.decode(&chars.encode("hole!é")), "hole!é");
    assert_eq!((chars.encode("z"), chars.name(99)), (vec![chars.len() as u32], "\u{fffd}".into()));
    let names = Symbols::of_names(["noun", "verb", "noun"]);
    assert_eq!((names.len(), names.encode("verb"), names.number("adverb")), (2, vec![1], None));
    assert_eq!(names.decode(&[1, 0]), "verb noun");
    for side in [chars, names, Symbols::Numbers(4)] {
        let json = serde_json::to_string(&side).unwrap();
        assert_eq!(serde_json::from_str::<Symbols>(&json).unwrap(), side, "{json}");
    }
}
