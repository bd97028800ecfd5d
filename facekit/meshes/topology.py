"""What follows from the triangles alone: edges, neighbours, boundaries, pieces of a mesh.

Faces are `(F, 3)` int64 vertex ids, counter-clockwise seen from outside. Nothing here looks at positions, except
where a boundary loop is asked to be measured.
"""

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components as _graph_components
from torch import Tensor


def half_edges(faces: Tensor) -> Tensor:
    """Directed edges of every triangle in its turning sense: `(3F, 2)`, first all (a, b), then (b, c), then (c, a)."""
    return torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def unique_edges(faces: Tensor) -> Tensor:
    """Undirected edges `(E, 2)`, smaller vertex id first, in lexicographic order."""
    return edge_face_counts(faces)[0]


def edge_face_counts(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Undirected edges `(E, 2)` and how many triangles touch each `(E,)`: 1 on a boundary, 2 inside.

    More than 2 is a non-manifold edge. Edges are in lexicographic order, smaller vertex id first.
    """
    ends = half_edges(faces).sort(dim=1).values
    size = int(ends.max()) + 1 if ends.numel() else 1
    keys, counts = (ends[:, 0] * size + ends[:, 1]).unique(return_counts=True)
    return torch.stack([keys // size, keys % size], 1), counts


def vertex_neighbours(faces: Tensor, num_vertices: int) -> tuple[Tensor, Tensor]:
    """Neighbour lists in compressed form: those of vertex i are `indices[indptr[i]:indptr[i + 1]]`, ascending.

    Returns:
        indptr `(V + 1,)` and indices `(2E,)`, both int64.
    """
    edges = unique_edges(faces)
    both = torch.cat([edges, edges.flip(1)])
    order = torch.argsort(both[:, 0] * num_vertices + both[:, 1])
    degree = torch.bincount(both[:, 0], minlength=num_vertices)
    indptr = torch.cat([degree.new_zeros(1), degree.cumsum(0)])
    return indptr, both[order, 1]


def vertex_degrees(faces: Tensor, num_vertices: int) -> Tensor:
    """Number of neighbours of each vertex `(V,)`; 0 for a vertex that no triangle uses."""
    return torch.bincount(unique_edges(faces).flatten(), minlength=num_vertices)


def boundary_edges(faces: Tensor) -> Tensor:
    """Directed edges `(E_b, 2)` that only one triangle touches; the surface lies on their left."""
    directed = half_edges(faces)
    size = int(faces.max()) + 1 if faces.numel() else 1
    key = directed[:, 0] * size + directed[:, 1]
    opposite = directed[:, 1] * size + directed[:, 0]
    return directed[~torch.isin(key, opposite)]


def boundary_loops(faces: Tensor, vertices: Tensor | None = None) -> list[Tensor]:
    """Closed chains of boundary vertices, longest first, each walked with the surface on its left.

    A chain that touches one vertex twice is cut there, so no loop visits a vertex twice. A loop starts at its smallest
    vertex id.

    Args:
        faces: `(F, 3)`.
        vertices: `(V, 3)`; if given, "longest" means millimetres along the loop, otherwise the number of vertices.
    """
    following: dict[int, list[int]] = {}
    for start, end in sorted(boundary_edges(faces).tolist(), reverse=True):
        following.setdefault(start, []).append(end)
    loops = []
    for start in sorted(following):
        while following[start]:
            loops += _walk(start, following)
    tensors = [torch.tensor(_start_at_smallest(loop), dtype=torch.int64, device=faces.device) for loop in loops]
    return sorted(tensors, key=lambda loop: (-_loop_length(loop, vertices), int(loop[0])))


def _walk(start: int, following: dict[int, list[int]]) -> list[list[int]]:
    """Follow boundary edges until none is left; whenever a vertex comes up again, the part between is a loop."""
    chain, position, loops = [start], {start: 0}, []
    while following.get(chain[-1]):
        vertex = following[chain[-1]].pop()
        if vertex in position:
            loops.append(chain[position[vertex] :])
            for seen in chain[position[vertex] + 1 :]:
                del position[seen]
            del chain[position[vertex] + 1 :]
        else:
            position[vertex] = len(chain)
            chain.append(vertex)
    return loops


def _start_at_smallest(loop: list[int]) -> list[int]:
    first = loop.index(min(loop))
    return loop[first:] + loop[:first]


def _loop_length(loop: Tensor, vertices: Tensor | None) -> float:
    if vertices is None:
        return float(len(loop))
    corners = vertices[loop].double()
    return float((corners.roll(-1, 0) - corners).norm(dim=1).sum())


def connected_components(faces: Tensor, num_vertices: int) -> Tensor:
    """Label of the connected piece of each vertex `(V,)`, from 0 in order of first vertex.

    A vertex that no triangle uses is a piece of its own.
    """
    edges = unique_edges(faces).cpu().numpy()
    graph = coo_matrix((np.ones(len(edges), dtype=bool), (edges[:, 0], edges[:, 1])), shape=(num_vertices,) * 2)
    _, labels = _graph_components(graph, directed=False)
    return torch.from_numpy(labels.astype(np.int64)).to(faces.device)


def euler_characteristic(faces: Tensor) -> int:
    """V - E + F over the vertices in use: 2 for a closed ball, 1 for a disc, 1 - h for a disc with h holes."""
    return faces.unique().numel() - unique_edges(faces).shape[0] + faces.shape[0]


def submesh(faces: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """The triangles whose three corners are all kept, with vertices renumbered.

    Args:
        faces: `(F, 3)`.
        keep: `(V,)` bool.

    Returns:
        New faces `(F', 3)` and the old id of each new vertex `(V',)`: the new vertices are `vertices[:, ids]`. Kept
        vertices that no triangle uses any more are dropped.
    """
    inside = faces[keep[faces].all(dim=1)]
    ids = inside.unique()
    renumber = torch.full((keep.shape[0],), -1, dtype=torch.int64, device=faces.device)
    renumber[ids] = torch.arange(ids.numel(), device=faces.device)
    return renumber[inside], ids


def triangulate(quads: Tensor) -> Tensor:
    """Split quads `(Q, 4)` into triangles `(F, 3)`; a row whose last id is -1 is a triangle already.

    The triangles of one quad (a, b, c, d) are (a, b, c) and (a, c, d); all first halves come before all second halves.
    """
    second = quads[quads[:, 3] >= 0][:, [0, 2, 3]]
    return torch.cat([quads[:, :3], second]).to(torch.int64)
