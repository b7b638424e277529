//! Every flag of the old tools: what became of it.

use super::line::{self, Line};
use super::{Given, Task, Tool};

/// What became of a flag.
#[derive(Clone, Copy)]
pub(super) enum Now {
    /// The same value behind this flag.
    Flag(&'static str),
    /// Nothing, for this reason.
    Gone(&'static str),
    /// More than a name: changes the line, and says what became of it.
    Otherwise(fn(&mut Line, value: &str, all: &[Given]) -> String),
}

use Now::{Flag, Gone, Otherwise};

type Table = &'static [(&'static str, Now)];

const CPU: Now = Gone("Gatemill runs on the CPU, on all cores that help");
const EVERY_STEP: Now = Gone("every step is in RUN/events.jsonl, progress on stderr");
const NO_WANDB: Now = Gone("events are in RUN/events.jsonl, nothing is sent anywhere");
const AS_IT_IS: Now = Gone("text is read as it is, without a step before training");

const CHAR_RNN_TRAIN: Table = &[
    ("data_dir", Otherwise(line::data_dir)),
    ("rnn_size", Flag("--hidden")),
    ("num_layers", Flag("--layers")),
    ("model", Otherwise(line::cell)),
    ("learning_rate", Flag("--lr")),
    ("learning_rate_decay", Flag("--lr-decay")),
    ("learning_rate_decay_after", Otherwise(line::decay_after)),
    ("decay_rate", Flag("--decay-rate")),
    ("dropout", Flag("--dropout")),
    ("seq_length", Flag("--seq")),
    ("batch_size", Flag("--batch")),
    ("max_epochs", Flag("--epochs")),
    ("grad_clip", Otherwise(line::clip_of_a_sum)),
    ("train_frac", Otherwise(line::split)),
    ("val_frac", Otherwise(line::split)),
    ("init_from", Otherwise(line::init_from)),
    ("seed", Flag("--seed")),
    ("print_every", EVERY_STEP),
    ("eval_val_every", Otherwise(line::eval_and_save_every)),
    ("checkpoint_dir", Otherwise(line::checkpoint_dir)),
    ("savefile", Otherwise(line::checkpoint_dir)),
    ("accurate_gpu_timing", CPU),
    ("gpuid", CPU),
    ("opencl", CPU),
];

const CHAR_RNN_SAMPLE: Table = &[
    ("seed", Flag("--seed")),
    ("sample", Otherwise(line::greedy)),
    ("primetext", Flag("--prime")),
    ("length", Flag("--length")),
    ("temperature", Flag("--temperature")),
    ("gpuid", CPU),
    ("opencl", CPU),
    ("verbose", Gone("there is nothing more to say")),
];

/// train.lua, and scripts/preprocess.py with it.
const TORCH_RNN_TRAIN: Table = &[
    ("input_h5", Otherwise(line::input_h5)),
    ("input_json", AS_IT_IS),
    ("batch_size", Flag("--batch")),
    ("seq_length", Flag("--seq")),
    ("init_from", Otherwise(line::init_from)),
    ("reset_iterations", Gone("gatemill train --resume RUN goes on where the run left off")),
    ("reset_training_history", Gone("gatemill train --resume RUN goes on where the run left off")),
    ("reset_training_position", Gone("gatemill train --resume RUN goes on where the run left off")),
    ("model_type", Otherwise(line::cell)),
    ("wordvec_size", Flag("--embed")),
    ("rnn_size", Flag("--hidden")),
    ("num_layers", Flag("--layers")),
    ("dropout", Flag("--dropout")),
    ("batchnorm", Gone("there is no batch normalisation")),
    ("max_epochs", Flag("--epochs")),
    ("learning_rate", Flag("--lr")),
    ("grad_clip", Flag("--clip-value")),
    ("lr_decay_every", Flag("--lr-decay-every")),
    ("lr_decay_factor", Flag("--lr-decay")),
    ("print_every", EVERY_STEP),
    ("checkpoint_every", Otherwise(line::eval_and_save_every)),
    ("checkpoint_name", Flag("--out")),
    ("speed_benchmark", Gone("tokens per second are in every step of RUN/events.jsonl")),
    ("memory_benchmark", Gone("the memory that training takes is said before it starts")),
    ("gpu", CPU),
    ("gpu_backend", CPU),
    ("input_txt", Otherwise(line::input_txt)),
    ("output_h5", AS_IT_IS),
    ("output_json", AS_IT_IS),
    ("val_frac", Flag("--val-frac")),
    ("test_frac", Flag("--test-frac")),
    ("quiet", AS_IT_IS),
    ("encoding", Otherwise(line::encoding)),
];

const TORCH_RNN_SAMPLE: Table = &[
    ("checkpoint", Otherwise(line::checkpoint)),
    ("length", Otherwise(line::length_with_start)),
    ("start_text", Flag("--prime")),
    ("sample", Otherwise(line::greedy)),
    ("temperature", Flag("--temperature")),
    ("gpu", CPU),
    ("gpu_backend", CPU),
    ("verbose", Gone("there is nothing more to say")),
];

const NANOGPT_TRAIN: Table = &[
    ("out_dir", Otherwise(line::out_dir)),
    ("eval_interval", Flag("--eval-every")),
    ("log_interval", EVERY_STEP),
    ("eval_iters", Gone("an evaluation reads the validation text from its start; --eval-tokens N bounds it")),
    ("eval_only", Gone("gatemill eval RUN FILE scores a text")),
    ("always_save_checkpoint", Gone("--save-every N says when; the best model is kept beside them")),
    ("init_from", Otherwise(line::start_or_resume)),
    ("wandb_log", NO_WANDB),
    ("wandb_project", NO_WANDB),
    ("wandb_run_name", NO_WANDB),
    ("dataset", Otherwise(line::dataset)),
    ("gradient_accumulation_steps", Flag("--accumulate")),
    ("batch_size", Flag("--batch")),
    ("block_size", Flag("--seq")),
    ("n_layer", Flag("--layers")),
    ("n_head", Gone("a recurrent network has no attention heads")),
    ("n_embd", Flag("--hidden")),
    ("bias", Gone("recurrent layers always have biases")),
    ("learning_rate", Flag("--lr")),
    ("max_iters", Flag("--steps")),
    ("weight_decay", Flag("--weight-decay")),
    ("grad_clip", Flag("--clip-norm")),
    ("decay_lr", Otherwise(line::decay_or_constant)),
    ("warmup_iters", Flag("--warmup")),
    ("lr_decay_iters", Gone("the cosine ends with the run")),
    ("min_lr", Flag("--min-lr")),
    ("backend", Gone("the cores of one machine need none")),
    ("device", CPU),
    ("dtype", Gone("weights and sums are f32")),
    ("compile", Gone("there is nothing to compile")),
];

const NANOGPT_SAMPLE: Table = &[
    ("init_from", Gone("the model is the first word: a run folder or a .safetensors file")),
    ("out_dir", Otherwise(line::model_folder)),
    ("start", Otherwise(line::start)),
    ("num_samples", Gone("a command writes one text; another --seed, another text")),
    ("max_new_tokens", Flag("--length")),
    ("top_k", Flag("--top-k")),
    ("device", CPU),
    ("dtype", Gone("weights and sums are f32")),
    ("compile", Gone("there is nothing to compile")),
];

/// All flags that a tool has for a task.
pub(super) fn table(tool: Tool, task: Task) -> Table {
    match (tool, task) {
        (Tool::CharRnn, Task::Train) => CHAR_RNN_TRAIN,
        (Tool::CharRnn, Task::Sample) => CHAR_RNN_SAMPLE,
        (Tool::TorchRnn, Task::Train) => TORCH_RNN_TRAIN,
        (Tool::TorchRnn, Task::Sample) => TORCH_RNN_SAMPLE,
        (Tool::NanoGpt, Task::Train) => NANOGPT_TRAIN,
        (Tool::NanoGpt, Task::Sample) => NANOGPT_SAMPLE,
    }
}

/// What became of a tool's flag, if it has it.
pub(super) fn find(tool: Tool, task: Task, name: &str) -> Option<Now> {
    table(tool, task).iter().find(|(known, _)| *known == name).map(|(_, now)| *now)
}
