//! C programs against the header and the library: compiled with every warning an error, run, and what they say held
//! against the Rust API, bit for bit; once more under AddressSanitizer, where the compiler has it.

use gatemill::{Batch, Cell, CharLm, Config, Crew, Mode, Recurrent, RecurrentOptions, Rows, RowsMut, SampleOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

/// The package's folder.
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The C compiler; CC, as make has it.
fn cc() -> Command {
    Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
}

/// The static library that cargo built for this test.
fn library() -> PathBuf {
    let exe = std::env::current_exe().expect("this test's own path");
    let folders = exe.ancestors().skip(1).take(2).map(|folder| folder.join("libgatemill_c.a"));
    let newest = |path: &PathBuf| path.metadata().and_then(|meta| meta.modified()).ok();
    folders.filter(|path| path.is_file()).max_by_key(newest).expect("cargo builds the library with its tests")
}

/// Folders of this test's programs, one for each so that tests do not meet.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder for programs");
    folder
}

fn compiled(source: &Path, flags: &[&str], name: &str) -> PathBuf {
    let program = folder(name).join(source.file_stem().expect("a name"));
    let mut command = cc();
    command.args(["-std=c11", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1"]);
    // Sums in plain loops are to have Rust's bits.
    command.args(["-g", "-ffp-contract=off"]).args(flags);
    command.arg("-I").arg(Path::new(HERE).join("include")).arg(source).arg(library());
    command.args(["-lpthread", "-ldl", "-lm", "-o"]).arg(&program);
    let output = command.output().expect("a C compiler: install gcc, or set CC");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    program
}

fn run(program: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).env("ASAN_OPTIONS", "detect_leaks=1");
    command.output().expect("the program was just compiled")
}

/// What a program says on its standard output; it must succeed and say nothing on the other.
fn said(program: &Path, args: &[&str]) -> String {
    let output = run(program, args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{}: {}: {error}", program.display(), output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Plain, and with AddressSanitizer where the compiler has it.
fn builds(source: &str, name: &str) -> Vec<PathBuf> {
    let source = Path::new(HERE).join(source);
    let mut all = vec![compiled(&source, &[], name)];
    if has_sanitizer() {
        let flags = ["-fsanitize=address", "-fno-omit-frame-pointer"];
        all.push(compiled(&source, &flags, &format!("{name}-asan")));
    }
    all
}

fn has_sanitizer() -> bool {
    static HAS: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        let source = folder("sanitizer").join("empty.c");
        std::fs::write(&source, "int main(void) { return 0; }\n").expect("written");
        let program = source.with_extension("");
        let built = cc().arg("-fsanitize=address").arg(&source).arg("-o").arg(&program).output();
        let works = built.is_ok_and(|output| output.status.success()) && run(&program, &[]).status.success();
        if !works {
            println!("this C compiler has no AddressSanitizer: programs run without it");
        }
        works
    });
    *HAS
}

/// The numbers of `train_layer.c`.
fn number(n: u32) -> f32 {
    let n = (n ^ 61) ^ (n >> 16);
    let n = n.wrapping_mul(9);
    let n = (n ^ (n >> 4)).wrapping_mul(0x27d4_eb2d);
    let n = n ^ (n >> 15);
    (n >> 8) as f32 / 8_388_608.0 - 1.0
}

/// `train_layer.c` in Rust: the loss of every fiftieth update and of the last.
fn train_layer() -> Vec<f32> {
    const T: usize = 12;
    const B: usize = 6;
    const H: usize = 16;
    let crew = Crew::new(2).expect("threads");
    let options = RecurrentOptions { seed: 7, ..RecurrentOptions::new(Cell::Lstm, 1, H) };
    let mut layer = Recurrent::new(&options).expect("a layer");
    let (mut tape, mut gradients) = (layer.tape(Mode::Training), layer.gradients());
    let mut readout: Vec<f32> = (0..H as u32).map(|unit| 0.25 * number(unit)).collect();
    let (mut y, mut d_y) = (vec![0.0; T * B * H], vec![0.0; T * B * H]);
    let mut losses = Vec::new();
    for update in 0..200_u32 {
        let x: Vec<f32> = (0..(T * B) as u32).map(|n| number(1000 + n + update * (T * B) as u32)).collect();
        let batch = Batch::Even { steps: T, lanes: B };
        let y_rows = RowsMut::packed(&mut y, H);
        layer.forward(&crew, &mut tape, batch, Rows::packed(&x, 1), None, y_rows).expect("forward");
        let (mut d_readout, mut loss) = ([0.0_f32; H], 0.0_f32);
        for t in 0..T {
            for lane in 0..B {
                let token = t * B + lane;
                let mut error = 0.0_f32;
                for back in 0..3.min(t + 1) {
                    error -= x[token - back * B];
                }
                for unit in 0..H {
                    error += readout[unit] * y[token * H + unit];
                }
                loss += error * error / (T * B) as f32;
                let d_error = 2.0 * error / (T * B) as f32;
                for unit in 0..H {
                    d_readout[unit] += d_error * y[token * H + unit];
                    d_y[token * H + unit] = d_error * readout[unit];
                }
            }
        }
        layer.backward(&crew, &mut tape, Rows::packed(&d_y, H), None, None, Some(&mut gradients)).expect("backward");
        let names: Vec<String> = layer.tensors().map(|info| info.name.to_owned()).collect();
        for name in names {
            let mut weights = layer.tensor(&name).expect("a tensor");
            let d_weights = gradients.tensor(&name).expect("a gradient");
            weights.iter_mut().zip(d_weights).for_each(|(w, d)| *w -= 0.3 * d);
            layer.set_tensor(&name, &weights).expect("its own size");
        }
        readout.iter_mut().zip(d_readout).for_each(|(w, d)| *w -= 0.3 * d);
        if update % 50 == 0 || update == 199 {
            losses.push(loss);
        }
    }
    losses
}

#[test]
fn a_layer_trained_in_c_has_the_bits_of_one_trained_in_rust() {
    let losses = train_layer();
    let last = losses[4];
    assert!(last < losses[0] / 10.0, "the layer learns: {losses:?}");
    let mut want: String =
        losses[..4].iter().enumerate().map(|(i, loss)| format!("update {:3}: loss {loss:.4}\n", 50 * i)).collect();
    want += &format!("after 200 updates: loss {last:.4}, bits {:08x}\n", last.to_bits());
    for program in builds("examples/train_layer.c", "train_layer") {
        for threads in ["1", "3"] {
            assert_eq!(said(&program, &[threads]), want);
        }
    }
}

#[test]
fn steps_in_c_have_the_bits_of_steps_in_rust() {
    let options = RecurrentOptions { layers: 2, seed: 3, ..RecurrentOptions::new(Cell::Gru, 3, 64) };
    let stack = Recurrent::new(&options).expect("a stack");
    let (mut tape, mut state) = (stack.tape(Mode::Inference), stack.state(1).expect("a state"));
    let mut y = [0.0; 64];
    let mut bits = Vec::new();
    for t in 0..20 {
        let x: Vec<f32> = (0..3).map(|i| ((t * 7 + i * 3) % 11) as f32 / 11.0 - 0.5).collect();
        stack.step(&mut tape, &x, &mut state, &mut y).expect("a step");
        bits.push(format!("{:08x}", y[0].to_bits()));
    }
    let want = format!("{}\nthe fork went another way: yes\n", bits.join(" "));
    for program in builds("examples/step.c", "step") {
        assert_eq!(said(&program, &[]), want);
    }
}

#[test]
fn a_text_written_in_c_is_the_text_written_in_rust() {
    let crew = Arc::new(Crew::new(2).expect("threads"));
    let config = Config { layers: 1, hidden: 20, batch: 2, seq: 8, lr: 0.02, ..Config::default() };
    let text = "größer, weiter, höher: ";
    let mut model = CharLm::new(&config, text, crew).expect("a model");
    let ids = model.encode(&text.repeat(3)).expect("UTF-8");
    for step in 0..80 {
        let at = |shift: usize| -> Vec<u32> {
            (0..8).flat_map(|t| [step + t, step + t + 11].map(|n| ids[(n + shift) % (ids.len() / 3)])).collect()
        };
        model.train_step(&at(0), &at(1)).expect("a step");
    }
    let file = folder("generate").join("model.safetensors");
    model.save(&file).expect("saved");
    let options = SampleOptions { prime: "größ".into(), length: 100, seed: 5, ..SampleOptions::default() };
    let want: String = model.generate(&options).expect("a text").map(|s| s.expect("a symbol").to_string()).collect();
    let file = file.to_str().expect("UTF-8");
    for program in builds("examples/generate.c", "generate") {
        assert_eq!(said(&program, &[file, "größ", "100", "5"]), want);
        // What goes wrong is said, with the status as exit code.
        let output = run(&program, &["/nowhere/model.safetensors", "", "1", "1"]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(4) && error.contains("/nowhere/model.safetensors"), "{error}");
    }
}

#[test]
fn a_child_of_fork_is_told_that_the_crew_is_not_there() {
    // AddressSanitizer's leak check takes the parent's threads for lost in the child.
    let program = compiled(&Path::new(HERE).join("tests/programs/fork.c"), &[], "fork");
    assert_eq!(said(&program, &[]), "");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_host_that_changed_its_floating_point_mode_is_told() {
    for program in builds("tests/programs/float_mode.c", "float_mode") {
        assert_eq!(said(&program, &[]), "");
    }
}

#[test]
fn the_header_is_c_plus_plus_too() {
    let source = folder("cplusplus").join("header.cpp");
    std::fs::write(&source, "#include <gatemill.h>\nint main() { return gatemill_version() == 0; }\n")
        .expect("written");
    let mut command = Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()));
    command.args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"]);
    let output = command.arg(Path::new(HERE).join("include")).arg(&source).output();
    // Where there is no C++ compiler nobody includes it from C++.
    if let Ok(output) = output {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
