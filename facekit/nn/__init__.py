"""Network blocks that two or more papers share.

``Encoder`` turns images into maps and vectors, ``residual_block`` builds small networks for images, ``perceptron``
projects vectors; ``gradient_penalty`` keeps a Wasserstein critic near 1-Lipschitz. ``ChebyshevConv`` filters signals on
a mesh, ``MeshPool`` and ``MeshUnpool`` carry them down and up a hierarchy of meshes.
"""

from facekit.nn.chebyshev import ChebyshevConv
from facekit.nn.encoders import ENCODERS, STRIDES, Encoder, EncoderError
from facekit.nn.gradient_penalty import gradient_penalty
from facekit.nn.mesh_sampling import MeshPool, MeshUnpool
from facekit.nn.perceptron import perceptron
from facekit.nn.residual_block import residual_block

__all__ = [
    "ENCODERS",
    "STRIDES",
    "ChebyshevConv",
    "Encoder",
    "EncoderError",
    "MeshPool",
    "MeshUnpool",
    "gradient_penalty",
    "perceptron",
    "residual_block",
]
