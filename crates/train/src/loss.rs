//! The loss of a chunk: nats summed in a fixed order in f64.
//!
//! Each lane's tokens in time order, lanes of a shard in order, shards by the fixed tree (0+1)+(2+3): the same on any
//! number of threads, and on any number of ranks that own whole shards.

/// `a[0]` becomes the sum by the tree that the gradients of shards take too.
pub(crate) fn tree(a: &mut [f64]) -> f64 {
    let mut stride = 1;
    while stride < a.len() {
        for s in (0..a.len() - stride).step_by(2 * stride) {
            a[s] += a[s + stride];
        }
        stride *= 2;
    }
    a.first().copied().unwrap_or(0.0)
}

/// Adds each lane's losses `[steps, B]` to its sum, in time order.
pub(crate) fn by_lane(nats: &[f32], lane_nats: &mut [f64]) {
    for step in nats.chunks_exact(lane_nats.len()) {
        for (sum, &x) in lane_nats.iter_mut().zip(step) {
            *sum += f64::from(x);
        }
    }
}

#[cfg(test)]
#[allow(non_snake_case, reason = "fault tests carry the ids of the fault catalogue")]
mod tests {
    use super::*;

    #[test]
    fn fault_N09_a_sum_over_a_billion_steps_keeps_its_digits() {
        // Where a sum in f32 stands still: 2.3 nats more are below its last digit.
        let mut lanes = [2.3e9, 0.0];
        assert_eq!(2.3e9_f32 + 2.3, 2.3e9_f32);
        for _ in 0..10_000 {
            by_lane(&[2.3, 1e-3], &mut lanes);
        }
        let (large, small) = (2.3e9 + 1e4 * f64::from(2.3_f32), 1e4 * f64::from(1e-3_f32));
        assert!((lanes[0] - large).abs() < 1e-11 * large && (lanes[1] - small).abs() < 1e-11 * small, "{lanes:?}");
        // The mean of such a sum, as an epoch reports it.
        let mean = tree(&mut lanes) / 1e9;
        assert!((mean - (large + small) / 1e9).abs() < 1e-10, "{mean}");
    }

    #[test]
    fn the_tree_adds_everything_once() {
        for n in 0..9 {
            let mut a: Vec<f64> = (0..n).map(|i| f64::from(1 << i)).collect();
            assert_eq!(tree(&mut a), f64::from((1 << n) - 1));
        }
    }

    #[test]
    fn lanes_add_up_in_time_order() {
        let mut lanes = [0.0; 2];
        by_lane(&[1.0, 10.0, 2.0, 20.0], &mut lanes);
        assert_eq!(lanes, [3.0, 30.0]);
    }
}
