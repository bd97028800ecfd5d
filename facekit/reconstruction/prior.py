"""The linear 3DMM that the paper starts from, and its face: Gao et al. (2020), Section 3 and 4.2.

The paper takes the Basel model, "removes the neck and ears" and keeps 37,202 of 53,215 vertices. Here any linear model
is cut to a ball around the tip of the nose; the result is again a linear model, whose mean is the face template.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from facekit.morphable import LinearFaceModel

NOSE_TIP = 30


class Prior(NamedTuple):
    """A 3DMM of the face region, and where its vertices are on the whole model.

    ``model`` is the cropped linear model: ``model.mean`` is the template, ``model.shape(a_id, a_exp)`` is s[:, T] of
    Eq. (7). ``vertices (V,)`` int64 are the paper's T, the rows of the whole model.
    """

    model: LinearFaceModel
    vertices: Tensor


def face_prior(whole: LinearFaceModel, radius: float = 150.0) -> Prior:
    """The part of a 3DMM within ``radius`` millimetres of the nose tip of its mean face; 0 keeps everything.

    Raises:
        ValueError: a landmark would be lost.
    """
    keep = torch.ones(whole.num_vertices, dtype=torch.bool)
    if radius:
        nose = whole.mean[whole.landmarks[NOSE_TIP]]
        keep = (whole.mean - nose).norm(dim=1) <= radius
    keep &= keep[whole.symmetry]
    inside = whole.faces[keep[whole.faces].all(dim=1)]
    ids = inside.unique()
    number = torch.full((whole.num_vertices,), -1, dtype=torch.int64)
    number[ids] = torch.arange(len(ids))
    lost = int((number[whole.landmarks] < 0).sum())
    if lost:
        raise ValueError(f"a radius of {radius:g} mm loses {lost} of the 68 landmarks; take a larger one")
    symmetry = number[whole.symmetry[ids]]
    model = LinearFaceModel(
        name=f"{whole.name}_face",
        faces=number[inside],
        uv=whole.uv[ids],
        landmarks=number[whole.landmarks],
        symmetry=torch.where(symmetry < 0, torch.arange(len(ids)), symmetry),
        regions={name: mask[ids] for name, mask in whole.regions.items()},
        mean=whole.mean[ids],
        identity_basis=whole.identity_basis[:, ids],
        expression_basis=whole.expression_basis[:, ids],
        mean_albedo=whole.mean_albedo[ids],
        texture_basis=whole.texture_basis[:, ids],
        albedo_encoding=whole.albedo_encoding,
    )
    return Prior(model, ids)


def spread(model: LinearFaceModel) -> float:
    """Root mean square displacement from the mean, in mm per coordinate, of faces with standard normal codes."""
    bases = torch.cat([model.identity_basis, model.expression_basis])
    return float(bases.square().sum(dim=0).mean().sqrt())
