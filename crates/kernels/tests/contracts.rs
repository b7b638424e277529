//! Every safe method on arguments that do not fit: refused with a message, before any pointer is made.

use gatemill_kernels::{
    Arrays, BufId, Cell, Columns, Dropout, Embedding, GateGradOp, GatesOp, HeadGradOp, Input, InputGradOp, Kernels,
    LayerShape, Layout, LevelOp, Op, Order, Panels, Part, Pass, ReadoutOp, Space, StackShape, Sums, Tokens, Variant,
    WeightTile, Weights, Workspace,
};

const STEPS: usize = 2;
const LANES: usize = 3;
const H: usize = 20;
const V: usize = 7;

/// A model of one LSTM layer over symbols and one over it, and a workspace with every buffer that a pass could name.
struct Field {
    layout: Layout,
    params: Vec<f32>,
    start: Vec<f32>,
    transposed: Vec<f32>,
    ws: Workspace,
    h: BufId,
    h2: BufId,
    c: BufId,
    gates: BufId,
    d_h: BufId,
    d_c: BufId,
    d_y: BufId,
    logits: BufId,
    nats: BufId,
    ids: Vec<u32>,
}

fn field() -> Field {
    let lstm = |input| LayerShape::new(Cell::Lstm, input, H);
    let layout = Layout::new(&[lstm(Input::Symbols(V)), lstm(Input::Dense(H))], Some(V));
    let mut ws = Workspace::new(Tokens::rectangular(STEPS, LANES));
    let mut add = |space, columns| ws.add(space, columns).unwrap();
    let units = Columns::Panels(Panels::fixed(2, 1));
    let (rows, slots) = (Columns::RowMajor(H), Columns::Panels(layout.layers()[0].shape.slots()));
    Field {
        h: add(Space::Rows, rows),
        h2: add(Space::Rows, rows),
        c: add(Space::Rows, units),
        gates: add(Space::Tokens, slots),
        d_h: add(Space::Lanes, rows),
        d_c: add(Space::Lanes, units),
        d_y: add(Space::Rows, rows),
        logits: add(Space::Tokens, Columns::RowMajor(V)),
        nats: add(Space::Tokens, Columns::Scalar),
        params: vec![0.0; layout.params()],
        start: vec![0.0; layout.start()],
        transposed: vec![0.0; layout.transposed()],
        ids: vec![0; STEPS * LANES],
        layout,
        ws,
    }
}

impl Field {
    fn gates_op(&self) -> GatesOp {
        GatesOp {
            layer: 0,
            t: 0,
            x: None,
            h: self.h,
            c: Some(self.c),
            gates: self.gates,
            dropped: None,
            inner: None,
            begun: false,
        }
    }
    fn gate_grad_op(&self) -> GateGradOp {
        let Field { h, c, gates, d_h, d_c, d_y, .. } = *self;
        GateGradOp { layer: 0, t: 0, d_y, d_h, d_c: Some(d_c), h, c: Some(c), gates, projection: None }
    }
    fn input_grad_op(&self) -> InputGradOp {
        InputGradOp {
            layer: 1,
            t: 0,
            steps: 1,
            gates: self.gates,
            d_h: Some(self.d_h),
            d_x: Some(self.d_y),
            from: None,
            more: false,
        }
    }
    fn level_op(&self) -> LevelOp {
        LevelOp { layer: 1, t: 0, parts: [Some(self.h), Some(self.d_y), None], y: self.h2, dropped: None }
    }
    fn readout_op(&self) -> ReadoutOp {
        ReadoutOp { t: 0, h: self.h, logits: self.logits, nats: self.nats }
    }
    fn run(&mut self, op: Op, change: impl for<'a> FnOnce(&mut Pass<'a>)) {
        let weights = Weights::new(&self.layout, &self.params, &self.start, &self.transposed);
        let mut pass = Pass {
            weights,
            ids: &self.ids,
            targets: &self.ids,
            scale: 1.0,
            dropout: None,
            output_dropout: None,
            arrays: Arrays::default(),
        };
        change(&mut pass);
        Kernels::best().run(&op, &pass, &mut self.ws.share());
    }
    fn tile(&self) -> WeightTile {
        WeightTile { d: self.gates, panel: 0, panels: 1, first_vector: 0, vectors: 4 }
    }
    fn weight_grad(&self, tile: WeightTile, column: usize, part: Part, len: usize) {
        Kernels::best().weight_grad(
            &self.ws,
            &tile,
            (self.h, column, Some(Order::Ascending)),
            &part,
            &mut vec![0.0; len],
            Sums::default(),
        );
    }
    /// All columns of h against the tile, and these sums.
    fn weight_grad_with(&self, tile: WeightTile, sums: Sums<'_>) {
        let h = (self.h, 0, Some(Order::Ascending));
        Kernels::best().weight_grad(&self.ws, &tile, h, &ALL, &mut [0.0; 64 * H], sums);
    }
}

const ALL: Part = Part { steps: STEPS, lanes: 0..LANES };

/// What is refused below is refused for that reason alone.
#[test]
fn the_field_itself_is_accepted() {
    let mut f = field();
    f.run(Op::Gates(f.gates_op()), |_| ());
    let upper = GatesOp { layer: 1, x: Some(f.h2), ..f.gates_op() };
    f.run(Op::Gates(upper), |_| ());
    f.run(Op::Readout(f.readout_op()), |_| ());
    f.run(Op::HeadGrad(HeadGradOp { t: 0, d_logits: f.logits, d_y: f.d_y }), |_| ());
    f.run(Op::GateGrad(f.gate_grad_op()), |_| ());
    f.run(Op::InputGrad(f.input_grad_op()), |_| ());
    f.run(Op::Level(f.level_op()), |_| ());
    f.weight_grad(f.tile(), 0, ALL, 64 * H);
    Kernels::best().symbol_grad(&f.ws, &f.tile(), &f.ids, &ALL, &mut [0.0; 64 * V]);
    let (symbols, all) = (&mut [0.0; 64 * V], &mut [0.0; 128]);
    let sums = Sums { symbols: Some((0..4, &f.ids, symbols)), all: Some((0..4, all)) };
    f.weight_grad_with(f.tile(), sums);
}

macro_rules! refused {
    ($($name:ident: $message:literal, |$f:ident| $call:expr;)+) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            #[allow(unused_mut, reason = "some calls read only")]
            let mut $f = field();
            let _ = $call;
        }
    )+};
}

refused! {
    run_beyond_the_last_step: "step 2 of 2", |f| f.run(Op::Gates(GatesOp { t: STEPS, ..f.gates_op() }), |_| ());
    run_of_a_layer_too_many: "layer 2 of 2", |f| f.run(Op::Gates(GatesOp { layer: 2, ..f.gates_op() }), |_| ());
    gates_with_h_per_token: "gates: buffer `h` is",
        |f| f.run(Op::Gates(GatesOp { h: f.logits, ..f.gates_op() }), |_| ());
    gates_with_c_in_rows: "gates: buffer `c` is",
        |f| f.run(Op::Gates(GatesOp { c: Some(f.h2), ..f.gates_op() }), |_| ());
    gates_without_c: "gates: `c` is for LSTM alone", |f| f.run(Op::Gates(GatesOp { c: None, ..f.gates_op() }), |_| ());
    gates_into_a_state: "gates: buffer `gates` is",
        |f| f.run(Op::Gates(GatesOp { gates: f.h2, ..f.gates_op() }), |_| ());
    gates_of_symbols_and_x: "reads symbols or a dense x, not both",
        |f| f.run(Op::Gates(GatesOp { x: Some(f.h2), ..f.gates_op() }), |_| ());
    gates_of_nothing: "reads symbols or a dense x, not both",
        |f| f.run(Op::Gates(GatesOp { layer: 1, ..f.gates_op() }), |_| ());
    gates_in_place_of_the_input: "gates: one buffer in two roles",
        |f| f.run(Op::Gates(GatesOp { layer: 1, x: Some(f.h), ..f.gates_op() }), |_| ());
    gates_with_too_few_symbols: "gates: 5 symbols for 6 tokens",
        |f| f.run(Op::Gates(f.gates_op()), |pass| pass.ids = &pass.ids[1..]);
    gates_with_a_copy_and_no_dropout: "gates: a dropped copy without dropout",
        |f| f.run(Op::Gates(GatesOp { dropped: Some(f.h2), ..f.gates_op() }), |_| ());
    gates_of_the_top_layer_with_a_copy_and_no_dropout_above: "gates: a dropped copy without dropout",
        |f| f.run(Op::Gates(GatesOp { layer: 1, x: Some(f.h2), dropped: Some(f.d_y), ..f.gates_op() }), |pass| {
            pass.dropout = Some(Dropout::new(0.5, 1, 0, 0));
        });
    gates_with_a_copy_of_other_form: "gates: buffer `dropped` is",
        |f| f.run(Op::Gates(GatesOp { dropped: Some(f.d_h), ..f.gates_op() }), |pass| {
            pass.dropout = Some(Dropout::new(0.5, 1, 0, 0));
        });
    readout_with_too_few_targets: "readout: 4 targets for 6 tokens",
        |f| f.run(Op::Readout(f.readout_op()), |pass| pass.targets = &pass.targets[2..]);
    readout_of_other_width: "readout: buffer `logits` is",
        |f| f.run(Op::Readout(ReadoutOp { logits: f.gates, ..f.readout_op() }), |_| ());
    readout_with_nats_elsewhere: "readout: buffer `nats` is",
        |f| f.run(Op::Readout(ReadoutOp { nats: f.d_h, ..f.readout_op() }), |_| ());
    head_grad_into_lanes: "head gradient: buffer `d_y` is",
        |f| f.run(Op::HeadGrad(HeadGradOp { t: 0, d_logits: f.logits, d_y: f.d_h }), |_| ());
    gate_grad_in_two_roles: "gate gradient: one buffer in two roles",
        |f| f.run(Op::GateGrad(GateGradOp { d_y: f.h, ..f.gate_grad_op() }), |_| ());
    gate_grad_with_d_c_per_row: "gate gradient: buffer `d_c` is",
        |f| f.run(Op::GateGrad(GateGradOp { d_c: Some(f.c), c: Some(f.d_c), ..f.gate_grad_op() }), |_| ());
    gate_grad_with_d_h_per_row: "gate gradient: buffer `d_h` is",
        |f| f.run(Op::GateGrad(GateGradOp { d_h: f.h2, ..f.gate_grad_op() }), |_| ());
    gates_with_a_buffer_for_no_second_product: "gates: `inner` is for a second product alone",
        |f| f.run(Op::Gates(GatesOp { inner: Some(f.h2), ..f.gates_op() }), |_| ());
    second_product_of_a_plain_layer: "second product: layer 0 has none",
        |f| f.run(Op::Inner(f.gates_op()), |_| ());
    gate_grad_of_no_projection: "gate gradient: `projection` is for a projected LSTM alone",
        |f| f.run(Op::GateGrad(GateGradOp { projection: Some((f.logits, f.h2)), ..f.gate_grad_op() }), |_| ());
    output_grad_of_a_plain_layer: "output gradient: layer 0 has no projection",
        |f| f.run(Op::OutputGrad(f.gate_grad_op()), |_| ());
    second_products_gradient_of_a_plain_layer: "second product's gradient: layer 0 has none",
        |f| f.run(Op::InnerGrad(f.gate_grad_op()), |_| ());
    input_grad_of_symbols: "input gradient: symbols have none",
        |f| f.run(Op::InputGrad(InputGradOp { layer: 0, ..f.input_grad_op() }), |_| ());
    input_grad_into_lanes: "input gradient: one buffer in two roles",
        |f| f.run(Op::InputGrad(InputGradOp { d_x: Some(f.d_h), ..f.input_grad_op() }), |_| ());

    input_grad_added_to_a_part_of_its_place: "input gradient: one buffer in two roles", |f| {
        let part = f.ws.window(f.d_y, 0, H);
        f.run(Op::InputGrad(InputGradOp { from: Some(part), ..f.input_grad_op() }), |_| ())
    };
    input_grad_added_to_lanes: "input gradient: buffer `d_x` is",
        |f| f.run(Op::InputGrad(InputGradOp { from: Some(f.nats), ..f.input_grad_op() }), |_| ());
    level_of_no_part: "begins no level", |f| f.run(Op::Level(LevelOp { parts: [None; 3], ..f.level_op() }), |_| ());
    level_in_the_place_of_a_part: "level: one buffer in two roles",
        |f| f.run(Op::Level(LevelOp { y: f.h, ..f.level_op() }), |_| ());
    level_of_other_columns: "level: buffer `y` is",
        |f| f.run(Op::Level(LevelOp { y: f.logits, ..f.level_op() }), |_| ());
    level_of_a_narrow_part: "level: buffer `a part` is", |f| {
        let part = f.ws.window(f.d_y, 0, H - 1);
        f.run(Op::Level(LevelOp { parts: [Some(f.h), Some(part), None], ..f.level_op() }), |_| ())
    };
    level_dropped_by_nothing: "level: a dropped copy without dropout",
        |f| f.run(Op::Level(LevelOp { parts: [Some(f.h), None, None], dropped: Some(f.d_y), ..f.level_op() }), |_| ());

    window_beyond_its_buffer: "a window of 17 columns from 16 on", |f| f.ws.window(f.h, 1, 17);
    window_that_wraps_around: "a window of 16 columns from", |f| f.ws.window(f.h, usize::MAX / 16, 16);
    window_of_panels: "a window of 16 columns from 0 on of Panels", |f| f.ws.window(f.c, 0, 16);
    window_as_a_whole: "a window is no buffer by itself", |f| { let w = f.ws.window(f.h, 0, 16); f.ws.buf(w).len() };
    window_read_beyond: "17 columns", |f| { let w = f.ws.window(f.h, 0, 16); f.ws.row(w, 0, 17).len() };
    weight_grad_beyond_a_window: "weight gradient: columns 10..17", |f| {
        let a = f.ws.window(f.h, 1, 4);
        Kernels::best().weight_grad(&f.ws, &f.tile(), (a, 10, None), &ALL, &mut [0.0; 7 * 64], Sums::default())
    };
    tile_beyond_a_window: "is not inside", |f| {
        let d = f.ws.add(Space::Tokens, Columns::RowMajor(48)).unwrap();
        let d = f.ws.window(d, 2, 16);
        f.weight_grad(WeightTile { d, first_vector: 1, vectors: 1, ..f.tile() }, 0, ALL, 16)
    };
    stack_of_nothing: "`hidden` is 0", |_f| Layout::stack(&StackShape::new(Cell::Gru, 3, 0, 2));

    tile_of_a_panel_too_many: "is not inside",
        |f| f.weight_grad(WeightTile { panel: 2, ..f.tile() }, 0, ALL, 64);
    tile_of_a_panel_far_away: "is not inside",
        |f| f.weight_grad(WeightTile { panel: usize::MAX / 8, ..f.tile() }, 0, ALL, 64);
    tile_beyond_its_panel: "is not inside",
        |f| f.weight_grad(WeightTile { first_vector: 1, ..f.tile() }, 0, ALL, 64);
    tile_that_wraps_around: "is not inside",
        |f| f.weight_grad(WeightTile { first_vector: usize::MAX, vectors: 1, ..f.tile() }, 0, ALL, 16);
    tile_of_plain_rows_that_wraps_around: "is not inside",
        |f| f.weight_grad(WeightTile { d: f.logits, first_vector: usize::MAX / 16 + 1, vectors: 1, ..f.tile() }, 0, ALL, 16);
    tile_of_five_vectors: "weight gradient: WeightTile", |f| f.weight_grad(WeightTile { vectors: 5, ..f.tile() }, 0, ALL, 80);
    tile_of_no_vector: "weight gradient: WeightTile", |f| f.weight_grad(WeightTile { vectors: 0, ..f.tile() }, 0, ALL, 80);
    tile_of_states: "weight gradient: WeightTile", |f| f.weight_grad(WeightTile { d: f.h, ..f.tile() }, 0, ALL, 64);
    tile_of_losses: "is not inside", |f| f.weight_grad(WeightTile { d: f.nats, vectors: 1, ..f.tile() }, 0, ALL, 16);
    weight_grad_of_half_a_row: "63 floats are no whole rows", |f| f.weight_grad(f.tile(), 0, ALL, 63);
    weight_grad_beyond_the_columns: "columns 30..", |f| f.weight_grad(f.tile(), 30, ALL, 64 * 20);
    weight_grad_that_wraps_around: "columns 18446744073709551615..", |f| f.weight_grad(f.tile(), usize::MAX, ALL, 64);
    weight_grad_of_lanes_too_many: "of 2 steps, 3 lanes", |f| f.weight_grad(f.tile(), 0, Part { steps: 2, lanes: 1..4 }, 64);
    weight_grad_of_steps_too_many: "of 2 steps, 3 lanes", |f| f.weight_grad(f.tile(), 0, Part { steps: 3, lanes: 0..3 }, 64);
    weight_grad_of_gates_by_gates: "weight gradient: a",
        |f| Kernels::best().weight_grad(&f.ws, &f.tile(), (f.gates, 0, None), &ALL, &mut [0.0; 64], Sums::default());
    symbol_grad_with_too_few_symbols: "symbol gradient",
        |f| Kernels::best().symbol_grad(&f.ws, &f.tile(), &f.ids[1..], &ALL, &mut [0.0; 64]);
    symbol_grad_of_half_a_row: "symbol gradient",
        |f| Kernels::best().symbol_grad(&f.ws, &f.tile(), &f.ids, &ALL, &mut [0.0; 65]);
    symbol_grad_of_lanes_too_many: "of 2 steps, 3 lanes",
        |f| Kernels::best().symbol_grad(&f.ws, &f.tile(), &f.ids, &Part { steps: 1, lanes: 0..9 }, &mut [0.0; 64]);
    sums_of_half_a_panel: "63 floats for sums of 0..4",
        |f| f.weight_grad_with(f.tile(), Sums { all: Some((0..4, &mut [0.0; 63])), ..Sums::default() });
    sums_of_vectors_beyond_the_panel: "is not inside",
        |f| f.weight_grad_with(f.tile(), Sums { all: Some((1..5, &mut [0.0; 64])), ..Sums::default() });
    sums_of_no_vector: "weight gradient: WeightTile",
        |f| f.weight_grad_with(f.tile(), Sums { all: Some((2..2, &mut [0.0; 64])), ..Sums::default() });
    sums_by_too_few_symbols: "weight gradient: symbols",
        |f| f.weight_grad_with(f.tile(), Sums { symbols: Some((0..4, &f.ids[1..], &mut [0.0; 64])), ..Sums::default() });
    sums_by_symbols_of_half_a_row: "weight gradient: symbols",
        |f| f.weight_grad_with(f.tile(), Sums { symbols: Some((0..4, &f.ids, &mut [0.0; 65])), ..Sums::default() });
    sums_by_symbols_of_vectors_beyond_the_panel: "is not inside",
        |f| f.weight_grad_with(f.tile(), Sums { symbols: Some((1..5, &f.ids, &mut [0.0; 64])), ..Sums::default() });
    peephole_grad_of_a_panel_too_many: "is not inside",
        |f| Kernels::best().peephole_grad(&f.ws, (f.gates, f.c), (2, Order::Ascending), &ALL, &mut [0.0; 48]);
    peephole_grad_of_other_length: "peephole gradient: 47 floats",
        |f| Kernels::best().peephole_grad(&f.ws, (f.gates, f.c), (0, Order::Ascending), &ALL, &mut [0.0; 47]);
    peephole_grad_of_c_in_rows: "peephole gradient: c is",
        |f| Kernels::best().peephole_grad(&f.ws, (f.gates, f.h), (0, Order::Ascending), &ALL, &mut [0.0; 48]);
    peephole_grad_of_c_per_lane: "peephole gradient: buffer `c` is",
        |f| Kernels::best().peephole_grad(&f.ws, (f.gates, f.d_c), (0, Order::Ascending), &ALL, &mut [0.0; 48]);

    start_rows_of_a_panel_too_many: "start rows: panel 2",
        |f| Kernels::best().start_rows(&f.layout.layers()[0], &f.params, None, (2, 0), &mut [0.0; 512]);
    start_rows_of_half_a_row: "start rows: 0..7",
        |f| Kernels::best().start_rows(&f.layout.layers()[0], &f.params, None, (0, 0), &mut [0.0; 511]);
    start_rows_beyond_the_last: "start rows: 1..9",
        |f| Kernels::best().start_rows(&f.layout.layers()[0], &f.params, None, (0, 1), &mut [0.0; 512]);
    start_rows_that_wrap_around: "start rows: 18446744073709551615..18446744073709551615",
        |f| Kernels::best().start_rows(&f.layout.layers()[0], &f.params, None, (0, usize::MAX), &mut [0.0; 512]);
    start_rows_of_an_embedding_that_is_not: "start rows: an embedding, or a layer of one",
        |f| Kernels::best().start_rows(
            &f.layout.layers()[0], &f.params, Some(Embedding { data: &[0.0; 512], rows: V }), (0, 0), &mut [0.0; 512],
        );
    start_rows_of_too_few_params: "out of range",
        |f| Kernels::best().start_rows(&f.layout.layers()[0], &f.params[..64], None, (0, 0), &mut [0.0; 512]);
    transpose_from_mid_vector: "transpose: column 3",
        |_f| Kernels::best().transpose(&[0.0; 256], Panels::fixed(1, 1), 16, (Panels::fixed(1, 1), 0), 3, &mut [0.0; 256]);
    transpose_of_a_panel_too_many: "panel 1",
        |_f| Kernels::best().transpose(&[0.0; 256], Panels::fixed(1, 1), 16, (Panels::fixed(1, 1), 1), 0, &mut [0.0; 256]);
    transpose_of_other_length: "transpose: 255 floats",
        |_f| Kernels::best().transpose(&[0.0; 256], Panels::fixed(1, 1), 16, (Panels::fixed(1, 1), 0), 0, &mut [0.0; 255]);

    weights_that_do_not_fill: "do not fill a layout",
        |f| { let _ = Weights::new(&f.layout, &f.params[1..], &f.start, &f.transposed); };
    layers_that_do_not_fit: "does not fit on the one below", |_f| {
        let layer = |inputs, hidden| LayerShape::new(Cell::Gru, Input::Dense(inputs), hidden);
        Layout::new(&[layer(3, 5), layer(6, 5)], None)
    };
    layers_of_a_form_that_their_cell_has_not: "`peepholes` is a form of the lstm, not of the gru", |_f| {
        let variant = Variant { peepholes: true, ..Variant::default() };
        Layout::new(&[LayerShape { variant, ..LayerShape::new(Cell::Gru, Input::Dense(3), 5) }], None)
    };
    layers_above_a_projection_that_read_its_units: "does not fit on the one below", |_f| {
        let variant = Variant { projection: Some(4), ..Variant::default() };
        let layer = |inputs| LayerShape { variant, ..LayerShape::new(Cell::Lstm, Input::Dense(inputs), 5) };
        Layout::new(&[layer(3), layer(5)], None)
    };
    layers_of_nothing: "has an empty dimension",
        |_f| Layout::new(&[LayerShape::new(Cell::Gru, Input::Dense(3), 0)], None);
    layers_too_wide_to_count: "has a dimension over",
        |_f| Layout::new(&[LayerShape::new(Cell::Rnn, Input::Dense(1 << 32), 1 << 32)], None);
    readouts_too_wide_to_count: "a readout of",
        |_f| Layout::new(&[LayerShape::new(Cell::Rnn, Input::Dense(3), 3)], Some(usize::MAX));
    symbols_above_the_first_layer: "does not fit on the one below", |_f| {
        let layer = |input| LayerShape::new(Cell::Rnn, input, 5);
        Layout::new(&[layer(Input::Symbols(5)), layer(Input::Embedded { vocab: 7, width: 5 })], None)
    };
    embeddings_of_no_symbol: "has an empty dimension", |_f| {
        Layout::new(&[LayerShape::new(Cell::Rnn, Input::Embedded { vocab: 0, width: 5 }, 3)], None)
    };
    embeddings_too_long_to_count: "has a dimension over", |_f| {
        let input = Input::Embedded { vocab: usize::MAX, width: 5 };
        Layout::new(&[LayerShape::new(Cell::Rnn, input, 3)], None)
    };
    tied_to_no_readout: "is tied to a readout of None symbols",
        |_f| Layout::new(&[LayerShape::new(Cell::Rnn, Input::Tied(7), 3)], None);
    tied_to_a_readout_of_others: "is tied to a readout of Some(8) symbols over 3 units",
        |_f| Layout::new(&[LayerShape::new(Cell::Rnn, Input::Tied(7), 3)], Some(8));
    tied_and_of_other_width: "a tied embedding has the 20 columns of the readout, not 5",
        |_f| Layout::character_model(Cell::Gru, 1, 20, V, 5, true);
    panels_of_five_vectors: "a panel is one to four vectors", |_f| Panels::fixed(5, 5);
    tokens_too_many: "do not fit 32-bit rows", |_f| Tokens::rectangular(1 << 20, 1 << 12);
    a_lane_too_many: "no token at step 0, lane 3", |f| f.ws.tokens().token(0, 3);
    a_step_too_many: "no token at step 2, lane 0", |f| f.ws.tokens_mut().reset(2, 0);
    a_row_too_many: "row 10 of 10", |f| f.ws.row(f.h, 10, H).is_empty();
    columns_too_many: "49 columns", |f| f.ws.row(f.d_h, 0, 49).is_empty();
    a_vector_too_many: "vector 2 of 2", |f| f.ws.vector(f.c, 2, 0).is_empty();
    a_copy_of_a_row_too_many: "rows 1, 10 of 10", |f| f.ws.copy_row(f.h, 1, 10);
    // SAFETY: never used for an operation.
    a_share_cut_outside: "lanes 1..4 are not inside 0..3", |f| { let share = f.ws.share(); let _ = unsafe { share.block(1..4) }; };
    dropout_of_everything: "a dropout probability is in [0, 1), not 1", |_f| Dropout::new(1.0, 1, 0, 0);
    dropout_of_nan: "a dropout probability is in [0, 1), not NaN", |_f| Dropout::new(f64::NAN, 1, 0, 0);
}

/// A buffer whose size wraps around is refused, not made small.
#[test]
fn sizes_that_overflow_are_out_of_memory() {
    let mut ws = Workspace::new(Tokens::rectangular(2, 3));
    for columns in [
        Columns::RowMajor(usize::MAX),
        Columns::RowMajor(usize::MAX / 8),
        Columns::Panels(Panels::fixed(usize::MAX, 1)),
        Columns::Panels(Panels::fixed(1 << 60, 4)),
    ] {
        assert!(ws.add(Space::Rows, columns).is_err(), "{columns:?}");
    }
}
