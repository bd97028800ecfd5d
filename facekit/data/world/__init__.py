"""The face world and its protocol twins: synthetic people with every label."""

from facekit.data.world.face_world import FaceWorld
from facekit.data.world.outputs import OUTPUTS
from facekit.data.world.performance import perform
from facekit.data.world.settings import TWIN_NUISANCE
from facekit.data.world.spontaneous import SPONTANEOUS, SpontaneousProcess, facs_levels
from facekit.data.world.twins import PROTOCOLS, Protocol, twin, twin_table

__all__ = [
    "OUTPUTS",
    "PROTOCOLS",
    "SPONTANEOUS",
    "TWIN_NUISANCE",
    "FaceWorld",
    "Protocol",
    "SpontaneousProcess",
    "facs_levels",
    "perform",
    "twin",
    "twin_table",
]
