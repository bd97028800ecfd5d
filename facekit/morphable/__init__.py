"""Face models: the built-in procedural face, linear models, and readers for ICT-FaceKit, BFM and FLAME."""

from facekit.morphable.action_units import ACTION_UNITS, action_unit_vector
from facekit.morphable.action_units import TABLE as ACTION_UNIT_TABLE
from facekit.morphable.bfm import BaselFaceModel, load_bfm2009, load_bfm2017
from facekit.morphable.expressions import ALL_EXPRESSIONS, EXPRESSIONS, VISEMES, sample_expression
from facekit.morphable.face_model import FaceModel, FaceModelError
from facekit.morphable.flame import FlameModel, load_flame
from facekit.morphable.ict import load_ict
from facekit.morphable.linear_model import LinearFaceModel
from facekit.morphable.linear_training import build_linear_model
from facekit.morphable.painted_model import PaintedFaceModel
from facekit.morphable.procedural import ProceduralFace
from facekit.morphable.procedural.anatomy import NAMES as TRAIT_NAMES
from facekit.morphable.procedural.skin_code import TEXTURE_DIMENSIONS, texture_index

__all__ = [
    "ACTION_UNITS",
    "ACTION_UNIT_TABLE",
    "ALL_EXPRESSIONS",
    "EXPRESSIONS",
    "TEXTURE_DIMENSIONS",
    "TRAIT_NAMES",
    "VISEMES",
    "BaselFaceModel",
    "FaceModel",
    "FaceModelError",
    "FlameModel",
    "LinearFaceModel",
    "PaintedFaceModel",
    "ProceduralFace",
    "action_unit_vector",
    "build_linear_model",
    "load_bfm2009",
    "load_bfm2017",
    "load_flame",
    "load_ict",
    "sample_expression",
    "texture_index",
]
