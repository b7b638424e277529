use super::*;
use crate::config::{CellKind, InitKind, OptimizerKind, ScheduleKind, VocabChoice};
use crate::run::Flags;
use crate::task::TaskKind;

fn configured(text: &str) -> Config {
    let mut config = Config::default();
    Page::parse(text.as_bytes()).expect(text).configure(&mut config).expect(text);
    config
}

fn refused(text: &str) -> String {
    Page::parse(text.as_bytes()).expect_err(text).to_string()
}

/// A configuration in which every field differs from its default.
fn unusual() -> Config {
    Config {
        cell: CellKind::Gru,
        layers: 3,
        hidden: 17,
        embed: 17,
        tied: true,
        dropout: 0.1,
        output_dropout: 0.15,
        no_carry: true,
        batch: 5,
        seq: 6,
        accumulate: 2,
        epochs: 11,
        steps: Some(7),
        minutes: Some(1.5),
        patience: Some(3),
        vocab: VocabChoice::Bytes,
        lossy: true,
        document_separator: Some("\n\"#é\t".to_owned()),
        optimizer: OptimizerKind::Adagrad,
        lr: 0.1,
        beta1: 1.0 / 3.0,
        beta2: 0.3,
        eps: 2e-10,
        weight_decay: 5e-324,
        momentum: 0.6,
        decay_rate: 0.7,
        schedule: ScheduleKind::Plateau,
        warmup: Some(0),
        min_lr: 0.01,
        lr_decay: Some(0.8),
        lr_decay_every: 9,
        lr_decay_after: 10,
        lr_patience: 12,
        clip_norm: 0.0,
        clip_value: 2.0,
        init: InitKind::Orthogonal,
        init_scale: Some(0.25),
        forget_bias: -2.0,
        val_frac: 0.25,
        test_frac: 0.125,
        eval_tokens: 13,
        shards: 4,
        seed: i64::MAX as u64,
    }
}

#[test]
fn every_field_of_a_run_has_its_key_and_no_key_is_of_nothing() {
    let settings = Settings::new(Source::Builtin { bytes: 1, seed: 1 });
    let task = TaskConfig::new(TaskKind::Tag).flags();
    let objects = [serde_json::to_value(Config::default()), serde_json::to_value(settings), Ok(Value::Object(task))];
    let mut fields: Vec<String> = Vec::new();
    for object in objects {
        fields.extend(object.expect("plain").as_object().expect("fields").keys().cloned());
    }
    fields.extend(["preset".to_owned()]);
    fields.retain(|field| field != "corpus");
    fields.sort();
    fields.dedup();
    let names: Vec<&str> = keys::KEYS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, fields);
    for (name, takes) in keys::KEYS {
        let Takes::Choice(choices) = takes else { continue };
        for choice in *choices {
            let page = Page::parse(format!("{name} = '{choice}'").as_bytes()).expect(choice);
            page.configure(&mut Config::default()).expect(choice);
        }
    }
}

#[test]
fn a_runs_own_page_gives_the_run_again() {
    let usual = serde_json::to_value(Config::default()).expect("plain");
    for (field, value) in serde_json::to_value(unusual()).expect("plain").as_object().expect("fields") {
        assert_ne!(usual[field], *value, "{field} does not differ, so nothing would show if it were lost");
    }
    let mut settings = Settings::new(Source::Files { paths: vec!["/a \"b\"/ü.txt".to_owned()] });
    for (config, keep) in [(unusual(), Keep::All), (Config::default(), Keep::Last(5))] {
        settings = Settings {
            sample_every: Some(3),
            keep,
            strict_corpus: keep == Keep::All,
            flow: keep != Keep::All,
            ..settings
        };
        let text = to_toml(&config, &settings).expect("written");
        let page = Page::parse(text.as_bytes()).expect(&text);
        assert_eq!(page.source.as_ref(), Some(&settings.source));
        // Laid over another whole configuration: what the page leaves out is at its default all the same.
        let mut again = Config { minutes: Some(9.0), ..unusual() };
        page.configure(&mut again).expect("laid");
        assert_eq!(again, config);
        let other = Source::Builtin { bytes: 9, seed: 9 };
        let mut intervals = Settings { eval_every: Some(9), ..Settings::new(other.clone()) };
        page.set_intervals(&mut intervals);
        assert_eq!(intervals, Settings { source: other, ..settings.clone() });
        assert_eq!(to_toml(&again, &settings).expect("written"), text);
    }
}

#[test]
fn only_what_a_page_says_is_changed() {
    assert_eq!(configured(""), Config::default());
    assert_eq!(configured("# nothing\n"), Config::default());
    let below = Config { steps: Some(3), ..unusual() };
    let mut config = below.clone();
    Page::parse(b"hidden = 9\nmin_lr = 0").expect("a page").configure(&mut config).expect("laid");
    assert_eq!(config, Config { hidden: 9, min_lr: 0.0, ..below });
    let mut settings = Settings { save_every: Some(4), ..Settings::new(Source::Builtin { bytes: 1, seed: 1 }) };
    Page::parse(b"eval-every = 2\nkeep = 'all'").expect("a page").set_intervals(&mut settings);
    assert_eq!((settings.eval_every, settings.save_every, settings.keep), (Some(2), Some(4), Keep::All));
}

#[test]
fn what_excludes_another_puts_it_away() {
    let below = Config { steps: Some(3), ..Config::default() };
    let laid = |text: &str| {
        let mut config = below.clone();
        Page::parse(text.as_bytes()).expect(text).configure(&mut config).expect(text);
        config
    };
    assert_eq!((laid("epochs = 4").epochs, laid("epochs = 4").steps), (4, None));
    assert_eq!((laid("clip-value = 4").clip_norm, laid("clip-value = 4").clip_value), (0.0, 4.0));
    assert_eq!(laid("clip_norm = 4").clip_norm, 4.0);
    assert_eq!(refused("epochs = 1\nsteps = 1"), "line 2, column 1: steps cannot stand beside epochs");
    assert_eq!(refused("clip-value = 1\ngrad_clip = 1"), "line 2, column 1: grad_clip cannot stand beside clip-value");
}

#[test]
fn nanogpts_names_are_understood() {
    let config = configured(
        "n_layer = 6\nn_embd = 384\nblock_size = 256\nbatch_size = 64\nlearning_rate = 1e-3\nmax_iters = 5000\n\
         weight_decay = 1e-1\nbeta1 = 0.9\nbeta2 = 0.99\ngrad_clip = 1.0\ndecay_lr = false\nwarmup_iters = 100\n\
         lr_decay_iters = 5000\nmin_lr = 1e-4\ndropout = 0.2\neval_interval = 250\ngradient_accumulation_steps = 2",
    );
    let expected = Config {
        layers: 6,
        hidden: 384,
        seq: 256,
        batch: 64,
        lr: 1e-3,
        steps: Some(5000),
        weight_decay: 0.1,
        beta2: 0.99,
        clip_norm: 1.0,
        schedule: ScheduleKind::Constant,
        warmup: Some(100),
        min_lr: 1e-4,
        dropout: 0.2,
        accumulate: 2,
        ..Config::default()
    };
    assert_eq!(config, expected);
    assert_eq!(configured("schedule = 'step'").schedule, ScheduleKind::Step);
    let mut config = configured("schedule = 'step'");
    Page::parse(b"decay_lr = true").expect("a page").configure(&mut config).expect("laid");
    assert_eq!(config.schedule, ScheduleKind::Cosine);
    for text in ["lr_decay_iters = 5", "max_iters = 6\nlr_decay_iters = 5"] {
        assert!(refused(text).contains("must be the same as max_iters"), "{}", refused(text));
    }
    assert!(refused("n_head = 6").contains("n_head is no key of a configuration: a recurrent network has no"));
    assert!(refused("device = 'cuda'").contains("CPU"));
    assert!(refused("rnn_size = 6").contains("write hidden"));
    for (name, _) in keys::ELSEWHERE.iter().chain(keys::ALIASES) {
        assert!(keys::KEYS.iter().all(|(key, _)| key != name), "{name} is our own");
        assert!(!name.contains('_'), "{name} would never be found");
    }
}

#[test]
fn errors_say_where_what_and_what_is_allowed() {
    for (text, error) in [
        ("a\n hidn = 5", "line 1, column 2: key with no value, expected `=`"),
        ("\n  hidn = 5", "line 2, column 3: unknown key hidn"),
        ("hidden = \"x\"", "line 1, column 10: hidden = \"x\": must be a whole number from 1 to 1048576"),
        ("hidden = 5.0", "line 1, column 10: hidden = 5.0: must be a whole number from 1 to 1048576"),
        ("hidden = -1", "line 1, column 10: hidden = -1: must be a whole number from 1 to 1048576"),
        ("hidden = 0", "line 1, column 10: hidden = 0: must be a whole number from 1 to 1048576"),
        ("seed = 9223372036854775808", "line 1, column 8: seed = 9223372036854775808: must be a whole number from 0"),
        ("\tlr = inf", "line 1, column 7: lr = inf: must be a number"),
        ("lr = nan", "line 1, column 6: lr = nan: must be a number"),
        ("lr = 1e999", "line 1, column 6: lr = 1e999: must be a number"),
        ("lr = '1'", "line 1, column 6: lr = \"1\": must be a number"),
        ("cell = 'LSTM'", "line 1, column 8: cell = \"LSTM\": must be one of \"rnn\", \"lstm\", \"gru\""),
        ("tied = 1", "line 1, column 8: tied = 1: must be true or false"),
        ("keep = 1", "line 1, column 8: keep = 1: must be a whole number from 2, or \"all\""),
        ("lr.x = 1", "line 1, column 1: lr = {...}: must be a number"),
        ("[corpus]\nkind = 'web'", "unknown variant `web`"),
        ("[corpus]\nkind = 'files'\npaths = []", "it names no file"),
        ("[network]\nhidden = 5", "line 1, column 2: unknown key network"),
        ("lr = 1\nlr = 2", "line 2, column 1: duplicate key"),
        ("lr = 1\nlearning_rate = 2", "line 2, column 1: learning_rate says again what lr says in line 1"),
        ("clip_norm = 1\nclip-norm = 2", "line 2, column 1: clip-norm says again what clip_norm says in line 1"),
        ("é = 1", "line 1, column 1: invalid unquoted key"),
        ("document-separator = 'é' x", "line 1, column 26: "),
    ] {
        assert!(refused(text).contains(error), "{text:?}: {}", refused(text));
    }
    let at = At { line: 2, column: 4 };
    assert_eq!(Page::parse(b"# \xc3\xa9\n# \xc3\xa9\xff"), Err(PageError::NotUtf8 { at }));
    let help = |text: &str| Page::parse(text.as_bytes()).expect_err(text).help();
    assert_eq!(help("hidn = 5"), "did you mean hidden?");
    assert_eq!(help("blockk_size = 5"), "did you mean block-size?");
    assert!(help("xyzzy = 5").contains("--help"));
    assert!(help("decay_lr = True").contains("small letters"));
}

#[test]
fn numbers_may_be_written_as_toml_allows() {
    let config = configured("hidden = 0x10\nlr = 1\nbatch = 1_000\nmin-lr = 1e-3\nkeep = 0b11\nclip-norm = +2");
    assert_eq!((config.hidden, config.lr, config.batch, config.clip_norm), (16, 1.0, 1000, 2.0));
    assert_eq!(configured("\u{feff}hidden = 3").hidden, 3);
    assert_eq!(configured("hidden = 3\r\nlr = 0.5\r\n").lr, 0.5);
}

#[test]
fn a_configuration_that_is_none_stays_as_it_was() {
    let mut config = Config { lr: f64::NAN, ..Config::default() };
    let page = Page::parse(b"hidden = 3").expect("a page");
    assert!(matches!(page.configure(&mut config), Err(PageError::Base { .. })));
    assert_eq!(config.hidden, Config::default().hidden);
}
