//! Every token has its row, in its lane's order, whatever the form of the batch.

use super::*;

/// Row of the state before (t, lane), by the meaning of it.
fn meant(tokens: &Tokens, order: Order, (t, lane): (usize, usize)) -> usize {
    let last = tokens.length(lane) - 1;
    match order {
        Order::Ascending if t > 0 => tokens.row(tokens.token(t - 1, lane)),
        Order::Descending if t < last => tokens.row(tokens.token(t + 1, lane)),
        _ => tokens.carried_row(lane),
    }
}

#[test]
fn previous_rows_stay_in_their_lane_in_both_orders() {
    for sizes in [&[3, 3, 3, 3, 3][..], &[5, 5, 4, 2, 2, 1], &[1], &[7, 1]] {
        let mut tokens = Tokens::new(Batch::Packed { batch_sizes: sizes }).unwrap();
        let whole = tokens.clone();
        if sizes.len() > 2 && sizes[2] > 1 {
            tokens.reset(2, 1);
            tokens.reset(0, 0);
        }
        let mut n = 0;
        for (t, &lanes) in sizes.iter().enumerate() {
            assert_eq!(tokens.lanes_at(t), lanes);
            for lane in 0..lanes {
                assert_eq!(tokens.token(t, lane), n);
                for order in [Order::Ascending, Order::Descending] {
                    let cut = match order {
                        Order::Ascending => [(2, 1), (0, 0)].contains(&(t, lane)) && sizes.len() > 2,
                        Order::Descending => (t, lane) == (1, 1) && sizes.len() > 2,
                    };
                    let want = if cut { 0 } else { meant(&tokens, order, (t, lane)) };
                    assert_eq!(tokens.prev_rows(order)[n] as usize, want, "{sizes:?} {order:?} step {t}, lane {lane}");
                }
                n += 1;
            }
        }
        assert_eq!((tokens.count(), tokens.count_of(sizes.len())), (n, n));
        let lengths: Vec<usize> = (0..tokens.lanes()).map(|lane| tokens.length(lane)).collect();
        assert!((0..sizes.len()).all(|t| lengths.iter().filter(|&&len| len > t).count() == sizes[t]));
        tokens.clear_resets();
        assert_eq!((tokens.before, tokens.behind), (whole.before, whole.behind));
    }
}

#[test]
fn blocks_of_lanes_lie_apart_and_leave_numbers_alone() {
    for (steps, lanes, blocks, borders) in [
        (4, 6, 2, &[0, 3, 6][..]),
        (3, 7, 3, &[0, 2, 4, 7]),
        (2, 5, 5, &[0, 1, 2, 3, 4, 5]),
        (1, 4, 2, &[0, 2, 4]),
        (3, 2, 4, &[0, 2]),
        (5, 3, 1, &[0, 3]),
    ] {
        let mut tokens = Tokens::in_blocks(steps, lanes, blocks);
        let whole = tokens.clone();
        if steps > 2 {
            tokens.reset(2, 1);
        }
        let mut places = Vec::new();
        for t in 0..steps {
            for lane in 0..lanes {
                let (number, place) = (tokens.number(t, lane), tokens.token(t, lane));
                assert_eq!((number, tokens.order()[number] as usize), (t * lanes + lane, place));
                places.push(place);
                for order in [Order::Ascending, Order::Descending] {
                    let is_cut = match order {
                        Order::Ascending => (t, lane) == (2, 1),
                        Order::Descending => (t, lane) == (1, 1) && steps > 2,
                    };
                    let want = if is_cut { 0 } else { meant(&tokens, order, (t, lane)) };
                    assert_eq!(tokens.prev_rows(order)[place] as usize, want, "{order:?} step {t}, lane {lane}");
                }
            }
        }
        // A block's tokens are one stretch, step by step.
        let mut next = 0;
        for block in borders.windows(2) {
            let lanes = block[0]..block[1];
            assert!(lanes.clone().all(|lane| tokens.block_end(lane) == lanes.end));
            let stretches: Vec<_> = tokens.stretches(0..steps, &lanes, true).map(|s| (s.token, s.count)).collect();
            assert_eq!(stretches, [(next, steps * lanes.len())]);
            for (t, stretch) in tokens.stretches(0..steps, &lanes, false).enumerate() {
                assert_eq!((stretch.t, stretch.lane, stretch.token), (t, lanes.start, next));
                assert!(lanes.clone().all(|lane| tokens.token(t, lane) == next + lane - lanes.start));
                next += stretch.count;
            }
            assert!(lanes.clone().all(|lane| tokens.lane_shift(lane) == tokens.lane_shift(lanes.start)));
        }
        places.sort_unstable();
        assert!(places.into_iter().eq(0..steps * lanes));
        let rows: Vec<usize> = (0..lanes).map(|lane| tokens.lane_row(lane)).collect();
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]) && rows[lanes - 1] + 1 == tokens.lane_rows());
        assert_eq!(tokens.lane_rows() - lanes, LANE_GAP * (borders.len() - 2));
        tokens.clear_resets();
        assert_eq!((tokens.before, tokens.behind), (whole.before, whole.behind));
    }
    // Lanes that end early are one block.
    let mut tokens = Tokens::in_blocks(2, 2, 2);
    let batch = Batch::Packed { batch_sizes: &[3, 1] };
    tokens.place(batch, 4, 2).unwrap();
    assert_eq!((tokens.blocks(), tokens.lane_rows(), Tokens::lane_rows_of(batch, 2)), (1, 3, 3));
}

#[test]
fn an_even_batch_is_a_packed_one_of_equal_sizes() {
    let even = Tokens::new(Batch::Even { steps: 4, lanes: 3 }).unwrap();
    let packed = Tokens::new(Batch::Packed { batch_sizes: &[3; 4] }).unwrap();
    assert_eq!(format!("{even:?}"), format!("{packed:?}"));
    assert_eq!(format!("{even:?}"), format!("{:?}", Tokens::rectangular(4, 3)));
}

#[test]
fn the_last_row_of_a_lane_is_that_of_its_last_token() {
    let tokens = Tokens::new(Batch::Packed { batch_sizes: &[3, 2, 2, 1] }).unwrap();
    let last = |steps, order| (0..3).map(|lane| tokens.last_row(steps, lane, order) - 4).collect::<Vec<_>>();
    assert_eq!(last(4, Order::Ascending), [7, 6, 2]);
    assert_eq!(last(2, Order::Ascending), [3, 4, 2]);
    assert_eq!(last(4, Order::Descending), [0, 1, 2]);
    assert_eq!(tokens.last_row(0, 1, Order::Ascending), tokens.carried_row(1));
}

#[test]
fn pieces_have_about_as_many_tokens_each() {
    let tokens = |lengths: &[usize]| {
        let sizes: Vec<usize> = (0..lengths[0]).map(|t| lengths.iter().filter(|&&length| length > t).count()).collect();
        Tokens::new(Batch::Packed { batch_sizes: &sizes }).unwrap()
    };
    let falling: Vec<usize> = (0..64).map(|lane| 400 - lane * 390 / 63).collect();
    for lengths in [&falling[..], &[400, 10, 10, 10], &[9, 9, 9, 9, 9], &[5], &[100, 99, 3, 2, 1, 1, 1]] {
        let tokens = tokens(lengths);
        for steps in [lengths[0], lengths[0].div_ceil(2), 1] {
            let length = |lane: usize| lengths[lane].min(steps);
            let longest = length(0);
            for pieces in 1..9 {
                let mut next = 0;
                for piece in 0..pieces {
                    let lanes = tokens.piece(steps, piece, pieces);
                    assert_eq!(lanes.start, next);
                    next = lanes.end;
                    let sum: usize = lanes.map(length).sum();
                    let even = tokens.count_of(steps) as f64 / pieces as f64;
                    assert!((sum as f64 - even).abs() <= longest as f64, "{sum} tokens of {even} in {pieces}");
                }
                assert_eq!(next, lengths.len());
            }
        }
    }
    // Even lane blocks would give the first of two workers 79 % of this.
    assert_eq!(tokens(&falling).piece(400, 0, 2), 0..19);
}

#[test]
fn batches_of_a_wrong_form_are_refused() {
    let packed = |batch_sizes| Tokens::new(Batch::Packed { batch_sizes }).map(|_| ()).unwrap_err();
    assert_eq!(packed(&[]), BatchError::Empty { steps: 0, lanes: 0 });
    assert_eq!(packed(&[3, 0]), BatchError::NoLane { step: 1 });
    assert_eq!(packed(&[0]), BatchError::NoLane { step: 0 });
    assert_eq!(packed(&[3, 2, 3]), BatchError::Rising { step: 2, found: 3, before: 2 });
    assert_eq!(packed(&[usize::MAX, usize::MAX]), BatchError::TooLarge { tokens: usize::MAX, lanes: usize::MAX });
    let even = |steps, lanes| Tokens::new(Batch::Even { steps, lanes }).map(|_| ()).unwrap_err();
    assert_eq!(even(0, 4), BatchError::Empty { steps: 0, lanes: 4 });
    assert_eq!(even(4, 0), BatchError::Empty { steps: 4, lanes: 0 });
    assert_eq!(even(1 << 20, 1 << 12), BatchError::TooLarge { tokens: 1 << 32, lanes: 1 << 12 });
    assert_eq!(even(usize::MAX, 2), BatchError::TooLarge { tokens: usize::MAX, lanes: 2 });
}
