"""Network blocks that two or more papers share.

``Encoder`` turns images into maps and vectors; ``perceptron`` projects vectors; ``gradient_penalty`` keeps a
Wasserstein critic near 1-Lipschitz. ``ChebyshevConv`` filters signals on a mesh, ``MeshPool`` and ``MeshUnpool`` carry
them down and up a hierarchy of meshes.
"""

from facekit.nn.chebyshev import ChebyshevConv
from facekit.nn.encoders import ENCODERS, Encoder, EncoderError
from facekit.nn.gradient_penalty import gradient_penalty
from facekit.nn.mesh_sampling import MeshPool, MeshUnpool
from facekit.nn.perceptron import perceptron

__all__ = [
    "ENCODERS",
    "ChebyshevConv",
    "Encoder",
    "EncoderError",
    "MeshPool",
    "MeshUnpool",
    "gradient_penalty",
    "perceptron",
]
