"""Vertices of 64 people with expressions: the procedural face against a dense linear model of the same size.

The peer is the linear 3DMM `mean + A_id a_id + A_exp a_exp` with 100 identity and 57 expression directions (the sizes
of ICT-FaceKit) as one matrix product.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from facekit.morphable.expressions import sample_expression
from facekit.morphable.procedural.face import ProceduralFace

BATCH, REPEATS = 64, 9


def seconds(function: Callable[[], object]) -> float:
    """Best of several runs."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    for level in (0, 1, 2):
        face = ProceduralFace(level)
        identity = face.sample_identity(BATCH, generator)
        units = sample_expression("happiness", torch.ones(BATCH), generator)
        expression = face.expression_code(units)
        basis, code = torch.randn(157, 3 * face.num_vertices), torch.randn(BATCH, 157)
        with torch.no_grad():
            own = seconds(partial(face.shape, identity, expression))
            linear = seconds(partial(torch.matmul, code, basis))
        print(
            f"procedural face, level {level}: {1e3 * own:.0f} ms for {BATCH} x {face.num_vertices} vertices, "
            f"{own / linear:.1f} x the time of a 157-direction linear model"
        )


if __name__ == "__main__":
    main()
