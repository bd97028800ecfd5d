"""Readers of the public data sets, one module each; `facekit.data.parse_data` finds them by name::

    source = parse_data("bu3dfe=/data/BU_3DFE").open("bu3dfe", image_size=112)
    source.inventory                        # what was found, what was left out and why

A reader goes through a folder once.  What it can use becomes a row of the manifest; a file that is broken, misnamed or
absent is noted in an `Inventory` with the reason, and the rest of the data set still loads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

KINDS = ("corrupt", "missing", "skipped", "ignored")
"""Damaged files; files that ought to be there; files left out on purpose; files that are no samples of the data set."""
_MOST_KEPT = 100_000


@dataclass(frozen=True)
class PublishedCounts:
    """What the publishers say that a complete copy holds; None where they do not say.

    `unit` is what `samples` counts: "rows" of the manifest, or values of its column "sequence" or "path".
    """

    subjects: int | None
    samples: int | None
    what: str
    unit: str = "rows"


PUBLISHED: dict[str, PublishedCounts] = {
    "bu3dfe": PublishedCounts(100, 2_500, "scans", "path"),
    "bosphorus": PublishedCounts(105, 4_666, "scans", "path"),
    "bu4dfe": PublishedCounts(101, 606, "sequences", "sequence"),
    "bp4d": PublishedCounts(41, 146_847, "coded frames", "path"),
    "disfa": PublishedCounts(27, None, "frames"),
    "kdef": PublishedCounts(70, 4_900, "pictures"),
    "multipie": PublishedCounts(337, None, "pictures"),
    "sfew": PublishedCounts(None, 1_766, "aligned faces"),
    "celeba": PublishedCounts(10_177, 202_599, "pictures"),
    "300wlp": PublishedCounts(None, 122_450, "pictures with mirror images"),
    "aflw2000": PublishedCounts(None, 2_000, "pictures"),
    "micc": PublishedCounts(53, None, "scans", "path"),
    "emotionet": PublishedCounts(None, None, "pictures"),
    "fanelli": PublishedCounts(14, 1_109, "sequences", "sequence"),
    "coma": PublishedCounts(12, 20_466, "meshes", "path"),
    "facewarehouse": PublishedCounts(150, 3_000, "meshes", "path"),
}
"""Name of the data set -> its published counts, for the comparison with what was found."""

EXPECTED: dict[str, str] = {
    "bu3dfe": "files such as F0001/F0001_AN01WH_F3D.wrl",
    "bosphorus": "files such as bs000/bs000_E_ANGER_0.bnt",
    "bu4dfe": "files such as F001/Angry/000.wrl",
    "bp4d": "files such as AUCoding/AU_OCC/F001_T1.csv and Sequences(2D+3D)/F001/T1/0000.jpg",
    "disfa": "files such as ActionUnit_Labels/SN001/SN001_au1.txt and Videos_LeftCamera/LeftVideoSN001_comp.avi",
    "kdef": "files such as AF01/AF01ANS.JPG",
    "multipie": "files such as session01/multiview/001/01/05_1/001_01_01_051_07.png",
    "sfew": "files such as Train/Train_Aligned_Faces/Angry/FILM_001234567_00000012.png",
    "celeba": "files such as img_align_celeba/000001.jpg",
    "300wlp": "files such as AFW/AFW_134212_1_2.jpg, each with a .mat file beside it",
    "aflw2000": "files such as image00002.jpg, each with a .mat file beside it",
    "micc": "files such as subject_01/Model/frontal1/obj/110920150452.obj",
    "emotionet": "pictures, and lists such as dataFile_0000.txt",
    "fanelli": "files such as faces/F1/e01/frame_001.vl",
    "coma": "files such as FaceTalk_170725_00137_TA/bareteeth/bareteeth.000001.ply",
    "facewarehouse": "files such as Tester_1/TrainingPose/pose_0.obj",
    "own": "a line for each picture, scan or frame below the header of the CSV file",
}
"""Name of the data set -> what its folder should hold, for whoever names another folder."""

_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
PUBLISHED_LABELS: dict[str, dict[str, dict[object, int]]] = {
    "bu3dfe": {"expression": {"neutral": 100} | dict.fromkeys(_SIX, 400), "intensity": {0: 100, 1: 600, 2: 600, 3: 600,
                                                                                       4: 600}},
    "bu4dfe": {"expression": dict(zip(_SIX, (10_124, 10_171, 10_044, 9_973, 10_142, 9_948), strict=True))},
    "bp4d": {f"AU{unit}": {1: count} for unit, count in {
        1: 31_042, 2: 25_110, 4: 29_755, 6: 67_676, 7: 80_616, 10: 87_270, 12: 82_530, 14: 68_375, 15: 24_869,
        17: 50_406, 23: 24_288, 24: 22_229}.items()},
    "kdef": {"expression": dict.fromkeys(("neutral", *_SIX), 700), "yaw": dict.fromkeys((-90, -45, 0, 45, 90), 980)},
    "sfew": {"split": {"train": 958, "val": 436, "test": 372}},
    "celeba": {"split": {"train": 162_770, "val": 19_867, "test": 19_962}},
    "300wlp": {"group": {"AFW": 10_414, "HELEN": 75_352, "IBUG": 3_572, "LFPW": 33_112}},
}  # fmt: skip
"""Name of the data set -> label -> value -> how many files of a complete copy have it; views of a scan count once."""


@dataclass(frozen=True)
class Finding:
    """A file that gives no row: which of KINDS, its path below the root, and why."""

    kind: str
    path: str
    reason: str


class Inventory:
    """What a reader found in a folder beside the samples that it kept.

    Of each kind of finding the first 100,000 are kept, of ignored files ten for each reason; all are counted.
    """

    def __init__(self, name: str, root: str | Path):
        self.name, self.root = name, Path(root)
        self.findings: list[Finding] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self._kept: Counter[str] = Counter()

    def corrupt(self, path: str | Path, reason: str) -> None:
        """Note a file that is damaged."""
        self._note("corrupt", path, reason)

    def miss(self, path: str | Path, reason: str = "not there") -> None:
        """Note a file that ought to be there, and is not."""
        self._note("missing", path, reason)

    def skip(self, path: str | Path, reason: str) -> None:
        """Note a sample that is left out on purpose."""
        self._note("skipped", path, reason)

    def ignore(self, path: str | Path, reason: str) -> None:
        """Note a file that is no sample of this data set."""
        self._note("ignored", path, reason)

    def of(self, kind: str) -> Iterator[Finding]:
        """The findings of one kind."""
        return (finding for finding in self.findings if finding.kind == kind)

    def count(self, kind: str) -> int:
        """How many files of one kind were found, kept here or not."""
        return sum(number for (found, _), number in self.counts.items() if found == kind)

    def table(self) -> pd.DataFrame:
        """The findings as a table: kind, path and reason."""
        return pd.DataFrame([vars(finding) for finding in self.findings], columns=["kind", "path", "reason"])

    def _note(self, kind: str, path: str | Path, reason: str) -> None:
        path = Path(path)
        if path.is_relative_to(self.root):
            path = path.relative_to(self.root)
        reason = reason.removeprefix(f"{self.root / path}: ").removeprefix(f"{path}: ")
        self.counts[kind, reason] += 1
        own = f"{kind} {reason}" if kind == "ignored" else kind
        self._kept[own] += 1
        if self._kept[own] <= (10 if kind == "ignored" else _MOST_KEPT):
            self.findings.append(Finding(kind, path.as_posix(), reason))

    def __str__(self) -> str:
        lines = []
        for kind in KINDS:
            number = self.count(kind)
            if number:
                shown = [f"{finding.path} ({finding.reason})" for finding in self.of(kind)][:3]
                lines.append(f"{kind}: {number:,} files, such as " + "; ".join(shown))
        return "\n".join(lines) or "nothing was left out"

    def __repr__(self) -> str:
        return f"Inventory({self.name!r}, {', '.join(f'{self.count(kind)} {kind}' for kind in KINDS)})"


def nothing_usable(name: str, inventory: Inventory) -> str:
    """What to say of a folder without a usable sample: what was expected, and what was left out and why."""
    expected = f", expected {EXPECTED[inventory.name]}" if inventory.name in EXPECTED else ""
    left_out = "; " + str(inventory).replace("\n", "; ") if inventory.findings else ""
    return f"{name}: nothing usable was found in {inventory.root}{expected}{left_out}"


def compare_counts(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Found and published numbers of subjects and samples, a row each; the published number is <NA> where unknown."""
    published = PUBLISHED[name]
    subjects = {str(value) for value in table["subject"].unique()} - {""} if "subject" in table else set()
    samples = len(table) if published.unit not in table else table[published.unit].nunique()
    rows = [("subjects", len(subjects), published.subjects), (published.what, samples, published.samples)]
    return pd.DataFrame(rows, columns=["what", "found", "published"]).astype({"published": "Int64"})


__all__ = [
    "EXPECTED",
    "KINDS",
    "PUBLISHED",
    "PUBLISHED_LABELS",
    "Finding",
    "Inventory",
    "PublishedCounts",
    "compare_counts",
    "nothing_usable",
]
