"""Pooling and unpooling of vertex signals on a mesh hierarchy, as modules.

Ranjan et al., *Generating 3D Faces Using Convolutional Mesh Autoencoders* (2018), Section 3.2.
"""

from torch import Tensor, nn

from facekit.meshes import MeshHierarchy, SparseOperator


class MeshPool(nn.Module):
    """Signals ``(B, V_level, C)`` to the next coarser mesh, ``(B, V_{level+1}, C)``: the vertices that stay.

    Args:
        hierarchy: the meshes.
        level: the one that the signals are on; 0 is the finest.
    """

    def __init__(self, hierarchy: MeshHierarchy, level: int) -> None:
        super().__init__()
        self.operator = SparseOperator(_matrix(hierarchy.down, level))

    def forward(self, x: Tensor) -> Tensor:
        return self.operator(x)


class MeshUnpool(nn.Module):
    """Signals ``(B, V_{level+1}, C)`` up to mesh ``level``, ``(B, V_level, C)``: barycentric interpolation.

    Args:
        hierarchy: the meshes.
        level: the one that the signals arrive on.
    """

    def __init__(self, hierarchy: MeshHierarchy, level: int) -> None:
        super().__init__()
        self.operator = SparseOperator(_matrix(hierarchy.up, level))

    def forward(self, x: Tensor) -> Tensor:
        return self.operator(x)


def _matrix(matrices: tuple[Tensor, ...], level: int) -> Tensor:
    if not 0 <= level < len(matrices):
        raise ValueError(f"level is {level}, expected 0 to {len(matrices) - 1}: the steps of the hierarchy")
    return matrices[level]
