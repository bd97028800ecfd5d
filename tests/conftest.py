"""What tests of several rooms need: the repository's root and, where it is installed, the real ICT-FaceKit model."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def ict_path() -> Path:
    """The ICT-FaceKit model: the file or folder that FACEKIT_ICT names, or ``shared`` beside the repository."""
    beside = ROOT.parent / "shared" / "data" / "ict_facekit" / "ict_facekit.npz"
    path = Path(os.environ.get("FACEKIT_ICT", beside))
    if not path.exists():
        pytest.skip("the ICT-FaceKit model is not installed; name it with FACEKIT_ICT=/path/to/ict_facekit.npz")
    return path
