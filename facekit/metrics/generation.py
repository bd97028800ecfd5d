"""How varied generated faces are, and how close each is to a real one (Fernández Abrevaya et al. 2019, Section 5.3).

Both measures rest on the mean vertex distance of two meshes in correspondence. They read tensors in pieces, so that
tens of thousands of meshes of tens of thousands of vertices, memory-mapped if need be, fit a bounded memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from facekit.metrics.surface import vertex_errors

_PIECE = 32_000_000  # numbers held at once by one intermediate result
_CACHED = 100_000  # numbers that stay in a core's cache from one pass over them to the next
_FINE, _COARSE = 1024, 64  # regions of a mesh


def mean_vertex_distance(first: Tensor, second: Tensor) -> Tensor:
    """Return the distance of corresponding vertices, averaged over the mesh.

    Args:
        first: vertices ``(..., V, 3)``, mm.
        second: vertices ``(..., V, 3)``, mm; leading dimensions broadcast.

    Returns:
        ``(...)``, mm.
    """
    return vertex_errors(first, second).mean(dim=-1)


def mean_displacement(displacements: Tensor) -> Tensor:
    """Return the length of each vertex's displacement, averaged over the mesh.

    The mean vertex distance of two meshes whose difference is at hand; faster than a norm over an axis of three, and
    not meant to be differentiated (the root has no gradient where a displacement is zero).

    Args:
        displacements: ``(..., V, 3)``, mm.

    Returns:
        ``(...)``, mm.
    """
    squared = displacements * displacements
    return (squared[..., 0] + squared[..., 1]).add_(squared[..., 2]).sqrt_().mean(dim=-1)


def draw_pairs(count: int, pairs: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
    """Draw pairs of different meshes, or of different meshes with one label.

    Args:
        count: number of meshes to choose from.
        pairs: number of pairs P.
        generator: source of chance, on the CPU.
        labels: ``(count,)``; where given, the two of a pair share their label: an identity label gives the pairs of the
            paper's identity diversity, an expression label those of its expression diversity. The first of a pair is
            drawn evenly from the meshes whose label is not unique.

    Returns:
        Mesh numbers ``(P, 2)``.

    Raises:
        ValueError: if no two meshes can be paired, or the labels are not one for each mesh.
    """
    labels = torch.zeros(count, dtype=torch.long) if labels is None else labels.cpu()
    if labels.shape != (count,):
        raise ValueError(f"expected a label for each of the {count} meshes, found labels {tuple(labels.shape)}")
    order = torch.argsort(labels, stable=True)
    _, group, sizes = torch.unique(labels[order], return_inverse=True, return_counts=True)
    starts = sizes.cumsum(0) - sizes
    usable = torch.nonzero(sizes[group] > 1).flatten()
    if not len(usable):
        raise ValueError(f"no two of the {count} meshes can be paired: every label occurs once")
    first = usable[torch.randint(len(usable), (pairs,), generator=generator)]
    size, start = sizes[group[first]], starts[group[first]]
    step = 1 + (torch.rand(pairs, generator=generator, dtype=torch.float64) * (size - 1)).long()
    second = start + (first - start + step) % size
    return torch.stack([order[first], order[second]], dim=1)


def pair_distances(meshes: Tensor, pairs: Tensor) -> Tensor:
    """Return the mean vertex distance of each pair.

    Args:
        meshes: vertices ``(N, V, 3)``, mm.
        pairs: mesh numbers ``(P, 2)``.

    Returns:
        ``(P,)``, mm.
    """
    at_once = max(1, (_PIECE if meshes.is_cuda else _CACHED) // (3 * meshes.shape[1]))
    parts = [mean_displacement(_differences(meshes, part)) for part in pairs.split(at_once)]
    return torch.cat(parts)


def _differences(meshes: Tensor, pairs: Tensor) -> Tensor:
    """Return first minus second of each pair ``(P, V, 3)``; a single pair is read where it lies."""
    if len(pairs) == 1:
        first, second = pairs[0].tolist()
        return (meshes[first] - meshes[second])[None]
    return meshes[pairs[:, 0]] - meshes[pairs[:, 1]]


@torch.no_grad()
def diversity(meshes: Tensor, generator: torch.Generator, labels: Tensor | None = None, pairs: int = 10_000) -> float:
    """Return the mean distance over random pairs of ``meshes (N, V, 3)``, in mm; higher is more varied.

    Args:
        meshes: vertices ``(N, V, 3)``, mm.
        generator: source of chance, on the CPU.
        labels: ``(N,)``; pairs share their label (see ``draw_pairs``).
        pairs: number of pairs; the paper takes 10,000.
    """
    chosen = draw_pairs(len(meshes), pairs, generator, labels)
    return float(pair_distances(meshes, chosen).double().mean())


@torch.no_grad()
def specificity(samples: Tensor, training: Tensor) -> float:
    """Return the mean, over the samples, of the distance to the nearest training mesh, in mm; lower is more face-like.

    Args:
        samples: generated vertices ``(S, V, 3)``, mm; the paper takes S = 1000.
        training: vertices ``(N, V, 3)``, mm.
    """
    return float(nearest_training_mesh(samples, training)[0].double().mean())


@torch.no_grad()
def nearest_training_mesh(samples: Tensor, training: Tensor) -> tuple[Tensor, Tensor]:
    """Find the training mesh of least mean vertex distance to each sample, exactly.

    The mean vertex distance is at least the mean distance of the centres of regions, since the length of a mean is at
    most the mean of the lengths. Large regions give a bound that costs next to nothing, small ones a bound that is
    nearly the distance itself: a pair meets the second bound only while the first is less than the best distance found
    so far, and is measured in full only while the second is.

    Args:
        samples: vertices ``(S, V, 3)``, mm.
        training: vertices ``(N, V, 3)``, mm, on the samples' device or memory-mapped on the CPU.

    Returns:
        The distances ``(S,)``, mm, and the numbers of the training meshes ``(S,)``.

    Raises:
        ValueError: if the shapes do not fit, a set is empty, or a vertex is not finite.
    """
    if samples.ndim != 3 or samples.shape[1:] != training.shape[1:] or not len(samples) or not len(training):
        raise ValueError(
            f"expected samples (S, V, 3) and training (N, V, 3), found {tuple(samples.shape)}, {tuple(training.shape)}"
        )
    _check_finite("samples", samples)
    regions = _regions(samples[0])
    sample_levels = _levels(samples, regions)
    best = samples.new_full((len(samples),), torch.inf)
    nearest = torch.zeros(len(samples), dtype=torch.long, device=samples.device)
    at_once = max(1, _PIECE // (3 * samples.shape[1]))
    for start in range(0, len(training), at_once):
        piece = training[start : start + at_once].to(samples)
        _check_finite("training", piece, start)
        levels = _levels(piece, regions)
        bounds = torch.stack([_plane_distance(centres, levels.coarse) for centres in sample_levels.coarse])
        for row in torch.nonzero(bounds.amin(dim=1) < best).flatten().tolist():
            sample = _Levels(*(level[row] for level in sample_levels))
            candidates = torch.nonzero(bounds[row] < best[row]).flatten()
            distance, place = _nearest_of(sample, levels, candidates, best[row])
            if distance < best[row]:
                best[row], nearest[row] = distance, start + place
    return best, nearest


def _check_finite(name: str, meshes: Tensor, start: int = 0) -> None:
    """Raise ValueError for NaN, which no comparison of distances would notice."""
    if not torch.isfinite(meshes.sum()):
        bad = ~torch.isfinite(meshes).flatten(1).all(dim=1)
        if bad.any():
            raise ValueError(f"{name}: mesh {start + int(bad.nonzero()[0])} has vertices that are not finite")


def _nearest_of(sample: _Levels, levels: _Levels, candidates: Tensor, best: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least distance of a sample to the ``candidates (C,)``, and which it is, if it is less than ``best``.

    The most promising candidates come first, in portions that grow.
    """
    bounds, order = _plane_distance(sample.fine, levels.fine[candidates]).sort()
    candidates, found, rank, portion = candidates[order], candidates[0], 0, 1
    while rank < len(candidates) and bounds[rank] < best:
        few = candidates[rank : rank + portion][bounds[rank : rank + portion] < best]
        distance, place = _plane_distance(sample.planes, levels.planes[few]).min(dim=0)
        if distance < best:
            best, found = distance, few[place]
        rank, portion = rank + portion, min(2 * portion, 64)
    return best, found


def _plane_distance(one: Tensor, many: Tensor) -> Tensor:
    """Return the mean distance of points ``(3, V)`` from the corresponding ones of each of ``(C, 3, V)``: ``(C,)``.

    One coordinate at a time over long rows: several times faster than a norm over a last axis of three.
    """
    squared = (many[:, 0] - one[0]).square_()
    squared.add_((many[:, 1] - one[1]).square_()).add_((many[:, 2] - one[2]).square_())
    return squared.sqrt_().mean(dim=1)


class _Levels(NamedTuple):
    """Coordinate planes of meshes: ``planes (N, 3, V)``, and those of the centres of small and of large regions.

    The centres are scaled such that their mean distance is a lower bound of the mean vertex distance, even rounded.
    """

    planes: Tensor
    fine: Tensor
    coarse: Tensor


def _levels(meshes: Tensor, regions: Tensor) -> _Levels:
    """Return vertices ``(N, V, 3)`` at three resolutions; ``regions (R, K)`` holds vertex ids."""
    planes = meshes.transpose(1, 2).contiguous()
    at_once = max(1, _PIECE // (3 * meshes.shape[1]))
    share = (1 - 1e-5) * regions.numel() / meshes.shape[1]
    parts = [part[:, :, regions.flatten()].unflatten(2, regions.shape).mean(dim=3) for part in planes.split(at_once)]
    fine = share * torch.cat(parts)
    # Neighbours in the list of regions came out of one cut, so that a run of them is a region, too.
    return _Levels(planes, fine, fine.unflatten(2, (min(_COARSE, len(regions)), -1)).mean(dim=3))


def _regions(vertices: Tensor) -> Tensor:
    """Cut a mesh into regions of equal size by halving along the longest side; return vertex ids ``(R, V // R)``.

    Fewer than R vertices are left over, and count as not moving at all. R is a power of two.
    """
    points = vertices.detach().double().cpu().numpy()
    blocks = [np.arange(len(points))]
    while len(blocks) < _FINE and len(blocks[0]) >= 8:
        halves = []
        for block in blocks:
            axis = np.ptp(points[block], axis=0).argmax()
            ordered = block[np.argsort(points[block, axis], kind="stable")]
            half = len(ordered) // 2
            halves += [ordered[:half], ordered[half : 2 * half]]
        blocks = halves
    return torch.from_numpy(np.stack(blocks)).to(vertices.device)
