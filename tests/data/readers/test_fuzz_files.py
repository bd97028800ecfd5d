"""A short run of the fuzzer over the label files and pictures; the long one is a command of its own."""

import numpy as np
import pytest

from tests.data.formats import fuzz
from tests.data.readers import fuzz_files


@pytest.fixture(autouse=True)
def corpus(monkeypatch):
    monkeypatch.setattr(fuzz, "CORPUS", fuzz_files.CORPUS)


@pytest.mark.parametrize("name", list(fuzz_files.CORPUS))
def test_damaged_files_are_refused_or_sound(name):
    said = []
    counts = fuzz.run(name, 120, report=said.append)
    assert not counts["failed"], "\n".join(said)
    assert counts["accepted"] + counts["refused"] == 120


@pytest.mark.parametrize("name", list(fuzz_files.CORPUS))
def test_the_valid_files_are_accepted(name):
    parser, contents = fuzz.CORPUS[name]
    for content in contents:
        result = parser(content)
        assert fuzz.complaint(result) == "" and isinstance(result, np.ndarray)


def test_the_fuzzer_notices(monkeypatch):
    def leaky(path):
        content = path.read_bytes()
        if len(content) % 3 == 0:
            raise fuzz_files.DataError("a message without the file")
        return np.array([np.nan if len(content) % 3 == 1 else 1.0])

    monkeypatch.setitem(fuzz.CORPUS, "leaky", (fuzz_files.parser_of(leaky, "leaky.bin"), [b"some content"]))
    said = []
    assert fuzz.run("leaky", 60, report=said.append)["failed"] > 20
    assert any("not finite" in line for line in said) and any("does not begin with the file" in line for line in said)
