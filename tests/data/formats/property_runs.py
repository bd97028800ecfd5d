"""How many examples property-based tests try: few in the suite, many with `HYPOTHESIS_PROFILE=long`.

HYPOTHESIS_PROFILE=long python -m pytest tests/data/formats tests/data/readers/test_label_files.py
"""

import os

LONG = {"short": False, "long": True}[os.environ.get("HYPOTHESIS_PROFILE", "short")]


def examples(short: int) -> int:
    """`short`, or 100,000 in the long profile."""
    return 100_000 if LONG else short
