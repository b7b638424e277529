"""The character model: it learns, is saved, loaded and asked, and writes as an iterator."""

import itertools

import numpy as np
import pytest

import gatemill

TEXT = "to be or not to be that is the question "


@pytest.fixture(scope="module")
def model():
    model = gatemill.CharLM(TEXT, layers=1, hidden=24, batch=1, seq=10, lr=0.02)
    ids = model.encode(TEXT * 2)[:, None]
    losses = []
    for step in range(200):
        at = 10 * step % len(TEXT)
        losses.append(model.train_step(ids[at : at + 10], ids[at + 1 : at + 11]))
    assert losses[0] > 2 and losses[-1] < 0.3, (losses[0], losses[-1])
    return model


def test_it_writes_what_it_learned_symbol_by_symbol(model):
    text = model.generate("to be or ", length=20, temperature=0)
    first = next(text)
    assert iter(text) is text and first == "n"
    assert first + "".join(text) == "not to be that is th"
    with pytest.raises(StopIteration):
        next(text)
    assert list(model.generate("be", length=0)) == []
    endless = model.generate("to", length=2**63)
    assert len("".join(itertools.islice(endless, 100))) == 100


def test_a_text_is_a_function_of_seed_and_sample(model):
    write = lambda **options: "".join(model.generate("to", 60, 1.5, **options))
    assert write(seed=5) == write(seed=5)
    assert len({write(seed=5), write(seed=6), write(seed=5, sample=1)}) == 3
    assert write(top_k=1) == "".join(model.generate("to", 60, 0))
    assert model.generate("éto").unseen == 1
    for wrong in [dict(top_p=0.0), dict(min_p=2.0), dict(repetition_penalty=0.0)]:
        with pytest.raises(ValueError, match=next(iter(wrong)).replace("_", "-")):
            model.generate("to", **wrong)
    with pytest.raises(ValueError, match="temperature"):
        model.generate("to", temperature=-1.0)


def test_logits_carry_their_state_and_batches_are_texts_beside_each_other(model):
    whole = model.logits("to be or")
    assert whole.shape == (8, len(model.vocab)) and whole.dtype == np.float32
    state = model.state()
    parts = np.concatenate([model.logits("to b", state), model.logits("e or", state)])
    np.testing.assert_array_equal(parts, whole)
    assert model.vocab[whole[-1].argmax()] == " "
    ids = np.stack([model.encode("to be or"), model.encode("question")], 1)
    both = model.logits(ids)
    np.testing.assert_array_equal(both[:, 0], whole)
    np.testing.assert_array_equal(both[:, 1], model.logits("question"))
    assert model.logits("").shape == (0, len(model.vocab))
    with pytest.raises(TypeError):
        model.logits(whole)
    with pytest.raises(ValueError, match="of 2 texts"):
        model.logits("to", model.state(2))


def test_it_survives_its_file(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    for other in [gatemill.CharLM.load(path), gatemill.CharLM.load(str(path))]:
        assert other.config == model.config and other.vocab == model.vocab == "".join(sorted(set(TEXT)))
        np.testing.assert_array_equal(other.logits("to be"), model.logits("to be"))
    assert model.config["hidden"] == 24


def test_what_is_no_model_is_an_os_error_that_names_it(tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\x80\x02 a pickle")
    for path in [bad, tmp_path / "missing.safetensors", tmp_path]:
        with pytest.raises(OSError, match=str(path.name)):
            gatemill.CharLM.load(path)
    with pytest.raises(ValueError, match="unknown field"):
        gatemill.CharLM("ab", no_such=3)
    with pytest.raises(ValueError, match="layers"):
        gatemill.CharLM("ab", layers=0)


def test_a_model_over_bytes_writes_whole_characters():
    model = gatemill.CharLM("", vocab="bytes", layers=1, hidden=24, batch=1, seq=9, lr=0.05)
    assert model.vocab == bytes(range(256))
    ids = model.encode("é→x" * 20)[:, None]
    assert len(ids) == 6 * 20
    for step in range(150):
        at = 9 * step % 60
        model.train_step(ids[at : at + 9], ids[at + 1 : at + 10])
    text = list(model.generate("é→x", length=12, temperature=0))
    assert text == ["é", "→", "x", "é", "→", "x"]
    # Cut in the middle of a character: what is there of it is shown as a replacement.
    assert list(model.generate("é→x", length=3, temperature=0)) == ["é", "\ufffd"]


def test_a_model_that_is_being_read_is_not_trained():
    model = gatemill.CharLM("ab", layers=1, hidden=8, batch=1, seq=2)
    ids = np.zeros((2, 1), int)
    text = model.generate("a")
    next(text)
    with pytest.raises(RuntimeError, match="being written"):
        model.train_step(ids, ids)
    del text
    assert model.train_step(ids, ids) > 0
    with pytest.raises(ValueError, match="2"):
        model.train_step(ids[:1], ids[:1])
