"""Let libFuzzer look for inputs that reach new lines: ``python tests/data/formats/fuzz_coverage.py vrml``.

Needs atheris (``pip install atheris``), which the project's own environment does not hold; it has wheels for Linux.
The formats, their valid files and what counts as a failure are those of ``fuzz.py`` and of
``tests/data/readers/fuzz_files.py``; the input that fails is written to ``crash-...`` in the working folder.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

with atheris.instrument_imports(include=["facekit.data.formats", "facekit.data.readers", "facekit.meshes"]):
    from tests.data.formats import fuzz
    from tests.data.readers import fuzz_files

CORPUS = fuzz.CORPUS | fuzz_files.CORPUS


class Failure(Exception):
    """A parser did what none may do; not among the exceptions that any of them catches."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("format", choices=list(CORPUS))
    options.add_argument("--seconds", type=int, default=120)
    options.add_argument("--seed", type=int, default=1)
    options = options.parse_args()
    parser, contents = CORPUS[options.format]

    def test_one_input(content: bytes) -> None:
        outcome, detail = fuzz.attempt(parser, content)
        if outcome == "failed":
            raise Failure(f"{options.format}: {detail}")

    signal.signal(signal.SIGALRM, fuzz_files._too_late)
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(contents):
            Path(folder, str(number)).write_bytes(content)
        limits = [f"-max_total_time={options.seconds}", "-timeout=0", "-rss_limit_mb=4096", f"-seed={options.seed}"]
        longest = max(len(content) for content in contents)
        atheris.Setup([sys.argv[0], *limits, f"-max_len={2 * longest}", "-print_final_stats=1", folder], test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
