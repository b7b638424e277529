"""``CharLM``: a character model of Gatemill's, from its file; text symbol by symbol, logits, training steps."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from gatemill import _core
from gatemill._core import State


class Text(Iterator[str]):
    """A text in the making: an iterator of its symbols, drawn as they are asked for.

    ``unseen`` counts symbols of the prime that the model never saw; they were read as nothing.
    """

    def __init__(self, text: _core.Text) -> None:
        self._text = text
        # A model over bytes draws the bytes of a character one by one.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.unseen = text.unseen

    def __next__(self) -> str:
        while (symbol := self._text.next()) is not None:
            if piece := self._decoder.decode(symbol):
                return piece
        if piece := self._decoder.decode(b"", True):
            self._decoder.reset()
            return piece
        raise StopIteration


class CharLM:
    """A character model: it was trained by ``gatemill train``, or is by ``train_step``.

        model = gatemill.CharLM.load("runs/shakespeare")     a .safetensors file, or a run folder: its best checkpoint
        print("".join(model.generate("ROMEO:", length=200)))

    It runs on as many threads as ``set_num_threads`` asked for when it was made. A child process loads it again.
    """

    def __init__(self, characters: str, **config: Any) -> None:
        """A model with initial weights over the characters of a text. The configuration has the names of ``gatemill train``:
        cell, layers, hidden, batch, seq, lr, ... Raises ValueError for one that cannot be."""
        named = {name.replace("_", "-"): value for name, value in config.items()}
        self._of(_core.CharLm.new(characters, json.dumps(named)))

    def _of(self, core: _core.CharLm) -> None:
        self._core = core
        self._symbols = core.symbols

    @classmethod
    def load(cls, path: str | PathLike[str]) -> CharLM:
        """The model of a ``.safetensors`` file, or of a run folder: its best, else its newest checkpoint.

        Raises OSError, whose text says which file and why.
        """
        model = cls.__new__(cls)
        model._of(_core.CharLm.load(path))
        return model

    def save(self, path: str | PathLike[str]) -> None:
        """Saves the model; at every moment the old file or the new one is whole."""
        self._core.save(path)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that it was made with, by the names of ``gatemill train``."""
        return {name.replace("-", "_"): value for name, value in json.loads(self._core.config).items()}

    @property
    def vocab(self) -> str | bytes:
        """Its V symbols by id: characters, or all bytes."""
        return bytes(self._symbols) if self._core.reads_bytes else "".join(map(chr, self._symbols))

    @property
    def notices(self) -> list[str]:
        """What should be known about the file that was loaded, a sentence each."""
        return self._core.notices

    def encode(self, text: str) -> npt.NDArray[np.uint32]:
        """The ids of a text, [T]; a character that the model never saw has id V."""
        return np.array(self._core.encode(text), np.uint32)

    def generate(
        self,
        prime: str = "",
        length: int = 500,
        temperature: float = 0.8,
        *,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        repetition_window: int = 64,
        seed: int = 1,
        sample: int = 0,
    ) -> Text:
        """Writes a text of ``length`` symbols after ``prime``, as an iterator of str: a symbol when it is asked for.

        temperature 0 takes the most likely symbol. top_k 0, top_p 1, min_p 0 and repetition_penalty 1 are off. The text is a
        function of the weights, these options and (seed, sample): the same on every machine.
        """
        return Text(
            self._core.generate(
                prime,
                length=length,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                min_p=min_p,
                repetition_penalty=repetition_penalty,
                repetition_window=repetition_window,
                seed=seed,
                sample=sample,
            )
        )

    def state(self, batch: int = 1) -> State:
        """The zero state of so many texts beside each other, for ``logits``."""
        return self._core.state(batch)

    def logits(self, text: str | npt.NDArray[Any], state: State | None = None) -> npt.NDArray[np.float32]:
        """The logits of the symbol after each one of ``text``; reads from ``state``, zeros where it is left out, which becomes
        the state after them.

        Shapes: a str gives [T, V]; ids [T] give [T, V]; ids [T, B] with a state of B texts give [T, B, V].
        """
        ids = self.encode(text) if isinstance(text, str) else np.asarray(text)
        if ids.dtype.kind not in "iu" or ids.ndim not in (1, 2):
            raise TypeError("`text` must be a str, or an array [T] or [T, B] of whole numbers")
        if ids.size and (ids.min() < 0 or ids.max() >= 1 << 32):
            raise ValueError("ids are from 0 to V")
        columns = np.ascontiguousarray(ids.reshape(len(ids), -1) if ids.size else ids.reshape(0, 1), np.uint32)
        state = self.state(columns.shape[1]) if state is None else state
        if state.batch != columns.shape[1]:
            raise ValueError(f"the state is of {state.batch} texts, `text` of {columns.shape[1]}")
        out = np.empty((*columns.shape, len(self._symbols)), np.float32)
        if columns.size:
            self._core.logits(columns, state, out)
        return out if ids.ndim == 2 else out[:, 0]

    def train_step(self, ids: npt.NDArray[Any], targets: npt.NDArray[Any]) -> float:
        """One update by the configuration's optimiser; returns the mean loss in nats a symbol.

        Shapes: ids and targets [T, B], the configuration's seq and batch. The state is carried from step to step.
        """
        return self._core.train_step(*(np.ascontiguousarray(a, np.uint32) for a in (ids, targets)))

    def set_lr(self, lr: float) -> None:
        """The learning rate of the steps that follow."""
        self._core.set_lr(lr)
