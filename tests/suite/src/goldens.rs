//! Tensors of the files in `goldens/` that other systems made, in f64, as `goldens/README.md` names them.

use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;

/// A tensor of a golden file; its elements in f64, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its elements: f32, f64 and u32 alike.
    pub data: Vec<f64>,
}

/// Where golden file `name` lies.
pub fn golden_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("goldens").join(name)
}

fn read(name: &str) -> Vec<u8> {
    let path = golden_path(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A `.safetensors` file of goldens.
#[derive(Debug)]
pub struct Golden(HashMap<String, Tensor>);

impl Golden {
    /// Reads `goldens/<name>`. Panics where it is missing or holds another type than f32, f64 or u32.
    pub fn read(name: &str) -> Self {
        let bytes = read(name);
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let tensors = file.tensors().into_iter().map(|(key, view)| {
            let raw = view.data();
            let data: Vec<f64> = match view.dtype() {
                safetensors::Dtype::F32 => numbers(raw, |b: [u8; 4]| f64::from(f32::from_le_bytes(b))),
                safetensors::Dtype::F64 => numbers(raw, f64::from_le_bytes),
                safetensors::Dtype::U32 => numbers(raw, |b: [u8; 4]| f64::from(u32::from_le_bytes(b))),
                other => panic!("{name}: {key} is {other:?}"),
            };
            let shape = view.shape().to_vec();
            assert_eq!(shape.iter().product::<usize>(), data.len(), "{name}: {key}");
            (key, Tensor { shape, data })
        });
        Self(tensors.collect())
    }
    /// Tensor `name`, where there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }
    /// Tensor `name`. Panics where there is none.
    pub fn tensor(&self, name: &str) -> &Tensor {
        self.get(name).unwrap_or_else(|| panic!("the golden has no `{name}`"))
    }
    /// Names that begin with `prefix`, without it, in order.
    pub fn names(&self, prefix: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.keys().filter_map(|name| name.strip_prefix(prefix)).collect();
        names.sort_unstable();
        names
    }
}

fn numbers<const N: usize>(raw: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    let (chunks, rest) = raw.as_chunks::<N>();
    assert!(rest.is_empty(), "{} bytes are no whole numbers", raw.len());
    chunks.iter().map(|&bytes| number(bytes)).collect()
}

/// A case of an ONNX operator.
#[derive(Debug)]
pub struct OnnxCase(Value);

impl OnnxCase {
    /// Reads `goldens/onnxruntime/<name>.json`. Panics where it is missing.
    pub fn read(name: &str) -> Self {
        let bytes = read(&format!("onnxruntime/{name}.json"));
        Self(serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{name}: {e}")))
    }
    /// A field of the case's attributes.
    pub fn attribute(&self, name: &str) -> &Value {
        &self.0["attributes_effective"][name]
    }
    /// Tensor `name` of `section`; None where it is null.
    pub fn tensor(&self, section: &str, name: &str) -> Option<Tensor> {
        let value = &self.0[section][name];
        let data = value.get("data")?.as_array().expect("data is a list");
        let data = data.iter().map(|x| x.as_f64().expect("a number")).collect();
        let shape = value["shape"].as_array().expect("shape is a list");
        let shape = shape.iter().map(|n| n.as_u64().and_then(|n| usize::try_from(n).ok()).expect("a size")).collect();
        Some(Tensor { shape, data })
    }
}
