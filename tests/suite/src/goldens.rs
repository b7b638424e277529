//! Tensors of the files in `goldens/` that other systems made, in f64, as `goldens/README.md` names them.

use std::collections::HashMap;
use std::path::PathBuf;

/// A tensor of a golden file; its elements in f64, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its elements: f32, f64, u32 and i32 alike.
    pub data: Vec<f64>,
}

/// Where golden file `name` lies.
pub fn golden_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("goldens").join(name)
}

pub(crate) fn read(name: &str) -> Vec<u8> {
    let path = golden_path(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A `.safetensors` file of goldens.
#[derive(Debug)]
pub struct Golden {
    tensors: HashMap<String, Tensor>,
    metadata: HashMap<String, String>,
}

impl Golden {
    /// Reads `goldens/<name>`. Panics where it is missing or holds another type than f32, f64, u32 or i32.
    pub fn read(name: &str) -> Self {
        let bytes = read(name);
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let tensors = file.tensors().into_iter().map(|(key, view)| {
            let raw = view.data();
            let data: Vec<f64> = match view.dtype() {
                safetensors::Dtype::F32 => numbers(raw, |b: [u8; 4]| f64::from(f32::from_le_bytes(b))),
                safetensors::Dtype::F64 => numbers(raw, f64::from_le_bytes),
                safetensors::Dtype::U32 => numbers(raw, |b: [u8; 4]| f64::from(u32::from_le_bytes(b))),
                safetensors::Dtype::I32 => numbers(raw, |b: [u8; 4]| f64::from(i32::from_le_bytes(b))),
                other => panic!("{name}: {key} is {other:?}"),
            };
            let shape = view.shape().to_vec();
            assert_eq!(shape.iter().product::<usize>(), data.len(), "{name}: {key}");
            (key, Tensor { shape, data })
        });
        let tensors = tensors.collect();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        Self { tensors, metadata: header.metadata().clone().unwrap_or_default() }
    }
    /// Tensor `name`, where there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }
    /// Tensor `name`. Panics where there is none.
    pub fn tensor(&self, name: &str) -> &Tensor {
        self.get(name).unwrap_or_else(|| panic!("the golden has no `{name}`"))
    }
    /// The metadata's `key`. Panics where there is none.
    pub fn metadata(&self, key: &str) -> &str {
        self.metadata.get(key).unwrap_or_else(|| panic!("the golden's metadata has no `{key}`"))
    }
    /// Names that begin with `prefix`, without it, in order.
    pub fn names(&self, prefix: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self.tensors.keys().filter_map(|name| name.strip_prefix(prefix)).collect();
        names.sort_unstable();
        names
    }
}

fn numbers<const N: usize>(raw: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    let (chunks, rest) = raw.as_chunks::<N>();
    assert!(rest.is_empty(), "{} bytes are no whole numbers", raw.len());
    chunks.iter().map(|&bytes| number(bytes)).collect()
}
