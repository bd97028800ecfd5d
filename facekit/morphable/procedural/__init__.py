"""The built-in procedural face."""

from facekit.morphable.procedural.face import ProceduralFace

__all__ = ["ProceduralFace"]
