"""Five-tuples: index tables against the printed Algorithm 1, on as many samples as the paper's BU-3DFE has.

The printed algorithm is measured twice: as it stands (all candidates for each partner), and with every search ended at
the first sample that fits, which is as fast as scanning gets.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

import numpy as np

from facekit.dmlnet import FaceLabels, five_tuples

SAMPLES, SUBJECTS = 14_112, 70
REPEATS = 5


def labels_like_bu3dfe(samples: int, subjects: int) -> FaceLabels:
    """Six expressions from nine sides, spread evenly over the subjects."""
    rows = np.arange(samples)
    return FaceLabels(rows // 9 % 6, rows % 9, rows * subjects // samples)


def scanning(labels: FaceLabels, first_fit: bool, seed: int = 0) -> int:
    """Number of five-tuples that the printed algorithm makes."""
    faces = list(zip(labels.expression.tolist(), labels.pose.tolist(), labels.subject.tolist(), strict=True))
    left = list(range(len(faces)))
    random.Random(seed).shuffle(left)
    free, made = set(left), 0

    def search(fits: Callable[[tuple[int, int, int]], bool], taken: tuple[int, ...]) -> int | None:
        found = (j for j in left if fits(faces[j]) and j not in taken)
        return next(found, None) if first_fit else next(iter(list(found)), None)

    for i in list(left):
        if i not in free:
            continue
        e, p, s = faces[i]
        a = search(lambda face, e=e, p=p: face[0] == e and face[1] != p, ())
        b = search(lambda face, e=e, p=p: face[0] != e and face[1] == p, ()) if a is not None else None
        c = search(lambda face, e=e, s=s: face[0] == e and face[2] != s, (a,)) if b is not None else None
        d = search(lambda face, e=e, s=s: face[0] != e and face[2] == s, (b,)) if c is not None else None
        if d is not None:
            free -= {i, a, b, c, d}
            for j in (i, a, b, c, d):
                left.remove(j)
            made += 1
    return made


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    labels = labels_like_bu3dfe(SAMPLES, SUBJECTS)
    ours, early = [], []
    for repeat in range(REPEATS):
        ours += [seconds(lambda repeat=repeat: five_tuples(labels, epoch=repeat)) for _ in range(3)]
        early.append(seconds(lambda: scanning(labels, first_fit=True)))
    fast, slow = statistics.median(ours), statistics.median(early)
    full = seconds(lambda: scanning(labels, first_fit=False))
    print(
        f"five-tuples of {SAMPLES} samples: {len(five_tuples(labels))} in {1000 * fast:.1f} ms; the printed algorithm "
        f"takes {full:.1f} s ({full / fast:.0f} x), {slow:.2f} s ({slow / fast:.0f} x) if every search ends at the "
        "first sample that fits"
    )
    many = labels_like_bu3dfe(1_000_000, 5_000)
    took = statistics.median(seconds(lambda: five_tuples(many)) for _ in range(3))
    print(f"five-tuples of 1,000,000 samples: {took:.2f} s")


if __name__ == "__main__":
    main()
