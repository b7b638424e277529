//! The examples do what they say.

use gatemill::Crew;
use std::sync::Arc;

#[path = "../examples/fork_state.rs"]
mod fork_state;
#[path = "../examples/generate.rs"]
mod generate;
#[path = "../examples/train_layer.rs"]
mod train_layer;

#[test]
fn a_layer_learns_the_sum_of_three_inputs() {
    let (first, last) = train_layer::run().expect("it runs");
    assert!(last < first / 10.0, "{first} -> {last}");
}

#[test]
fn a_model_writes_the_line_that_it_learned() {
    let model = generate::learned(Arc::new(Crew::new(2).expect("threads"))).expect("a model");
    let mut text = Vec::new();
    generate::write(&model, "the ", 60, &mut text).expect("a text");
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(text.len() == 60 && text.contains("turns the"), "{text}");
}

#[test]
fn a_fork_goes_its_own_way() {
    let [whole, same, other] = fork_state::run().expect("it runs");
    assert_eq!(whole, same);
    assert_ne!(whole, other);
}
