"""Triangle meshes as tensors: topology, Laplacians, normals, flattening, hierarchy, alignment, distances, files."""

from facekit.meshes.alignment import (
    IcpResult,
    SimilarityTransform,
    crop_sphere,
    icp,
    procrustes_mean,
    rigid_align,
    rotation_from_vector,
    similarity_align,
)
from facekit.meshes.checks import KINDS, MeshError, MeshProblem, check_mesh, mesh_problems
from facekit.meshes.colour import linear_to_srgb, srgb_to_linear
from facekit.meshes.distance import (
    ClosestPoints,
    closest_points,
    nearest_vertices,
    point_to_plane_distance,
    point_to_triangle_distance,
)
from facekit.meshes.files import Mesh, load_mesh, save_mesh
from facekit.meshes.geometry_image import GeometryImage, pixel_centres
from facekit.meshes.hierarchy import MeshHierarchy, MeshLevel
from facekit.meshes.laplacian import (
    adjacency,
    chebyshev_laplacian,
    corner_cotangents,
    cotangent_laplacian,
    smooth,
    uniform_laplacian,
)
from facekit.meshes.normals import face_areas, face_normals, vertex_areas, vertex_normals
from facekit.meshes.sparse import SparseOperator, apply_sparse, sparse_matrix
from facekit.meshes.topology import (
    boundary_edges,
    boundary_loops,
    connected_components,
    edge_face_counts,
    euler_characteristic,
    half_edges,
    submesh,
    triangulate,
    unique_edges,
    vertex_degrees,
    vertex_neighbours,
)
from facekit.meshes.uv import check_uv, flipped_triangles, harmonic_uv, square_boundary

__all__ = [
    "KINDS",
    "ClosestPoints",
    "GeometryImage",
    "IcpResult",
    "Mesh",
    "MeshError",
    "MeshHierarchy",
    "MeshLevel",
    "MeshProblem",
    "SimilarityTransform",
    "SparseOperator",
    "adjacency",
    "apply_sparse",
    "boundary_edges",
    "boundary_loops",
    "chebyshev_laplacian",
    "check_mesh",
    "check_uv",
    "closest_points",
    "connected_components",
    "corner_cotangents",
    "cotangent_laplacian",
    "crop_sphere",
    "edge_face_counts",
    "euler_characteristic",
    "face_areas",
    "face_normals",
    "flipped_triangles",
    "half_edges",
    "harmonic_uv",
    "icp",
    "linear_to_srgb",
    "load_mesh",
    "mesh_problems",
    "nearest_vertices",
    "pixel_centres",
    "point_to_plane_distance",
    "point_to_triangle_distance",
    "procrustes_mean",
    "rigid_align",
    "rotation_from_vector",
    "save_mesh",
    "similarity_align",
    "smooth",
    "sparse_matrix",
    "square_boundary",
    "srgb_to_linear",
    "submesh",
    "triangulate",
    "uniform_laplacian",
    "unique_edges",
    "vertex_areas",
    "vertex_degrees",
    "vertex_neighbours",
    "vertex_normals",
]
