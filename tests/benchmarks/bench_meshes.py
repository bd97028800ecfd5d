"""Time the mesh operations that sit inside training steps against their usual PyTorch form.

Run it alone (`python tests/benchmarks/bench_meshes.py`); each line is a ratio of best times.
"""

import time

import numpy as np
import torch
import trimesh
from scipy.spatial import cKDTree

from facekit.meshes import (
    GeometryImage,
    MeshHierarchy,
    apply_sparse,
    chebyshev_laplacian,
    closest_points,
    harmonic_uv,
    triangulate,
    vertex_normals,
)


def best_time(function, seconds: float = 1.0) -> float:
    """Shortest of many runs, in milliseconds."""
    function()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def sheet(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A curved sheet of a face's size, as a stand-in of any vertex count."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
    vertices = torch.stack([80 * x, 110 * y, 90 - 60 * x.square() - 40 * y.square()], -1).reshape(-1, 3)
    ids = torch.arange(rows * columns).view(rows, columns)
    quads = torch.stack([ids[:-1, :-1], ids[:-1, 1:], ids[1:, 1:], ids[1:, :-1]], -1).reshape(-1, 4)
    return vertices, triangulate(quads)


def forward_backward(function, x: torch.Tensor) -> float:
    x = x.clone().requires_grad_()
    seed = torch.randn_like(function(x))
    return best_time(lambda: torch.autograd.grad(function(x), x, seed))


def line(what: str, ours: float, peer: str, theirs: float) -> None:
    print(f"{what}: {ours:.2f} ms, {peer} {theirs:.2f} ms, {theirs / ours:.1f} times as long")


def sparse_products() -> None:
    vertices, faces = sheet(97, 97)
    matrix = chebyshev_laplacian(faces, len(vertices))
    x = torch.randn(8, len(vertices), 32)

    def usual(x):
        flat = torch.sparse.mm(matrix, x.movedim(1, 0).reshape(len(vertices), -1))
        return flat.view(len(vertices), 8, 32).movedim(0, 1)

    torch.testing.assert_close(apply_sparse(matrix, x), usual(x))
    ours, theirs = (forward_backward(f, x) for f in (lambda x: apply_sparse(matrix, x), usual))
    line("Laplacian times (8, 9409, 32), forward and backward", ours, "torch.sparse.mm", theirs)


def geometry_images() -> None:
    vertices, faces = sheet(149, 149)
    layer = GeometryImage(harmonic_uv(vertices, faces), faces, 64)
    corners, weights = faces[layer.face.flatten()], layer.barycentric.view(-1, 3)
    x = torch.randn(64, len(vertices), 3)

    def usual(x):
        shown = sum(x[:, corners[:, k]] * weights[:, k, None] for k in range(3))
        return shown.movedim(1, 2).unflatten(2, (64, 64))

    torch.testing.assert_close(layer(x), usual(x))
    line(
        "geometry image (64, 22201, 3) to 64 x 64", best_time(lambda: layer(x)), "indexing", best_time(lambda: usual(x))
    )
    line("the same, forward and backward", forward_backward(layer, x), "indexing", forward_backward(usual, x))


def normals() -> None:
    vertices, faces = sheet(97, 97)
    x = vertices + torch.randn(8, len(vertices), 3)

    def usual(x):
        a, b, c = (x[:, faces[:, k]] for k in range(3))
        cross = torch.linalg.cross(b - a, c - a)
        total = torch.zeros_like(x)
        for k in range(3):
            total = total.index_add(1, faces[:, k], cross)
        return torch.nn.functional.normalize(total, dim=-1)

    torch.testing.assert_close(vertex_normals(x, faces), usual(x))
    ours, theirs = (forward_backward(f, x) for f in (lambda x: vertex_normals(x, faces), usual))
    line("vertex normals (8, 9409, 3), forward and backward", ours, "index_add", theirs)


def distances() -> None:
    vertices, faces = sheet(97, 97)
    points = vertices[::8] + torch.randn(len(vertices[::8]), 3)
    corners = vertices[faces].double().numpy()
    ours = best_time(lambda: closest_points(points, vertices, faces))
    centres, radius = corners.mean(1), np.linalg.norm(corners - corners.mean(1, keepdims=True), axis=2).max()

    def usual():
        """Every triangle that could be nearest, from one ball per point, by trimesh's closest point on a triangle."""
        tree, everything = cKDTree(centres), points.double().numpy()
        first = tree.query(everything)[0] + 2 * radius
        lists = tree.query_ball_point(everything, first)
        rows = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
        nearest = trimesh.triangles.closest_point(corners[np.concatenate(lists)], everything[rows])
        distance = np.linalg.norm(nearest - everything[rows], axis=1)
        return np.minimum.reduceat(distance, np.flatnonzero(np.diff(rows, prepend=-1)))

    found = closest_points(points, vertices, faces).distance
    torch.testing.assert_close(found, torch.from_numpy(usual()).float(), atol=1e-4, rtol=1e-4)
    line(f"exact distance of {len(points)} points to 18432 triangles", ours, "balls and trimesh", best_time(usual))


def preparation() -> None:
    vertices, faces = sheet(193, 193)
    hierarchy = best_time(lambda: MeshHierarchy.build(vertices, faces), 0)
    flattening = best_time(lambda: harmonic_uv(vertices, faces, "mean_value"), 0)
    print(f"37249 vertices, once per mesh: hierarchy of 4 steps {hierarchy:.0f} ms, mean-value map {flattening:.0f} ms")


def main() -> None:
    torch.manual_seed(0)
    for measure in (sparse_products, geometry_images, normals, distances, preparation):
        measure()


if __name__ == "__main__":
    main()
