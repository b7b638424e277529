"""What PyTorch makes of a model with these layers: traces, ONNX files, exported and compiled programs, functions of torch.func."""

import io

import pytest
import torch
from layers import B, H, I, NAMES, T, pair

import gatemill.torch

pytestmark = pytest.mark.filterwarnings("ignore")
# Debian's PyTorch has no torch.compile, torch.export and torch.func: their tests are there where a newer one runs these files.


class Model(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.readout = layer, torch.nn.Linear(H, 3)

    def forward(self, x):
        return self.readout(torch.tanh(self.layer(x * 2)[0]))


@pytest.fixture(params=NAMES)
def model(request):
    return Model(pair(request.param, I, H, 2)[1])


def test_a_trace_runs_without_gatemill(model):
    x = torch.randn(T, B, I)
    traced = torch.jit.trace(model, x)
    kind = type(model.layer).__name__.lower()
    assert f"aten::{kind}" in str(traced.inlined_graph)
    assert torch.allclose(traced(x), model(x), atol=1e-5)
    saved = io.BytesIO()
    torch.jit.save(traced, saved)
    saved.seek(0)
    assert torch.allclose(torch.jit.load(saved)(x), model(x), atol=1e-5)


def test_an_onnx_file_is_that_of_pytorchs_layers(model):
    x, found = torch.randn(T, B, I), []
    theirs = Model(getattr(torch.nn, type(model.layer).__name__)(I, H, 2))
    theirs.load_state_dict(model.state_dict())
    options = dict(dynamo=False) if torch.__version__ > "2.5" else {}
    for each in (model, theirs):
        written = io.BytesIO()
        torch.onnx.export(each.eval(), (x,), written, **options)
        found.append(len(written.getvalue()))
    assert found[0] == found[1] > 0


def test_a_script_is_refused_with_what_to_do_and_the_model_stays_as_it_is(model):
    kind = type(model.layer)
    with pytest.raises(RuntimeError, match=rf"torch\.jit\.trace.*torch\.nn\.{kind.__name__}, which takes the same state_dict"):
        torch.jit.script(model)
    assert type(model.layer) is kind


if hasattr(torch, "compile"):

    def test_a_compiled_model_computes_in_gatemill_between_two_graphs(model):
        compiled = torch.compile(model, backend="eager")
        for steps in (T, 3, 9):
            x = torch.randn(steps, B, I)
            found = []
            for each in (compiled, model):
                model.zero_grad()
                y = each(x)
                y.square().sum().backward()
                found.append([y.detach(), *(p.grad.clone() for p in model.parameters())])
            for a, b in zip(*found):
                assert torch.equal(a, b)
        assert torch._dynamo.explain(model)(torch.randn(T, B, I)).graph_break_count <= 2


if hasattr(torch, "export"):

    @pytest.mark.parametrize("is_strict", [False, True])
    def test_an_exported_program_runs_without_gatemill(model, is_strict):
        x = torch.randn(T, B, I)
        program = torch.export.export(model.eval(), (x,), strict=is_strict)
        assert "gatemill" not in str(program.graph)
        assert torch.allclose(program.module()(x), model(x), atol=1e-5)


if hasattr(torch, "func"):

    @pytest.mark.parametrize("name", NAMES)
    def test_gradients_of_torch_func_are_pytorchs(name):
        theirs, ours = pair(name, I, H)
        x = torch.randn(T, B, I)
        loss = lambda parameters, layer: torch.func.functional_call(layer, parameters, (x,))[0].square().sum()
        expected, found = [torch.func.grad(loss)(dict(layer.named_parameters()), layer) for layer in (theirs, ours)]
        for key, gradient in expected.items():
            assert torch.allclose(found[key], gradient, atol=1e-5), key


@pytest.mark.parametrize("name", NAMES)
def test_parameters_that_are_computed_get_their_gradients_through(name):
    """DropConnect as in AWD-LSTM: a weight is no parameter but made of one before each pass."""
    found = []
    for layer in pair(name, I, H):
        raw = torch.nn.Parameter(layer.weight_hh_l0.detach().clone())
        del layer._parameters["weight_hh_l0"]
        layer.register_parameter("weight_hh_l0_raw", raw)
        for seed in range(2):
            kept = torch.bernoulli(torch.full_like(raw, 0.5), generator=torch.Generator().manual_seed(seed))
            layer.weight_hh_l0 = raw * kept * 2
            y = layer(torch.ones(T, B, I))[0]
            y.sum().backward()
        found.append((y.detach(), raw.grad))
    for a, b in zip(*found):
        assert torch.allclose(a, b, atol=1e-5)
