//! RNN, LSTM, GRU: layers and stacks through time, forward and backward, hand-derived.
