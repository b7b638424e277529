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
mod tests {
    use super::*;

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
