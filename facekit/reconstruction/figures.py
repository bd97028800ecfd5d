"""Pictures for the figures of the experiments chapter, after Figures 4 to 8 of Gao et al. (2020).

All are drawn from the models that the tables measure, of one seed; a picture is (3, 64, 64) in 8 bits.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facekit.data import DataError, parse_data, twin
from facekit.reconstruction import evaluation
from facekit.reconstruction.methods import SCALES, Trained, material, neutral_code, trained
from facekit.reconstruction.model import Face, Reconstructor
from facekit.render import ambient_light, render_mesh

SIZE = 64
WORST = 5.0
"""Millimetres of the darkest colour of an error map."""
PALE, DARK, OUTSIDE = (0.9, 0.88, 0.8), (0.45, 0.02, 0.05), (0.35, 0.38, 0.42)
LIGHTS_AND_POSES = (("cooperative", 0), ("cooperative", 3), ("outdoor", 1), ("indoor", 2))
ABLATIONS = ("full model", "w/o L_recog", "w/o L_adv", "conventional smoothing")
TEXTURES = ("full model", "CNN albedo", "w/o mask and symmetry", "CNN albedo w/o mask and symmetry")


def figure_pictures(data: str, scale: str, seed: int) -> dict[str, np.ndarray]:
    """Grids (R, C, 3, 64, 64) uint8 by name: ``lights`` (Figure 4), ``wild`` (5 and 6), ``shapes`` (7), ``skin`` (8).

    Args:
        data, scale, seed: of the models and of the twins, in the face world.

    Raises:
        DataError: ``data`` is not the face world.
    """
    if not parse_data(data).is_world:
        raise DataError(f"the pictures are of people in the face world, found --data {data}")
    methods = {name: trained(data, scale, seed, name) for name in (*ABLATIONS, "linear 3DMM regressor", *TEXTURES[1:])}
    settings = {
        "image_size": SCALES[scale][0].image_size,
        "model": material(data, scale, seed).face_model,
        "seed": seed,
    }
    wild = twin("aflw2000", subjects=40, outputs=("image", "vertices"), **settings)
    grids = {
        "lights": _lights(methods["full model"], settings),
        "wild": _wild([methods[name] for name in ("full model", "linear 3DMM regressor")], wild),
        "shapes": _shapes([methods[name] for name in ABLATIONS], wild),
        "skin": _skin(methods, settings),
    }
    return {name: (255 * grid.clamp(0, 1)).round().byte().numpy() for name, grid in grids.items()}


@torch.no_grad()
def _lights(method: Trained, settings: dict) -> Tensor:
    """One person of MICC's twin in four frames: photograph, reconstruction, shape, error of the neutral face."""
    model = method.model
    micc = twin("micc", subjects=1, frames=4, outputs=("image",), **settings)
    table = micc.table.reset_index(drop=True)
    rows = [np.flatnonzero(table["condition"] == name)[place] for name, place in LIGHTS_AND_POSES]
    images = micc.batch(rows)["image"]
    face = model(images)
    calm = neutral_code(method).expand(len(rows), -1)
    scan, scan_faces = micc.scan(table["subject"][0])
    maps = [
        _error_map(model, vertices, scan, scan_faces, settings["model"])
        for vertices in model.shape_decoder(face.codes.identity, calm)
    ]
    return torch.stack([_enlarged(images), _over(model, face, images), _shape(model, face.vertices), torch.cat(maps)])


@torch.no_grad()
def _wild(methods: Sequence[Trained], wild) -> Tensor:
    """Five photographs of AFLW2000's twin; of each method the reconstruction over the photograph, and the shape."""
    images = wild.batch(_spread_over_yaw(wild, 5))["image"]
    rows = [_enlarged(images)]
    for method in methods:
        face = method.model(images)
        rows += [_over(method.model, face, images), _shape(method.model, face.vertices)]
    return torch.stack(rows)


@torch.no_grad()
def _shapes(methods: Sequence[Trained], wild) -> Tensor:
    """Three photographs with their true shape and that of each method, a row each."""
    batch = wild.batch(_expressive(wild, 3))
    model, kept = methods[0].model, methods[0].material.prior.vertices
    columns = [_enlarged(batch["image"]), _shape(model, batch["vertices"][:, kept])]
    columns += [_shape(method.model, method.model(batch["image"]).vertices) for method in methods]
    return torch.stack(columns, dim=1)


@torch.no_grad()
def _skin(methods: dict[str, Trained], settings: dict) -> Tensor:
    """Three photographs, a row each, then of each of ``TEXTURES`` the rendering and the albedo without light."""
    albums = twin("celeba", subjects=100, photos=1, outputs=("image",), **settings).split("test")
    images = albums.batch([0, 1, 2])["image"]
    columns = [_enlarged(images)]
    for name in TEXTURES:
        model = methods[name].model
        face = model(images, texture=name.startswith("CNN"))
        columns += [_over(model, face, images), _draw(model, face.vertices, face.albedo, _front(model), _even_light())]
    return torch.stack(columns, dim=1)


def _spread_over_yaw(wild, count: int) -> np.ndarray:
    """Rows from the left to the right profile."""
    order = np.argsort(wild.table["yaw"].to_numpy())
    return order[np.linspace(0, len(order) - 1, count).round().astype(int)]


def _expressive(wild, count: int) -> np.ndarray:
    """Rows with the strongest expressions."""
    return np.argsort(-wild.table["activation"].to_numpy())[:count]


def _enlarged(images: Tensor) -> Tensor:
    return F.interpolate(images, size=(SIZE, SIZE), mode="bilinear", align_corners=False)


def _over(model: Reconstructor, face: Face, images: Tensor) -> Tensor:
    """Reconstructions (B, 3, 64, 64) drawn over their photographs."""
    return _draw(model, face.vertices, face.albedo, _magnified(model, face.pose), face.light, _enlarged(images))


def _shape(model: Reconstructor, vertices: Tensor) -> Tensor:
    """Grey faces (B, 3, 64, 64) seen from the front."""
    grey = torch.full_like(vertices, 0.5)
    return _draw(model, vertices, grey, _front(model), model.usual_light[None])


def _error_map(model: Reconstructor, vertices: Tensor, scan: Tensor, scan_faces: Tensor, scanner) -> Tensor:
    """The scan (1, 3, 64, 64), coloured by its distance from a reconstruction, 0 to 5 mm; grey beyond the crop."""
    errors, ids = evaluation.scan_errors(vertices, model.faces, model.landmarks, scan, scan_faces, scanner.landmarks)
    share = (errors / WORST).clamp(0, 1)[:, None].to(scan)
    colours = torch.tensor(OUTSIDE).expand(len(scan), 3).clone()
    colours[ids] = torch.lerp(torch.tensor(PALE), torch.tensor(DARK), share)
    light = 0.5 * (model.usual_light[None] + _even_light())
    return render_mesh(scan[None], scan_faces, colours[None], _front(model), light, SIZE, background=1.0).image


def _draw(model: Reconstructor, vertices: Tensor, albedo: Tensor, pose: Tensor, light: Tensor, ground=1.0) -> Tensor:
    many = len(vertices)
    pose, light = pose.expand(many, -1), light.expand(many, -1, -1)
    return render_mesh(vertices, model.faces, albedo, pose, light, SIZE, uv=model.uv, background=ground).image


def _magnified(model: Reconstructor, pose: Tensor) -> Tensor:
    """Cameras (B, 6) of the model's images as cameras of the pictures."""
    factor = SIZE / model.image_size
    return torch.cat([pose[:, :3], factor * pose[:, 3:]], dim=1)


def _front(model: Reconstructor) -> Tensor:
    return _magnified(model, model.usual_pose[None])


def _even_light() -> Tensor:
    return ambient_light(torch.ones(1, 3))
