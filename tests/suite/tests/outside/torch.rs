//! PyTorch's layers: outputs, states and the gradient of every weight, input and initial state.

use gatemill_crew::Split;
use gatemill_oracle::compare::worst_by_max;
use gatemill_oracle::widen;
use gatemill_suite::{Golden, Named, Setting, crew, golden_path, layers_of_torch, layers_reference, layers_run, tiers};

/// The goldens, by file name.
fn files() -> Vec<String> {
    let folder = std::fs::read_dir(golden_path("torch_layers")).expect("goldens/torch_layers");
    let names = folder.map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".safetensors")).collect();
    names.sort_unstable();
    assert_eq!(names.len(), 20);
    names
}

/// Holds every tensor that the golden has, each relative to its largest element.
fn hold(found: &[Named<f64>], golden: &Golden, forward: f64, backward: f64, place: &str) -> f64 {
    let mut closest = 0.0_f64;
    let mut compared = Vec::new();
    for (name, found) in found {
        let key = match name.as_str() {
            "y" | "h_n" | "c_n" => name.clone(),
            _ => format!("grad.{}", name.strip_prefix("d_").unwrap_or(name)),
        };
        let worst = worst_by_max(found, &golden.tensor(&format!("f64.{key}")).data);
        let bound = if key.starts_with("grad") { backward } else { forward };
        assert!(worst.error <= bound, "{place}: {name} {worst:?}: more than {bound:e}");
        closest = closest.max(worst.error / bound);
        compared.push(key);
    }
    compared.sort_unstable();
    assert_eq!(compared, golden.names("f64."), "{place}: not everything in the golden was compared");
    closest
}

#[test]
fn the_oracle_gives_pytorchs_numbers() {
    let mut closest = 0.0_f64;
    for name in files() {
        let golden = Golden::read(&format!("torch_layers/{name}"));
        let found = layers_reference(&layers_of_torch(&golden));
        closest = closest.max(hold(&found, &golden, 1e-13, 1e-13, &name));
    }
    println!("{closest:.3} of the bounds");
}

/// Every tier and every split: PyTorch's f64 numbers within f32's reach, gradients included.
#[test]
fn the_engine_gives_pytorchs_numbers() {
    let crews = [crew(1), crew(2)];
    let mut closest = 0.0_f64;
    for (k, name) in files().into_iter().enumerate() {
        let golden = Golden::read(&format!("torch_layers/{name}"));
        let case = layers_of_torch(&golden);
        for (tier, kernels) in tiers().into_iter().enumerate() {
            let split = [None, Some(Split::Lanes), Some(Split::Units)][(k + tier) % 3];
            let setting = Setting { split, ..Setting::new(kernels, &crews[k % 2]) };
            let found: Vec<_> = layers_run(&case, setting).into_iter().map(|(n, t)| (n, widen(&t))).collect();
            closest = closest.max(hold(&found, &golden, 2e-6, 1e-5, &format!("{name} {setting:?}")));
        }
    }
    println!("{closest:.2} of the bounds");
}
