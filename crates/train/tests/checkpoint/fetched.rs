//! Tensors that lie elsewhere and are fetched to be written: the file is that of tensors that are held, and no two are in
//! memory at once.

use std::cell::RefCell;
use std::sync::Arc;

use gatemill_train::checkpoint::{
    Elements, Keep, RunFolder, SaveOutcome, Saver, Snapshot, Tensor, best_path, form, replace_snapshot, step_path,
};
use gatemill_train::storage::{SimulatedDisk, Storage};

use crate::scenario::{bytes_of, fresh_disk, run, snapshot};

/// Elements that are put into the room when they are asked for; each time their number is noted, and what was there.
struct Elsewhere<'a> {
    data: Vec<f32>,
    number: usize,
    fetched: &'a RefCell<Vec<(usize, usize)>>,
}

impl Elements for Elsewhere<'_> {
    fn count(&self) -> usize {
        self.data.len()
    }
    fn fetch<'a>(&'a self, room: &'a mut Vec<f32>) -> &'a [f32] {
        self.fetched.borrow_mut().push((self.number, room.len()));
        room.clear();
        room.extend(&self.data);
        room
    }
}

fn elsewhere(snapshot: Snapshot, fetched: &RefCell<Vec<(usize, usize)>>) -> Snapshot<Elsewhere<'_>> {
    let tensors = snapshot.tensors.into_iter().enumerate().map(|(number, tensor)| Tensor {
        name: tensor.name,
        shape: tensor.shape,
        data: Elsewhere { data: tensor.data, number, fetched },
    });
    Snapshot { tensors: tensors.collect(), meta: snapshot.meta }
}

fn content(disk: &SimulatedDisk, path: &std::path::Path) -> Vec<u8> {
    let mut content = Vec::new();
    disk.open(path).unwrap().content.read_to_end(&mut content).unwrap();
    content
}

#[test]
fn a_file_of_fetched_tensors_is_that_of_held_ones() {
    let disk = fresh_disk();
    let _folder = RunFolder::open(&disk, &run()).unwrap();
    let mut saver = Saver::new(Arc::new(disk.clone()), &run(), Keep::default());
    let fetched = RefCell::default();
    let lazy = elsewhere(snapshot(7), &fetched);
    let held = bytes_of(&snapshot(7));
    assert!(lazy.held() == snapshot(7) && form::encode(&lazy).unwrap() == held);

    let other = run().join("other.safetensors");
    let [saved, best] = [saver.save(7, &lazy), saver.save_best(&lazy)].map(|outcome| match outcome {
        SaveOutcome::Saved(saved) => saved,
        other => panic!("{other:?}"),
    });
    replace_snapshot(&disk, &other, &lazy).unwrap();
    for path in [step_path(&run(), 7), best_path(&run()), other] {
        assert!(content(&disk, &path) == held, "{}", path.display());
    }
    assert_eq!([saved.size_bytes, best.size_bytes], [held.len() as u64; 2]);
}

/// For the checksums and then for the file, always into the same room: what the one before left is still there.
#[test]
fn no_two_tensors_are_fetched_at_once() {
    let disk = fresh_disk();
    let fetched = RefCell::default();
    let lazy = elsewhere(snapshot(7), &fetched);
    replace_snapshot(&disk, std::path::Path::new("/disk/one"), &lazy).unwrap();
    let sizes: Vec<usize> = snapshot(7).tensors.iter().map(|tensor| tensor.data.len()).collect();
    let [a, b, c, d] = sizes[..] else { panic!("{sizes:?}") };
    assert_eq!(*fetched.borrow(), [(0, 0), (1, a), (2, b), (3, c), (0, d), (1, a), (2, b), (3, c)]);
}
