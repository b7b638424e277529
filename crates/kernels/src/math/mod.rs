//! exp, sigmoid, tanh over sixteen lanes: method, constants, error bound. Written once over `Vector`.

mod exp;
mod sigmoid;
mod tanh;

pub(crate) use exp::exp;
pub(crate) use sigmoid::sigmoid;
pub(crate) use tanh::tanh;
