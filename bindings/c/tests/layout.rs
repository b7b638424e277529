//! The header's structs are the library's: a C compiler is asked for each size and each place.

use gatemill_c::*;
use std::fmt::Write;
use std::process::Command;

/// A struct's size and the places of its members, as C assertions.
macro_rules! asserted {
    ($text:ident, $t:ident { $($field:ident),* }) => {{
        let size = size_of::<$t>();
        writeln!($text, "_Static_assert(sizeof({0}) == {size}, \"{0}\");", stringify!($t)).expect("a string");
        $(
            let (at, name) = (std::mem::offset_of!($t, $field), stringify!($field));
            writeln!($text, "_Static_assert(offsetof({0}, {name}) == {at}, \"{0}.{name}\");", stringify!($t))
                .expect("a string");
        )*
        // None is left out.
        let _ = |value: $t| { let $t { $($field: _),* } = value; };
    }};
}

#[test]
fn sizes_and_places_of_members_are_those_of_the_header() {
    let mut text = String::from("#include <gatemill.h>\n#include <stddef.h>\n");
    asserted!(text, GatemillCrew { id });
    asserted!(text, GatemillRecurrent { id });
    asserted!(text, GatemillTape { id });
    asserted!(text, GatemillGradients { id });
    asserted!(text, GatemillTensor { name, data, len });
    asserted!(text, GatemillTensorMut { name, data, len });
    asserted!(text, GatemillCharLm { id });
    asserted!(text, GatemillText { id });
    asserted!(text, GatemillFloatMode { size, plain, promise_holds });
    asserted!(text, GatemillActivation { function, alpha, beta });
    asserted!(
        text,
        GatemillRecurrentOptions {
            size,
            cell,
            direction,
            inputs,
            hidden,
            layers,
            projection,
            dropout,
            seed,
            forms,
            clip,
            cell_clip,
            gates,
            candidate,
            output
        }
    );
    asserted!(text, GatemillTensorInfo { size, len, shape, name });
    asserted!(text, GatemillForm { size, inputs, outputs, layers, h_len, c_len, tensors });
    asserted!(text, GatemillBatch { steps, lanes, batch_sizes });
    asserted!(text, GatemillRows { data, len, step_stride, lane_stride });
    asserted!(text, GatemillRowsMut { data, len, step_stride, lane_stride });
    asserted!(text, GatemillState { h, h_len, c, c_len });
    asserted!(text, GatemillStateMut { h, h_len, c, c_len });
    asserted!(text, GatemillForward { size, batch, x, initial, y });
    asserted!(text, GatemillBackward { size, d_y, d_last, d_x });
    asserted!(
        text,
        GatemillCharLmOptions { size, cell, bytes, layers, hidden, batch, seq, lr, dropout, clip_norm, seed }
    );
    asserted!(
        text,
        GatemillCharLmInfo { size, cell, bytes, vocab, layers, hidden, batch, seq, h_len, c_len, parameters }
    );
    asserted!(text, GatemillTrainReport { size, step, nats, grad_norm, counted });
    asserted!(
        text,
        GatemillTextOptions {
            size,
            prime,
            prime_len,
            length,
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            repetition_window,
            seed,
            sample
        }
    );
    for (name, status) in [
        ("OK", GatemillStatus::Ok),
        ("USAGE", GatemillStatus::Usage),
        ("BAD_DATA", GatemillStatus::BadData),
        ("IO", GatemillStatus::Io),
        ("DIVERGED", GatemillStatus::Diverged),
        ("RESOURCES", GatemillStatus::Resources),
        ("BUSY", GatemillStatus::Busy),
        ("BAD_HANDLE", GatemillStatus::BadHandle),
        ("FORKED", GatemillStatus::Forked),
        ("INTERNAL", GatemillStatus::Internal),
    ] {
        writeln!(text, "_Static_assert(GATEMILL_STATUS_{name} == {}, \"{name}\");", status as i32).expect("a string");
    }
    writeln!(text, "_Static_assert(sizeof(GatemillStatus) == {}, \"\");", size_of::<GatemillStatus>())
        .expect("a string");
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = folder.join("layout.c");
    std::fs::write(&source, &text).expect("written");
    let mut command = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    command.args(["-std=c11", "-Wall", "-Werror", "-fsyntax-only", "-I"]);
    let output = command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/include")).arg(&source).output();
    let output = output.expect("a C compiler: install gcc, or set CC");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What cbindgen would add or drop; the whole comparison is `cargo xtask test --only header`.
#[test]
fn every_function_and_constant_is_in_the_header_and_no_other() {
    let header = include_str!("../include/gatemill.h");
    let mut source = String::new();
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).expect("the sources");
    for file in files {
        source += &std::fs::read_to_string(file.expect("an entry").path()).expect("UTF-8");
    }
    let word =
        |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned();
    let names = |text: &str, before: &str, prefix: &str| -> std::collections::BTreeSet<String> {
        let found = text.match_indices(before).map(|(at, _)| word(&text[at + before.len()..]));
        found.filter(|name| name.starts_with(prefix)).collect()
    };
    let functions = names(&source, "extern \"C\" fn ", "gatemill_");
    // In comments they stand without a space before them, or behind one and without a bracket.
    let declared: std::collections::BTreeSet<String> = header
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.match_indices("gatemill_").map(|(at, _)| word(&line[at..])).collect::<Vec<_>>())
        .collect();
    assert_eq!(functions, declared);
    assert!(functions.len() > 30, "{functions:?}");
    let constants = names(&source, "pub const ", "GATEMILL_");
    let defined = names(header, "#define ", "GATEMILL_");
    assert!(constants.iter().all(|name| defined.contains(name)), "{constants:?} {defined:?}");
}
