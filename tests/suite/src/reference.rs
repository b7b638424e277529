//! A job answered by the oracle, in f64: outputs, losses and every gradient, by name.

use crate::job::Embedding;
use crate::{Job, Named};
use gatemill_oracle::embedding::{lookup, lookup_backward};
use gatemill_oracle::loss::{cross_entropy_backward, head_backward, head_forward, log_softmax};
use gatemill_oracle::stack::{StackOutputGrad, one_hot, stack_backward, stack_forward};
use gatemill_oracle::{Head, StackInput};

/// Outputs, states, losses and gradients of a job, in the order of [`crate::run`].
///
/// `output [T, B, H]`, `h_n c_n [L, B, H]`, `logits d_logits [T, B, V]`, `nats [T, B]`, `d_h0 d_c0 [L, B, H]`,
/// `d_x [T, B, I]`, and the gradient of each weight under PyTorch's name. A tied embedding adds its to `head.weight`.
pub fn reference(job: &Job) -> Vec<Named<f64>> {
    let (shape, symbols) = (job.stack(), job.shape.inputs);
    let x = match job.table() {
        Some(table) => lookup(table, &job.ids, symbols),
        None if job.symbols() => one_hot(&job.ids, symbols),
        None => job.x.clone(),
    };
    let input = StackInput {
        x,
        h0: job.h0.clone(),
        c0: job.c0.clone(),
        resets: Some(job.resets.clone()),
        dropout: job.dropout_multipliers(),
    };
    let trace = stack_forward(&shape, &job.params, &input);
    let lstm = shape.cell.has_c();
    let mut out = vec![("output".to_string(), trace.outputs().to_vec()), ("h_n".into(), trace.h_last.clone())];
    if lstm {
        out.push(("c_n".into(), trace.c_last.clone()));
    }
    let mut head_grad: Option<Head<f64>> = None;
    let d_y = match (&job.head, job.shape.vocab) {
        (Some(head), Some(vocab)) => {
            let multipliers = job.output_multipliers();
            let dropped = |x: &[f64]| match &multipliers {
                Some(multipliers) => x.iter().zip(multipliers).map(|(x, m)| x * m).collect(),
                None => x.to_vec(),
            };
            let read = dropped(trace.outputs());
            let logits = head_forward(head, &read);
            let d_logits = cross_entropy_backward(&logits, &job.targets, vocab);
            let nats = |(n, &target): (usize, &usize)| {
                if target < vocab { -log_softmax(&logits[n * vocab..(n + 1) * vocab])[target] } else { 0.0 }
            };
            let nats = job.targets.iter().enumerate().map(nats).collect();
            let back = head_backward(head, &read, &d_logits);
            out.extend([("logits".into(), logits), ("nats".into(), nats), ("d_logits".into(), d_logits)]);
            head_grad = Some(back.head);
            dropped(&back.d_h)
        }
        _ => job.d_y.clone(),
    };
    let d_c_last = lstm.then(|| job.d_c_last.clone());
    let output = StackOutputGrad { d_y, d_h_last: Some(job.d_h_last.clone()), d_c_last };
    let grads = stack_backward(&shape, &job.params, &input, &trace, &output);
    out.push(("d_h0".into(), grads.d_h0));
    if lstm {
        out.push(("d_c0".into(), grads.d_c0));
    }
    match job.embedding {
        Embedding::None if job.symbols() => {}
        Embedding::None => out.push(("d_x".into(), grads.d_x)),
        Embedding::Own(_) => {
            let d_table = lookup_backward(&grads.d_x, &job.ids, symbols, shape.inputs);
            out.push(("embedding.weight".into(), d_table));
        }
        Embedding::Tied => {
            let d_table = lookup_backward(&grads.d_x, &job.ids, symbols, shape.inputs);
            let d_weight = head_grad.iter_mut().flat_map(|head| &mut head.weight);
            d_weight.zip(d_table).for_each(|(d, e)| *d += e);
        }
    }
    out.extend(grads.params.tensors().into_iter().map(|(name, t)| (format!("rnn.{name}"), t.clone())));
    if let Some(head) = head_grad {
        out.extend([("head.weight".into(), head.weight), ("head.bias".into(), head.bias)]);
    }
    out
}
