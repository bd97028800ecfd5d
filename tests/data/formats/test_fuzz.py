"""A short run of the fuzzer over every parser, and proof that it would notice."""

import signal

import numpy as np
import pytest

from facekit.data.formats import FormatError, Surface
from tests.data.formats import fuzz


@pytest.fixture(autouse=True)
def alarm():
    before = signal.signal(signal.SIGALRM, fuzz._too_late)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", [name for name in fuzz.CORPUS if name != "mat73"])
def test_damaged_files_are_refused_or_sound(name):
    failures = []
    counts = fuzz.run(name, 400, seed=7, report=failures.append)
    assert failures == [] and counts["failed"] == 0
    assert counts["refused"] > 40 and counts["accepted"] > 0


@pytest.mark.parametrize("name", list(fuzz.CORPUS))
def test_the_valid_files_are_accepted(name):
    parser, corpus = fuzz.CORPUS[name]
    for content in corpus:
        assert fuzz.attempt(parser, content)[0] == "accepted"


def test_the_fuzzer_notices():
    def crash(content):
        raise IndexError("off by one")

    def hang(content):
        while True:
            pass

    def quiet(content):
        raise FormatError("bad")

    bad = Surface(np.zeros((3, 3), np.float32), np.array([[0, 1, 3]]))
    infinite = Surface(np.full((3, 3), np.nan, np.float32), np.array([[0, 1, 2]]))
    outside = Surface(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]]), texture="../x")
    before, fuzz.LIMIT = fuzz.LIMIT, 0.2
    for parser in (crash, hang, quiet, lambda _: bad, lambda _: infinite, lambda _: outside):
        assert fuzz.attempt(parser, b"")[0] == "failed"
    fuzz.LIMIT = before
