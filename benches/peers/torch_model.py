"""The model in PyTorch: one-hot symbols, recurrent layers, a readout. Its parameters are those that Gatemill counts.

The one-hot input has two forms that give the recurrent layers the same numbers: `F.one_hot`, or rows of a frozen identity.
"""
import os
import torch, torch.nn as nn, torch.nn.functional as F
from measure import VOCAB

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}


class Model(nn.Module):
    def __init__(self, cell, layers, hidden, identity):
        super().__init__()
        self.rows = nn.Embedding.from_pretrained(torch.eye(VOCAB)) if identity else None
        self.rnn, self.head = LAYERS[cell](VOCAB, hidden, layers), nn.Linear(hidden, VOCAB)

    def forward(self, x, state=None):
        rows = F.one_hot(x, VOCAB).float() if self.rows is None else self.rows(x)
        out, state = self.rnn(rows, state)
        return self.head(out), state

    def learned(self):
        return [p for p in self.parameters() if p.requires_grad]


def detached(state):
    return state.detach() if torch.is_tensor(state) else tuple(s.detach() for s in state)


def settle(threads):
    """Threads and seed of this process; OMP_NUM_THREADS is set by who starts it."""
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    assert os.environ.get("OMP_NUM_THREADS") == str(threads), "start this with OMP_NUM_THREADS set to --threads"
