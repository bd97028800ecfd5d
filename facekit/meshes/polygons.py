"""Polygons of any number of corners as triangles, for the readers of files."""

import numpy as np

MOST_ROWS = 4_000_000
"""Most lines or rows of a file that are looked at one by one: twenty times those of the largest scans."""


def fans(sizes: np.ndarray) -> np.ndarray:
    """Places (F, 3) of the triangles' corners, where polygons of `sizes` (P,) corners lie one behind the other.

    The polygon a, b, c, d, ... gives the triangles (a, b, c), (a, c, d), ..., in order.  All sizes are at least three.
    """
    if (sizes == 3).all():
        return np.arange(3 * len(sizes)).reshape(-1, 3)
    count = sizes - 2
    first = np.repeat(np.cumsum(sizes) - sizes, count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.stack([first, first + step + 1, first + step + 2], axis=1)
