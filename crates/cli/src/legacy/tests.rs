use clap::Parser;

use super::*;

/// Words split at spaces, but for '...'.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn refusal(line: &str) -> Refusal {
    check("gatemill", words(line).into_iter().map(OsString::from)).expect(line)
}

fn typed(line: &str) -> String {
    refusal(line).failure.help.expect("help").strip_prefix("type: gatemill ").expect("a line").to_owned()
}

#[test]
fn char_rnns_lines() {
    assert_eq!(
        typed("train -data_dir data/tinyshakespeare -rnn_size 512 -num_layers 2 -dropout 0.5"),
        "train data/tinyshakespeare/input.txt --preset char-rnn --hidden 512 --layers 2 --dropout 0.5"
    );
    let all = refusal(
        "train.lua -data_dir d/ -rnn_size 8 -num_layers 3 -model rnn -learning_rate 1e-3 -learning_rate_decay 0.9 \
         -learning_rate_decay_after 0 -decay_rate 0.9 -dropout 0.1 -seq_length 20 -batch_size 4 -max_epochs 2 \
         -grad_clip 1 -train_frac 0.8 -val_frac 0.1 -init_from cv/a.t7 -seed 7 -print_every 10 -eval_val_every 100 \
         -checkpoint_dir cv -savefile net -accurate_gpu_timing 1 -gpuid -1 -opencl 0",
    );
    assert_eq!(
        all.failure.help.as_deref(),
        Some(
            "type: gatemill train d/input.txt --preset char-rnn --hidden 8 --layers 3 --cell rnn --lr 1e-3 --lr-decay 0.9 \
             --lr-decay-after 1 --decay-rate 0.9 --dropout 0.1 --seq 20 --batch 4 --epochs 2 --clip-value 0.05 \
             --val-frac 0.1 --test-frac 0.1 --seed 7 --eval-every 100 --save-every 100 --out cv/net"
        )
    );
    assert_eq!(all.notes.len(), tables::table(Tool::CharRnn, Task::Train).len(), "one note for each flag");
    let gone = |flag: &str| all.notes.iter().any(|note| note.starts_with(&format!("{flag} is left out: ")));
    assert!(["-gpuid", "-opencl", "-accurate_gpu_timing", "-init_from", "-print_every"].iter().all(|f| gone(f)));
    assert_eq!(all.failure.code, USAGE);

    assert_eq!(typed("train x.txt -rnn_size 9 --cell rnn"), "train x.txt --preset char-rnn --hidden 9 --cell rnn");
    assert_eq!(typed("train x.txt -train_frac 0.9"), "train x.txt --preset char-rnn --val-frac 0.05 --test-frac 0.05");
    assert_eq!(typed("train x.txt -train_frac 0.96"), "train x.txt --preset char-rnn --val-frac 0.04");
    assert_eq!(typed("train x.txt -grad_clip 5 -seq_length 10"), "train x.txt --preset char-rnn --seq 10");
    assert_eq!(typed("-rnn_size 9"), "train --preset char-rnn --hidden 9", "char-rnn has no commands");
    assert_eq!(typed("train --resume r -learning_rate 1e-4"), "train --lr 1e-4 --resume r");
    assert_eq!(typed("train --preset torch-rnn -rnn_size 9"), "train --hidden 9 --preset torch-rnn");
    assert_eq!(typed("train x --rnn_size 9"), "train x --preset char-rnn --hidden 9", "two dashes are one too many");
    assert_eq!(typed("train -data_dir 'a b'"), "train 'a b/input.txt' --preset char-rnn");
}

#[test]
fn char_rnns_gru_is_spelled_out() {
    let gru = refusal("train x.txt -model gru -seq_length 100 -rnn_size 9");
    assert_eq!(
        gru.failure.help.as_deref(),
        Some(
            "type: gatemill train x.txt --batch 50 --clip-value 0.05 --epochs 50 --eps 1e-10 --init uniform --init-scale 0.08 \
             --lr-decay 0.97 --lr-decay-after 10 --optimizer rmsprop --schedule exponential --seed 123 --eval-every 1000 \
             --save-every 1000 --cell gru --seq 100 --hidden 9"
        )
    );
    assert!(gru.notes.iter().any(|note| note.contains("reset gate")), "{:?}", gru.notes);
}

#[test]
fn torch_rnns_lines() {
    assert_eq!(
        typed(
            "train -input_h5 data/my.h5 -input_json data/my.json -model_type rnn -wordvec_size 8 -rnn_size 16 \
             -batchnorm 1 -grad_clip 3 -lr_decay_every 2 -lr_decay_factor 0.7 -checkpoint_every 50 -checkpoint_name cv/a \
             -gpu -1 -gpu_backend opencl -reset_iterations 0 -speed_benchmark 1"
        ),
        "train data/my.txt --preset torch-rnn --cell rnn --embed 8 --hidden 16 --clip-value 3 --lr-decay-every 2 \
         --lr-decay 0.7 --eval-every 50 --save-every 50 --out cv/a"
    );
    assert_eq!(typed("train x.txt -checkpoint_every 0 -gpu 0"), "train x.txt --preset torch-rnn");
    assert_eq!(
        typed("preprocess.py --input_txt my.txt --output_h5 my.h5 --val_frac 0.2 --encoding bytes"),
        "train my.txt --preset torch-rnn --val-frac 0.2 --vocab bytes"
    );
    assert_eq!(
        typed("sample -checkpoint cv/checkpoint_10000.t7 -length 50 -start_text Once -gpu 0"),
        "sample RUN --length 46 --prime Once --temperature 1"
    );
}

#[test]
fn nanogpts_lines() {
    assert_eq!(
        typed(
            "train.py config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 --block_size=64 \
             --batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 --max_iters=2000 --lr_decay_iters=2000 --dropout=0.0 \
             --dataset=shakespeare_char --decay_lr=False --weight_decay=0.2 --grad_clip=0.5 --out_dir=out"
        ),
        "train data/shakespeare_char/input.txt --preset nanogpt --seq 64 --batch 12 --layers 4 --hidden 128 --steps 2000 \
         --schedule constant --weight-decay 0.2 --clip-norm 0.5 --out out --dropout 0.0"
    );
    assert_eq!(typed("train x --n_layer 6 --compile"), "train x --preset nanogpt --layers 6");
    assert_eq!(typed("train --init_from=resume --out_dir=o --max_iters=9"), "train --resume o --steps 9");
    assert_eq!(typed("train x --init_from=scratch --n_head=2"), "train x --preset nanogpt");
    assert_eq!(
        typed("sample.py --out_dir=o --start=FILE:x.txt --num_samples=5 --max_new_tokens=100 --top_k=20"),
        "sample o --prime-file x.txt --length 100 --top-k 20"
    );
    assert_eq!(typed("sample r '--start=a b' --max_new_tokens=7"), "sample r --prime 'a b' --length 7");
}

#[test]
fn char_rnns_samples() {
    assert_eq!(
        typed("sample cv/lm_lstm_epoch1.00_1.5.t7 -primetext 'a b' -gpuid -1 -seed 3"),
        "sample RUN --prime 'a b' --seed 3 --length 2000 --temperature 1"
    );
    assert_eq!(typed("sample r -sample 0 -temperature 0.3 -length 9"), "sample r --greedy --length 9");
    assert_eq!(typed("sample r -sample 1 -temperature 0.3"), "sample r --temperature 0.3 --length 2000");
    assert_eq!(
        typed("sample r -primetext -x -length 9 -temperature 1"),
        "sample r --prime=-x --length 9 --temperature 1"
    );
    assert_eq!(typed("sample r -primetext"), "sample r --length 2000 --temperature 1");
}

#[test]
fn what_is_ours_is_left_alone() {
    for line in [
        "",
        "train",
        "train -",
        "train - --hidden 5",
        "train x.txt --lr -1",
        "train x.txt -h",
        "train x.txt -V",
        "--help",
        "-V",
        "eval r -length",
        "train x.txt --document-separator -rnn_size",
        "train x.txt --dropout 0.5 --weight-decay=1 --min-lr 0",
        "train x.txt --weight_decay 0.1 --min_lr=0",
        "train x.txt --val_frac 0.1",
        "train -- -rnn_size --n_layer=6",
        "train x.txt -5",
        "train x.txt -unknown 3",
        "train x.txt --hidn 3",
        "train config/x.py",
        "sample r --prime -length",
        "sample r --prime -x --temperature -1",
        "sample r --prime --start=x",
        "sample r --temperature=0.5 --seed=2",
        "trane -rnn_size 3",
    ] {
        assert!(check("gatemill", words(line).into_iter().map(OsString::from)).is_none(), "{line}");
    }
}

/// Every flag of every table alone: a line comes out that our own parser takes, or one with flags still to come.
#[test]
fn every_flag_is_answered_by_a_line_that_can_be_typed() {
    for (tool, task) in Tool::ALL.into_iter().flat_map(|tool| [(tool, Task::Train), (tool, Task::Sample)]) {
        let ours = flags_of(task);
        for (name, now) in tables::table(tool, task) {
            let value = match *name {
                "model" | "model_type" => "lstm",
                "train_frac" | "val_frac" | "test_frac" | "dropout" => "0.5",
                _ => "1",
            };
            let dashes = if tool == Tool::NanoGpt || ours.contains_key(&name.replace('_', "-")) { "--" } else { "-" };
            let given =
                [Given { typed: format!("{dashes}{name}"), name: (*name).to_owned(), value: Some(value.to_owned()) }];
            let line = Line::translated(tool, task, &given, Own::default());
            assert!(line.notes.iter().any(|note| note.starts_with(&format!("{dashes}{name} is "))), "{name}");
            let later = match now {
                Now::Flag(flag) => !ours.contains_key(flag.trim_start_matches("--")),
                _ => *name == "start" && !ours.contains_key("prime-file"),
            };
            let typed = line.typed("gatemill");
            let parsed = Cli::try_parse_from(words(&typed));
            assert!(later || parsed.is_ok(), "{typed}: {}", parsed.expect_err("not parsed"));
        }
    }
}

use tables::Now;
