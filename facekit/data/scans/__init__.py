"""Raw 3D scans and what is made of them: landmarks in one order, pictures, and meshes in a model's correspondence.

scan = source.scan(0)                                       # of a reader of 3D scans
views = render_scan(scan, image_size=112, yaws=(-30, 0, 30))
found = register_scan(model, scan.vertices, scan.faces, scan.landmarks)
"""

from facekit.data.scans.cache import ScanCache
from facekit.data.scans.correspondence import RegisteredScans, register_all
from facekit.data.scans.landmarks import (
    BOSPHORUS_LABELS,
    BP4D_TO_BU,
    landmarks_from_83,
    landmarks_from_bosphorus,
)
from facekit.data.scans.registration import STIFFNESS, Registration, RegistrationError, register_scan
from facekit.data.scans.scan import Scan, read_obj_or_ply
from facekit.data.scans.views import VIEW_OUTPUTS, render_scan

__all__ = [
    "BOSPHORUS_LABELS",
    "BP4D_TO_BU",
    "STIFFNESS",
    "VIEW_OUTPUTS",
    "RegisteredScans",
    "Registration",
    "RegistrationError",
    "Scan",
    "ScanCache",
    "landmarks_from_83",
    "landmarks_from_bosphorus",
    "read_obj_or_ply",
    "register_all",
    "register_scan",
    "render_scan",
]
