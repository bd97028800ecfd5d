"""What makes a picture of a face hard to read: light, background, occluders, camera, and the settings of them."""

from facekit.data.nuisance.backgrounds import random_backgrounds
from facekit.data.nuisance.camera_faults import blur, camera_faults, compress, sensor_noise
from facekit.data.nuisance.lights import flash_lights, random_lights
from facekit.data.nuisance.occluders import Occluders
from facekit.data.nuisance.settings import Nuisance, RowSettings, settings_of_rows

__all__ = [
    "Nuisance",
    "Occluders",
    "RowSettings",
    "blur",
    "camera_faults",
    "compress",
    "flash_lights",
    "random_backgrounds",
    "random_lights",
    "sensor_noise",
    "settings_of_rows",
]
