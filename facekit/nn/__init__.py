"""Network blocks that two or more papers share.

``Encoder`` turns images into maps and vectors; ``perceptron`` projects vectors; ``gradient_penalty`` keeps a
Wasserstein critic near 1-Lipschitz.
"""

from facekit.nn.encoders import ENCODERS, Encoder, EncoderError
from facekit.nn.gradient_penalty import gradient_penalty
from facekit.nn.perceptron import perceptron

__all__ = ["ENCODERS", "Encoder", "EncoderError", "gradient_penalty", "perceptron"]
