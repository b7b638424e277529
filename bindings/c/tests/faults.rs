//! Whatever a caller hands over comes back as a status and a message: NULL, lengths, alignment, sizes of structs, handles
//! that were freed or are of another kind, arrays that share memory, objects that are in use.
#![allow(unsafe_code, reason = "the library is called as C calls it")]

use gatemill_c::*;
use std::ffi::{CStr, c_char};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

const I: usize = 3;
const H: usize = 5;

fn message() -> String {
    // SAFETY: a text of the library's that ends with a zero byte, copied before the next call.
    unsafe { CStr::from_ptr(gatemill_last_error()) }.to_str().expect("UTF-8").to_owned()
}

/// Calls what is unsafe because it is C's, and holds the status.
macro_rules! call {
    ($f:ident($($arg:expr),* $(,)?), $want:ident $(, $words:expr)?) => {{
        // SAFETY: every pointer here is NULL or of an array or struct that is there; a test's own lies are about NULL,
        // lengths of nothing, and alignment, which the library looks at first.
        #[allow(unused_unsafe, reason = "some entries take no pointer")]
        let status = unsafe { $f($($arg),*) };
        assert_eq!(status, GatemillStatus::$want, "{}: {}", stringify!($f), message());
        $(assert!(message().contains($words), "{}: {}", stringify!($f), message());)?
    }};
}

fn options() -> GatemillRecurrentOptions {
    let plain = GatemillActivation::default();
    GatemillRecurrentOptions {
        size: size_of::<GatemillRecurrentOptions>(),
        cell: GATEMILL_CELL_LSTM,
        direction: GATEMILL_DIRECTION_FORWARD,
        inputs: I,
        hidden: H,
        layers: 0,
        projection: 0,
        dropout: 0.0,
        seed: 1,
        forms: 0,
        clip: 0.0,
        cell_clip: 0.0,
        gates: plain,
        candidate: plain,
        output: plain,
    }
}

fn stack() -> GatemillRecurrent {
    let mut made = GatemillRecurrent { id: 0 };
    call!(gatemill_recurrent_new(&options(), &mut made), Ok);
    made
}

fn crew() -> GatemillCrew {
    let mut made = GatemillCrew { id: 0 };
    call!(gatemill_crew_new(1, &mut made), Ok);
    made
}

fn tape(of: GatemillRecurrent, training: u32) -> GatemillTape {
    let mut made = GatemillTape { id: 0 };
    call!(gatemill_tape_new(of, training, &mut made), Ok);
    made
}

/// Four steps of two lanes.
fn pass(x: &[f32], y: &mut [f32]) -> GatemillForward {
    GatemillForward {
        size: size_of::<GatemillForward>(),
        batch: GatemillBatch { steps: 4, lanes: 2, batch_sizes: null() },
        x: GatemillRows { data: x.as_ptr(), len: x.len(), step_stride: 0, lane_stride: 0 },
        initial: GatemillState { h: null(), h_len: 0, c: null(), c_len: 0 },
        y: GatemillRowsMut { data: y.as_mut_ptr(), len: y.len(), step_stride: 0, lane_stride: 0 },
    }
}

#[test]
fn fault_a01_null_and_lengths_are_looked_at() {
    let (stack, crew) = (stack(), crew());
    let tape = tape(stack, 0);
    call!(gatemill_crew_new(1, null_mut()), Usage, "`crew` is NULL");
    call!(gatemill_crew_new(100_000, &mut GatemillCrew { id: 0 }), Usage, "at most 1024");
    call!(gatemill_crew_threads(crew, null_mut()), Usage, "`threads` is NULL");
    call!(gatemill_recurrent_new(null(), &mut GatemillRecurrent { id: 0 }), Usage, "GatemillRecurrentOptions` is NULL");
    call!(gatemill_recurrent_new(&options(), null_mut()), Usage, "`recurrent` is NULL");
    call!(gatemill_recurrent_form(stack, 1, null_mut()), Usage, "NULL");
    call!(gatemill_recurrent_form(stack, usize::MAX, &mut form()), Resources);
    call!(gatemill_recurrent_get(stack, null(), null_mut(), 0), Usage, "`name` is NULL");
    call!(gatemill_recurrent_get(stack, c"bias_ih_l0".as_ptr(), null_mut(), 4 * H), Usage, "`data` is NULL");
    call!(gatemill_recurrent_get(stack, c"bias_ih_l0".as_ptr(), null_mut(), 0), Usage, "20");
    call!(gatemill_recurrent_set(stack, c"bias_ih_l0".as_ptr(), [0.0; 3].as_ptr(), 3), Usage, "[20]");
    call!(gatemill_recurrent_set(stack, c"bias".as_ptr(), null(), 0), Usage, "weight_ih_l0");
    call!(gatemill_recurrent_set(stack, c"\xff".as_ptr(), null(), 0), Usage, "UTF-8");
    call!(gatemill_forward(stack, crew, tape, null()), Usage, "GatemillForward` is NULL");

    let (x, mut y) = (vec![0.25; 8 * I], vec![0.0; 8 * H]);
    call!(gatemill_forward(stack, crew, tape, &pass(&x, &mut y)), Ok);
    let with = |change: fn(&mut GatemillForward)| {
        let mut pass = pass(&x, &mut [0.0; 8 * H]);
        let mut own = vec![0.0; 8 * H];
        (pass.y.data, pass.y.len) = (own.as_mut_ptr(), own.len());
        change(&mut pass);
        // SAFETY: as in `call`.
        let status = unsafe { gatemill_forward(stack, crew, tape, &pass) };
        assert_eq!(status, GatemillStatus::Usage, "{pass:?}");
        message()
    };
    assert!(with(|pass| pass.x.data = null()).contains("`x` is NULL"));
    assert!(with(|pass| pass.x.len -= 1).contains("`x`"));
    let said = with(|pass| pass.x.len = usize::MAX);
    assert!(said.contains("more than memory"), "{said}");
    assert!(with(|pass| pass.x.data = pass.x.data.wrapping_byte_add(1)).contains("aligned"));
    assert!(with(|pass| pass.y.data = null_mut()).contains("`y` is NULL"));
    assert!(with(|pass| pass.y.len -= 1).contains("`y`"));
    assert!(with(|pass| pass.y.lane_stride = H - 1).contains("lie over each other"));
    assert!(with(|pass| pass.x.step_stride = usize::MAX).contains("`x`"));
    assert!(with(|pass| pass.batch.steps = 0).contains("0 steps"));
    assert!(with(|pass| pass.batch.batch_sizes = [3, 4, 1, 1].as_ptr()).contains("falling length"));
    assert!(with(|pass| pass.batch.batch_sizes = null::<usize>().wrapping_byte_add(3)).contains("aligned"));
    assert!(with(|pass| pass.initial.h = pass.x.data).contains("`initial`"));

    let (mut h, mut c) = (vec![0.0; 2 * H], vec![0.0; 2 * H]);
    let state = GatemillStateMut { h: h.as_mut_ptr(), h_len: 2 * H, c: c.as_mut_ptr(), c_len: 2 * H };
    call!(gatemill_tape_final_state(tape, state), Ok);
    call!(gatemill_tape_final_state(tape, GatemillStateMut { c: null_mut(), ..state }), Usage, "cell state");
    call!(gatemill_tape_final_state(tape, GatemillStateMut { h_len: 3, ..state }), Usage, "h is [layers");
    call!(gatemill_tape_final_state(tape, GatemillStateMut { c: state.h, ..state }), Usage, "shares memory");
    call!(gatemill_tape_initial_grad(tape, state), Usage, "backward");
    let mut y = [0.0; 2 * H];
    call!(gatemill_step(stack, tape, x.as_ptr(), 2 * I, state, y.as_mut_ptr(), 2 * H), Ok);
    call!(gatemill_step(stack, tape, x.as_ptr(), 2 * I, state, null_mut(), 2 * H), Usage, "`y` is NULL");
    call!(gatemill_step(stack, tape, null(), 0, state, y.as_mut_ptr(), 2 * H), Usage, "`x`");
    call!(gatemill_step(stack, tape, x.as_ptr(), 2 * I, state, state.h, 2 * H), Usage, "shares memory");
}

fn form() -> GatemillForm {
    GatemillForm { size: size_of::<GatemillForm>(), inputs: 0, outputs: 0, layers: 0, h_len: 0, c_len: 0, tensors: 0 }
}

#[test]
fn fault_a02_handles_that_were_freed_or_never_were_are_refused() {
    let (stack, crew) = (stack(), crew());
    let tape = tape(stack, 1);
    call!(gatemill_recurrent_free(GatemillRecurrent { id: tape.id }), BadHandle, "of a tape, not of a recurrent");
    call!(
        gatemill_recurrent_copy(GatemillRecurrent { id: crew.id }, &mut GatemillRecurrent { id: 0 }),
        BadHandle,
        "crew"
    );
    for id in [0, 1, u64::MAX, stack.id ^ 1 << 40, stack.id + (1 << 32)] {
        call!(gatemill_recurrent_form(GatemillRecurrent { id }, 1, &mut form()), BadHandle, "freed, or is none");
    }
    call!(gatemill_recurrent_free(GatemillRecurrent { id: 0 }), Ok);
    call!(gatemill_tape_free(tape), Ok);
    call!(gatemill_tape_free(tape), BadHandle, "freed");
    call!(gatemill_tape_set_position(tape, 3), BadHandle, "freed");
    // Its place is given out again, under another number.
    let next = self::tape(stack, 1);
    assert_ne!(next.id, tape.id);
    call!(gatemill_tape_set_position(tape, 3), BadHandle, "freed");
    call!(gatemill_tape_set_position(next, 3), Ok);
    let (x, mut y) = (vec![0.25; 8 * I], vec![0.0; 8 * H]);
    call!(gatemill_crew_free(crew), Ok);
    call!(gatemill_forward(stack, crew, next, &pass(&x, &mut y)), BadHandle, "freed");
}

#[test]
fn fault_a04_an_object_in_use_is_busy() {
    // A stack so large that one thread packs it while the other looks.
    let mut big = GatemillRecurrent { id: 0 };
    call!(gatemill_recurrent_new(&GatemillRecurrentOptions { hidden: 700, ..options() }, &mut big), Ok);
    let tape = tape(big, 0);
    let (running, crew) = (AtomicBool::new(true), crew());
    // Whether it was in use by another thread. Each of the two may find it in the other's hands.
    let was_busy = |status| {
        assert!(status == GatemillStatus::Ok || status == GatemillStatus::Busy, "{status:?}: {}", message());
        let is_busy = status == GatemillStatus::Busy;
        assert!(!is_busy || message().contains("in use by another thread"), "{}", message());
        is_busy
    };
    std::thread::scope(|scope| {
        let passes = scope.spawn(|| {
            let (x, mut y) = (vec![0.25; 8 * I], vec![0.0; 8 * 700]);
            while running.load(Ordering::Relaxed) {
                // SAFETY: arrays of these lengths, which are there.
                was_busy(unsafe { gatemill_forward(big, crew, tape, &pass(&x, &mut y)) });
            }
        });
        let mut seen = [false; 2];
        while seen != [true; 2] && !passes.is_finished() {
            // Between two passes it is free; within one it is not.
            seen[usize::from(was_busy(gatemill_tape_set_position(tape, 0)))] = true;
            std::thread::yield_now();
        }
        running.store(false, Ordering::Relaxed);
        assert_eq!(seen, [true; 2], "the passes ended before both were seen");
    });
}

#[test]
fn fault_a05_structs_of_older_and_newer_headers_are_told_apart() {
    let mut made = GatemillRecurrent { id: 0 };
    for size in [0, 8, size_of::<GatemillRecurrentOptions>() - 1, 1 << 13, usize::MAX] {
        call!(gatemill_recurrent_new(&GatemillRecurrentOptions { size, ..options() }, &mut made), Usage, "`size`");
    }
    #[repr(C)]
    struct Newer {
        known: GatemillRecurrentOptions,
        more: [u64; 2],
    }
    let known = GatemillRecurrentOptions { size: size_of::<Newer>(), ..options() };
    let mut newer = Newer { known, more: [0; 2] };
    call!(gatemill_recurrent_new((&raw const newer).cast(), &mut made), Ok);
    newer.more[1] = 1;
    call!(gatemill_recurrent_new((&raw const newer).cast(), &mut made), Usage, "newer header");
    // A newer struct that takes results keeps what this library does not know.
    #[repr(C)]
    struct NewerForm {
        known: GatemillForm,
        more: u64,
    }
    let mut newer = NewerForm { known: GatemillForm { size: size_of::<NewerForm>(), ..form() }, more: 77 };
    call!(gatemill_recurrent_form(made, 2, (&raw mut newer).cast()), Ok);
    assert_eq!((newer.known.inputs, newer.known.h_len, newer.known.tensors, newer.more), (I, 2 * H, 4, 77));
    assert_eq!(newer.known.size, size_of::<NewerForm>());
}

#[test]
fn options_that_stand_for_nothing_or_cannot_be_are_named() {
    let mut made = GatemillRecurrent { id: 0 };
    let function = GatemillActivation { function: 99, ..GatemillActivation::default() };
    let leaky = GatemillActivation { function: GATEMILL_ACTIVATION_LEAKY_RELU, alpha: -1.0, beta: 0.0 };
    let good = options();
    for (words, options) in [
        ("`cell` is 0", GatemillRecurrentOptions { cell: 0, ..good }),
        ("`direction` is 9", GatemillRecurrentOptions { direction: 9, ..good }),
        ("`forms` is 64", GatemillRecurrentOptions { forms: 64, ..good }),
        ("`gates.function` is 99", GatemillRecurrentOptions { gates: function, ..good }),
        ("`alpha`", GatemillRecurrentOptions { candidate: leaky, ..good }),
        ("`reset_before`", GatemillRecurrentOptions { forms: GATEMILL_RESET_BEFORE, ..good }),
        ("`clip`", GatemillRecurrentOptions { clip: f32::NAN, ..good }),
        ("`hidden`", GatemillRecurrentOptions { hidden: 0, ..good }),
        ("`hidden`", GatemillRecurrentOptions { hidden: 1 << 27, inputs: 1 << 27, ..good }),
        ("`inputs`", GatemillRecurrentOptions { inputs: usize::MAX, ..good }),
        ("`layers`", GatemillRecurrentOptions { layers: usize::MAX, ..good }),
        ("`dropout`", GatemillRecurrentOptions { dropout: -0.5, ..good }),
    ] {
        call!(gatemill_recurrent_new(&options, &mut made), Usage, words);
    }
}

#[test]
fn backward_without_a_forward_and_with_other_weights_is_refused() {
    let (stack, crew) = (stack(), crew());
    let (tape, mut gradients) = (tape(stack, 1), GatemillGradients { id: 0 });
    call!(gatemill_gradients_new(stack, &mut gradients), Ok);
    let (x, mut y, d_y, mut d_x) = (vec![0.25; 8 * I], vec![0.0; 8 * H], vec![1.0; 8 * H], vec![0.0; 8 * I]);
    let back = GatemillBackward {
        size: size_of::<GatemillBackward>(),
        d_y: GatemillRows { data: d_y.as_ptr(), len: 8 * H, step_stride: 0, lane_stride: 0 },
        d_last: GatemillState { h: null(), h_len: 0, c: null(), c_len: 0 },
        d_x: GatemillRowsMut { data: d_x.as_mut_ptr(), len: 8 * I, step_stride: 0, lane_stride: 0 },
    };
    let mut bias = vec![0.0; 4 * H];
    let name = c"bias_ih_l0".as_ptr();
    call!(gatemill_gradients_get(gradients, name, bias.as_mut_ptr(), 4 * H), Usage, "backward");
    call!(gatemill_backward(stack, crew, tape, gradients, &back), Usage, "forward");
    call!(gatemill_forward(stack, crew, tape, &pass(&x, &mut y)), Ok);
    let shared = GatemillRowsMut { data: d_y.as_ptr().cast_mut(), ..back.d_x };
    call!(gatemill_backward(stack, crew, tape, gradients, &GatemillBackward { d_x: shared, ..back }), Usage, "shares");
    call!(gatemill_backward(stack, crew, tape, gradients, &back), Ok);
    call!(gatemill_gradients_get(gradients, name, bias.as_mut_ptr(), 4 * H), Ok);
    assert!(bias.iter().any(|&x| x != 0.0) && d_x.iter().any(|&x| x != 0.0));
    call!(gatemill_backward(stack, crew, tape, gradients, &back), Usage, "forward");
    call!(gatemill_forward(stack, crew, tape, &pass(&x, &mut y)), Ok);
    call!(gatemill_recurrent_set(stack, name, bias.as_ptr(), 4 * H), Ok);
    call!(gatemill_backward(stack, crew, tape, gradients, &back), Usage, "weights changed");
    // Without a place for the weights' gradients the others are written alone.
    call!(gatemill_forward(stack, crew, tape, &pass(&x, &mut y)), Ok);
    d_x.fill(0.0);
    call!(gatemill_backward(stack, crew, tape, GatemillGradients { id: 0 }, &back), Ok);
    assert!(d_x.iter().any(|&x| x != 0.0));
    // A copy has the weights that it was made with.
    let mut copy = GatemillRecurrent { id: 0 };
    call!(gatemill_recurrent_copy(stack, &mut copy), Ok);
    call!(gatemill_recurrent_set(stack, name, [0.5; 4 * H].as_ptr(), 4 * H), Ok);
    let mut kept = vec![0.0; 4 * H];
    call!(gatemill_recurrent_get(copy, name, kept.as_mut_ptr(), 4 * H), Ok);
    assert_eq!(kept, bias);
}

#[test]
fn tensors_that_are_set_or_read_together_are_all_looked_at_first() {
    let (stack, crew) = (stack(), crew());
    let (tape, mut gradients) = (tape(stack, 1), GatemillGradients { id: 0 });
    call!(gatemill_gradients_new(stack, &mut gradients), Ok);
    let (ih, hh) = (c"bias_ih_l0".as_ptr(), c"bias_hh_l0".as_ptr());
    let read = || {
        let mut bias = vec![0.0; 4 * H];
        call!(gatemill_recurrent_get(stack, ih, bias.as_mut_ptr(), 4 * H), Ok);
        bias
    };
    let (before, ones, twos) = (read(), vec![1.0; 4 * H], vec![2.0; 4 * H]);
    let tensor = |name, data: &Vec<f32>, len| GatemillTensor { name, data: data.as_ptr(), len };
    let wrong = [tensor(ih, &ones, 4 * H), tensor(hh, &twos, 3)];
    call!(gatemill_recurrent_set_all(stack, crew, wrong.as_ptr(), 2), Usage, "[20]");
    call!(gatemill_recurrent_set_all(stack, crew, null(), 2), Usage, "tensors");
    call!(gatemill_recurrent_set_all(stack, GatemillCrew { id: 0 }, wrong.as_ptr(), 1), BadHandle, "");
    assert_eq!(read(), before);
    let both = [wrong[0], tensor(hh, &twos, 4 * H)];
    call!(gatemill_recurrent_set_all(stack, crew, both.as_ptr(), 2), Ok);
    assert_eq!(read(), ones);

    let (mut a, mut b) = (vec![0.0; 4 * H], vec![0.0; 4 * H]);
    let place = |name, data: &mut Vec<f32>| GatemillTensorMut { name, data: data.as_mut_ptr(), len: 4 * H };
    let places = [place(ih, &mut a), place(hh, &mut b)];
    call!(gatemill_gradients_get_all(gradients, crew, places.as_ptr(), 2), Usage, "backward");
    let (x, mut y, d_y) = (vec![0.25; 8 * I], vec![0.0; 8 * H], vec![1.0; 8 * H]);
    call!(gatemill_forward(stack, crew, tape, &pass(&x, &mut y)), Ok);
    let back = GatemillBackward {
        size: size_of::<GatemillBackward>(),
        d_y: GatemillRows { data: d_y.as_ptr(), len: 8 * H, step_stride: 0, lane_stride: 0 },
        d_last: GatemillState { h: null(), h_len: 0, c: null(), c_len: 0 },
        d_x: GatemillRowsMut { data: null_mut(), len: 0, step_stride: 0, lane_stride: 0 },
    };
    call!(gatemill_backward(stack, crew, tape, gradients, &back), Ok);
    let one = [places[0], places[0]];
    call!(gatemill_gradients_get_all(gradients, crew, one.as_ptr(), 2), Usage, "shares");
    call!(gatemill_gradients_get_all(gradients, crew, places.as_ptr(), 2), Ok);
    // Both biases of an LSTM enter the same sums.
    assert!(a == b && a.iter().any(|&x| x != 0.0));
}

fn model() -> GatemillCharLm {
    let options = GatemillCharLmOptions {
        size: size_of::<GatemillCharLmOptions>(),
        cell: 0,
        bytes: 0,
        layers: 1,
        hidden: 16,
        batch: 1,
        seq: 4,
        lr: 0.0,
        dropout: 0.0,
        clip_norm: 0.0,
        seed: 0,
    };
    let (text, mut made) = ("abcé", GatemillCharLm { id: 0 });
    call!(gatemill_char_lm_new(&options, text.as_ptr().cast(), text.len(), crew(), &mut made), Ok);
    made
}

fn how() -> GatemillTextOptions {
    GatemillTextOptions {
        size: size_of::<GatemillTextOptions>(),
        prime: null(),
        prime_len: 0,
        length: 0,
        temperature: 1.0,
        top_k: 0,
        top_p: 0.0,
        min_p: 0.0,
        repetition_penalty: 0.0,
        repetition_window: 0,
        seed: 1,
        sample: 0,
    }
}

/// What a text writes next, `n` symbols.
fn next(text: GatemillText, n: usize) -> String {
    let (mut buffer, mut written) = (vec![0_u8; 4 * n], 0);
    call!(gatemill_text_next(text, n, buffer.as_mut_ptr().cast(), 4 * n, &mut written), Ok);
    buffer.truncate(written);
    String::from_utf8(buffer).expect("whole characters")
}

#[test]
fn a_model_learns_tells_logits_and_is_busy_while_a_text_is_written() {
    let model = model();
    let ids = [0_u32, 1, 2, 3, 0];
    let mut report =
        GatemillTrainReport { size: size_of::<GatemillTrainReport>(), step: 0, nats: 0.0, grad_norm: 0.0, counted: 0 };
    call!(gatemill_char_lm_train_step(model, ids.as_ptr(), ids[1..].as_ptr(), 4, &mut report), Ok);
    assert!(
        report.step == 1 && report.counted == 4 && (report.nats - 2.0 * std::f64::consts::LN_2).abs() < 0.3,
        "{report:?}"
    );
    call!(gatemill_char_lm_train_step(model, ids.as_ptr(), ids[1..].as_ptr(), 4, null_mut()), Ok);
    call!(gatemill_char_lm_train_step(model, ids.as_ptr(), ids.as_ptr(), 3, null_mut()), Usage, "4 steps of 1 lanes");
    call!(gatemill_char_lm_set_lr(model, f64::NAN), Usage, "`lr`");
    let (mut h, mut c, mut logits) = (vec![0.0; 16], vec![0.0; 16], vec![0.0; 4 * 5]);
    let state = GatemillStateMut { h: h.as_mut_ptr(), h_len: 16, c: c.as_mut_ptr(), c_len: 16 };
    call!(gatemill_char_lm_logits(model, ids.as_ptr(), 5, state, logits.as_mut_ptr(), 20), Ok);
    assert!(logits.iter().any(|&x| x != 0.0) && h.iter().any(|&x| x != 0.0));
    call!(gatemill_char_lm_logits(model, ids.as_ptr(), 5, state, logits.as_mut_ptr(), 19), Usage, "4 logits");
    call!(gatemill_char_lm_logits(model, ids.as_ptr(), 4, state, state.h, 16), Usage, "shares memory");

    let mut text = GatemillText { id: 0 };
    call!(gatemill_text_new(model, &how(), &mut text), Ok);
    call!(gatemill_char_lm_train_step(model, ids.as_ptr(), ids[1..].as_ptr(), 4, null_mut()), Busy, "by a text");
    let first = next(text, 20);
    assert_eq!(first.chars().count(), 20);
    call!(gatemill_text_next(text, 1, [0 as c_char; 3].as_mut_ptr(), 3, &mut 0), Usage, "4 bytes");
    // A fork goes on as the text does; with another seed, otherwise. The model may be freed meanwhile.
    let (mut same, mut other) = (GatemillText { id: 0 }, GatemillText { id: 0 });
    call!(gatemill_text_fork(text, &how(), &mut same), Ok);
    call!(gatemill_text_fork(text, &GatemillTextOptions { seed: 2, ..how() }, &mut other), Ok);
    call!(gatemill_char_lm_free(model), Ok);
    let rest = next(text, 40);
    assert_eq!(next(same, 40), rest);
    assert_ne!(next(other, 40), rest);
    call!(gatemill_text_free(text), Ok);
    call!(gatemill_text_next(text, 1, [0 as c_char; 4].as_mut_ptr(), 4, &mut 0), BadHandle, "freed");
}

#[test]
fn a_text_goes_on_from_its_file_and_ends_where_it_should() {
    let (model, folder) = (model(), tempfile::tempdir().expect("a folder"));
    let path = format!("{}\0", folder.path().join("text.safetensors").display());
    let path: *const c_char = path.as_ptr().cast();
    let prime = "éa";
    let primed = GatemillTextOptions { prime: prime.as_ptr().cast(), prime_len: prime.len(), length: 30, ..how() };
    let (mut text, mut again) = (GatemillText { id: 0 }, GatemillText { id: 0 });
    call!(gatemill_text_new(model, &primed, &mut text), Ok);
    next(text, 10);
    call!(gatemill_text_save(text, path), Ok);
    call!(gatemill_text_resume(model, &how(), path, &mut again), Ok);
    let rest = next(text, 100);
    assert_eq!(rest.chars().count(), 20);
    assert_eq!(next(text, 1), "");
    assert_eq!(next(again, 20), rest);
    call!(gatemill_text_resume(model, &how(), c"/nowhere/text".as_ptr(), &mut again), Io, "/nowhere/text");
    call!(gatemill_text_new(model, &GatemillTextOptions { top_p: -1.0, ..how() }, &mut text), Usage, "top-p");
    let invalid = GatemillTextOptions { prime: c"\xff".as_ptr(), prime_len: 1, ..how() };
    call!(gatemill_text_new(model, &invalid, &mut text), BadData);
    call!(gatemill_char_lm_load(c"/nowhere".as_ptr(), crew(), &mut GatemillCharLm { id: 0 }), Io, "/nowhere");
    let (mut ids, mut count) = ([9_u32; 2], 0);
    call!(gatemill_char_lm_encode(model, prime.as_ptr().cast(), 3, ids.as_mut_ptr(), 1, &mut count), Ok);
    assert_eq!((ids, count), ([3, 9], 2));
}

#[test]
fn each_thread_has_a_message_of_its_own() {
    call!(gatemill_crew_new(1, null_mut()), Usage, "`crew` is NULL");
    std::thread::spawn(|| assert_eq!(message(), "")).join().expect("the thread ends well");
    assert!(message().contains("`crew` is NULL"));
}
