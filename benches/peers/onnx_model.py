"""The model as an ONNX graph, laid out node by node: rows of an identity, one LSTM, GRU or RNN operator per layer, a readout.

    x [T, B] -> Gather -> [T, B, V] -> layers -> [T, B, H] -> MatMul, Add -> logits [T, B, V]

With `loss` the graph goes on to the mean cross-entropy of the targets y [T, B, 1]. States are inputs and outputs,
[1, B, H] per layer. Weights are random: only their shapes matter to the clock. The GRU resets after the product, as
PyTorch's and Gatemill's do.
"""
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from measure import VOCAB

OPERATORS = {"lstm": ("LSTM", 4), "gru": ("GRU", 3), "rnn": ("RNN", 1)}
OPSET, IR = 17, 8


def session(args, loss):
    """(session, names of states in, names of states out, learned parameters)."""
    operator, gates = OPERATORS[args.cell]
    kinds = ["h", "c"] if args.cell == "lstm" else ["h"]
    random = np.random.default_rng(1)
    nodes, weights, states_in, states_out = [], [], [], []

    def weight(name, *shape):
        bound = args.hidden ** -0.5
        weights.append(numpy_helper.from_array(random.uniform(-bound, bound, shape).astype(np.float32), name))
        return name

    nodes.append(helper.make_node("Gather", ["identity", "x"], ["rows"]))
    below, width = "rows", VOCAB
    for at in range(args.layers):
        hidden = args.hidden
        inputs = [below, weight(f"W{at}", 1, gates * hidden, width), weight(f"R{at}", 1, gates * hidden, hidden),
                  weight(f"B{at}", 1, 2 * gates * hidden), "", *[f"{kind}{at}" for kind in kinds]]
        outputs = [f"Y{at}", *[f"{kind}{at}_next" for kind in kinds]]
        states_in += inputs[5:]
        states_out += outputs[1:]
        extra = {"linear_before_reset": 1} if args.cell == "gru" else {}
        nodes.append(helper.make_node(operator, inputs, outputs, hidden_size=hidden, **extra))
        nodes.append(helper.make_node("Squeeze", [f"Y{at}", "direction"], [f"out{at}"]))
        below, width = f"out{at}", hidden
    nodes.append(helper.make_node("MatMul", [below, weight("W_out", args.hidden, VOCAB)], ["scores"]))
    nodes.append(helper.make_node("Add", ["scores", weight("b_out", VOCAB)], ["logits"]))
    parameters = sum(int(np.prod(w.dims)) for w in weights)
    weights.append(numpy_helper.from_array(np.eye(VOCAB, dtype=np.float32), "identity"))
    weights.append(numpy_helper.from_array(np.array([1], np.int64), "direction"))

    inputs = [helper.make_tensor_value_info("x", TensorProto.INT64, ["T", "B"])]
    result = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["T", "B", VOCAB])
    if loss:
        inputs.append(helper.make_tensor_value_info("y", TensorProto.INT64, ["T", "B", 1]))
        nodes.append(helper.make_node("LogSoftmax", ["logits"], ["log_p"], axis=-1))
        nodes.append(helper.make_node("GatherElements", ["log_p", "y"], ["log_p_y"], axis=-1))
        nodes.append(helper.make_node("ReduceMean", ["log_p_y"], ["mean"], keepdims=0))
        nodes.append(helper.make_node("Neg", ["mean"], ["loss"]))
        result = helper.make_tensor_value_info("loss", TensorProto.FLOAT, [])
    inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "B", args.hidden]) for name in states_in]
    outputs = [result, *[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "B", args.hidden]) for name in states_out]]
    graph = helper.make_graph(nodes, "model", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    made = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return made, states_in, [result.name, *states_out], parameters


def zeros(names, args, lanes):
    return {name: np.zeros((1, lanes, args.hidden), np.float32) for name in names}
