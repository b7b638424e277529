"""The package itself: its version, its names, its help and its stubs."""

import importlib.metadata
import importlib.resources
import inspect
import re

import gatemill


def test_version_is_the_distributions():
    assert gatemill.__version__ == importlib.metadata.version("gatemill")
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", gatemill.__version__)
    assert gatemill.isa() in {"avx512", "avx2", "portable"}


def test_every_public_name_is_there_and_tells_what_it_does():
    for name in set(gatemill.__all__) - {"torch"}:
        thing = getattr(gatemill, name)
        assert inspect.getdoc(thing), name
    for cls in [gatemill.LSTM, gatemill.GRU, gatemill.RNN]:
        assert "Args:" in inspect.getdoc(cls)
        for method in ["forward", "step"]:
            assert "[" in inspect.getdoc(getattr(cls, method)), "help tells the shapes"


def test_stubs_name_what_the_compiled_part_has():
    files = importlib.resources.files(gatemill)
    assert files.joinpath("py.typed").is_file()
    stub = files.joinpath("_core.pyi").read_text()
    for name, thing in vars(gatemill._core).items():
        if name.startswith("__") and name != "__version__" or name == "__all__":
            continue
        assert re.search(rf"^(def|class) {name}\b|^{name}:", stub, re.MULTILINE), name
        for method in [m for m in vars(thing) if not m.startswith("_")] if inspect.isclass(thing) else []:
            assert re.search(rf"\b(def )?{method}\b", stub), f"{name}.{method}"
