//! `gatemill hello`: the walk-through as a text, as JSON and as a page; what it refuses.

use std::fs;

use crate::place::Place;

#[test]
fn hello_completes_itself_with_every_cell() {
    let place = Place::new();
    for cell in ["rnn", "lstm", "gru"] {
        let text = String::from_utf8(place.run(&format!("hello --cell {cell}")).succeeds().out).expect("UTF-8");
        assert!(text.contains("It wrote \"hello\": the text completes itself."), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100));
        let object = &place.run(&format!("hello --cell {cell} --json")).succeeds().objects()[0];
        let said: String =
            object["inference"].as_array().expect("letters").iter().map(|fed| fed["says"].as_str().unwrap()).collect();
        assert_eq!((said.as_str(), object["cell"].as_str()), ("ello", Some(cell)));
        // The text tells what the object has.
        for step in object["steps"].as_array().expect("steps") {
            let loss = format!("= {:.4}\n", step["nats"].as_f64().expect("a loss"));
            assert!(text.contains(&loss), "{loss}");
        }
    }
    assert_eq!(place.names(), [""; 0], "nothing is written that was not asked for");
}

#[test]
fn the_same_command_gives_the_same_bytes_and_another_seed_others() {
    let place = Place::new();
    let out = |line: &str| place.run(line).succeeds().out;
    assert_eq!(out("hello --json"), out("hello --json"));
    assert_ne!(out("hello"), out("hello --seed 2"));
    assert_ne!(out("hello"), out("hello --steps 3"));
    assert_ne!(out("hello"), out("hello --lr 0.05"));
    assert!(String::from_utf8(out("hello 물레방아 --hidden 5")).expect("UTF-8").contains("'물' [0 1 0 0]"));
}

#[test]
fn the_page_is_one_whole_file_in_the_place_of_an_older_one() {
    let place = Place::new();
    place.write("page.html", "older");
    let ended = place.run("hello -o page.html").succeeds();
    assert!(ended.out.is_empty() && ended.err.contains("wrote page.html"), "{ended:?}");
    let page = fs::read_to_string(place.path("page.html")).expect("read");
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    assert_eq!(place.names(), ["page.html"]);
    // Beside --json both; the same page each time.
    let ended = place.run("hello --json --out again.html").succeeds();
    assert_eq!(ended.objects().len(), 1);
    assert_eq!(fs::read_to_string(place.path("again.html")).expect("read"), page);
    place.run("hello -o missing/page.html").fails(4, &["missing/page.html", "no folder missing"]);
    assert_eq!(place.run("hello -o /dev/stdout").succeeds().out, page.as_bytes());
}

#[test]
fn what_cannot_be_walked_through_is_a_usage_error() {
    let place = Place::new();
    place.run("hello a").fails(2, &["1 of the 2 characters"]);
    place.run("hello abcdefghijklmnopqrstuvwxy").fails(2, &["25 characters", "24"]);
    place.run("hello --hidden 33").fails(2, &["33 hidden units", "1 to 32"]);
    place.run("hello --hidden 0").fails(2, &["0 hidden units"]);
    place.run("hello --lr 0").fails(2, &["lr"]);
    place.run("hello --steps 0").fails(2, &["0"]);
    place.run("hello --cell elman").fails(2, &["elman"]);
}
