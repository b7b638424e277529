"""What all tests share: where a missing PyTorch is a failure, and numbers that are the same in each run."""

import numpy
import pytest


@pytest.fixture
def rng():
    return numpy.random.default_rng(7)
