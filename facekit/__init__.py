"""3D and 4D facial analysis in PyTorch.

The rooms of the package are imported one by one (``from facekit.meshes import cotangent_laplacian``), so that
``import facekit`` itself loads nothing heavy.
"""

__version__ = "0.1.0"
