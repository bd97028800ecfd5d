"""How good a reconstruction is: the MICC protocol, pose and landmarks, identity verification.

Gao et al. (2020), Section 5.1; the MICC protocol is that of Genova et al. (2018).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from facekit.data import DataSource
from facekit.meshes import SimilarityTransform, crop_sphere, icp, point_to_plane_distance, rigid_align
from facekit.morphable import FaceModel
from facekit.reconstruction.data import Photos
from facekit.reconstruction.model import Codes, Reconstructor
from facekit.reconstruction.prior import NOSE_TIP

CONDITIONS = ("cooperative", "indoor", "outdoor")
"""The recordings of MICC Florence: cooperative, indoor, outdoor."""
CROP = 95.0
CHUNK = 64
STABLE = slice(27, 48)
"""Landmarks of the nose and the eyes, which first bring a face and a scan together."""


def scan_errors(
    vertices: Tensor, faces: Tensor, landmarks: Tensor, scan: Tensor, scan_faces: Tensor, scan_landmarks: Tensor
) -> tuple[Tensor, Tensor]:
    """Distances between a reconstruction and a scan after the MICC protocol.

    The scan is cropped to 95 mm around its nose tip; the reconstruction is brought there by its landmarks and by rigid
    ICP; then each point of the cropped scan is measured to the tangent plane at the nearest reconstructed vertex.

    Args:
        vertices: (V, 3) mm; faces (F, 3); landmarks (68,) int64.
        scan: (W, 3) mm; scan_faces (G, 3); scan_landmarks (68,) int64, or (1,), the tip of the nose alone, for a scan
            that is upright and faces +z.

    Returns:
        Errors in mm (N,) of the scan's points, and which points of the scan they are (N,).
    """
    if len(scan_landmarks) == 1:
        tip = scan[scan_landmarks[0]]
        start = SimilarityTransform(torch.eye(3), tip - vertices[landmarks[NOSE_TIP]], torch.ones(()))
    else:
        tip = scan[scan_landmarks[NOSE_TIP]]
        start = rigid_align(vertices[landmarks[STABLE]], scan[scan_landmarks[STABLE]])
    crop, crop_faces, ids = crop_sphere(scan, scan_faces, tip, CROP)
    near = (start.apply(vertices) - tip).norm(dim=1) <= CROP
    found = icp(vertices[near], crop, crop_faces, initial=start, steps=30)
    moved = found.transform.apply(vertices)
    return point_to_plane_distance(crop, moved, faces), ids


@torch.no_grad()
def encode(model: Reconstructor, images: Tensor) -> Codes:
    """Codes of images (N, 3, S, S), in [0, 1] or uint8, in evaluation mode."""
    training = model.training
    model.eval()
    device = model.template.device
    parts = [model.encoder(_as_float(chunk).to(device)) for chunk in images.split(CHUNK)]
    model.train(training)
    return Codes(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def neutral_expression(model: Reconstructor, labelled: Photos, share: float = 0.2, most: int = 500) -> Tensor:
    """The neutral expression code (64,): the mean code of the labelled photographs that show no expression.

    The paper combines identities "with the neutral expression code" and does not say where it comes from. Here it is
    that of the ``share`` of (at most ``most``) labelled photographs whose 3DMM expression coefficients are smallest.
    """
    rows = torch.linspace(0, len(labelled) - 1, min(most, len(labelled))).round().long()
    batches = [labelled.batch(part) for part in rows.split(CHUNK)]
    strength = torch.cat([batch["expression_code"].norm(dim=1) for batch in batches])
    calm = strength.argsort()[: max(1, int(share * len(rows)))].to(model.template.device)
    codes = torch.cat([encode(model, batch["image"]).expression for batch in batches])
    return codes[calm].mean(dim=0)


def micc_frames(source: DataSource, frames: int) -> pd.DataFrame:
    """``frames`` rows of every video of the MICC twin, spread evenly, with their positions in the source's table."""
    table = source.table.reset_index(drop=True)
    videos = table[table["condition"].isin(CONDITIONS)]
    groups = videos.groupby("sequence", observed=True)
    place, length = groups.cumcount(), groups["frame"].transform("size")
    count = length.clip(upper=frames)
    return videos[(place * count) % length < count]


def average_over_identity(
    model: Reconstructor, source: DataSource, neutral: Tensor, frames: int = 10
) -> dict[tuple[str, str], Tensor]:
    """One neutral face (V, 3) for each (subject, condition): the identity codes of the video's frames averaged."""
    rows = micc_frames(source, frames)
    identity = encode(model, _images(source, rows.index.to_numpy())).identity
    return _means(rows, identity, lambda code: _decode(model, code, neutral))


def average_over_views(model: Reconstructor, source: DataSource, frames: int = 10) -> dict[tuple[str, str], Tensor]:
    """One face for each (subject, condition): the mean of the shapes from a left, a frontal and a right frame.

    The three frames are those of the video whose estimated yaw is lowest, nearest to zero and highest.
    """
    rows = micc_frames(source, frames)
    codes = encode(model, _images(source, rows.index.to_numpy()))
    yaw = model.pose(codes.pose)[:, 1].cpu()
    faces = {}
    for key, members in _groups(rows):
        turned = yaw[members]
        chosen = members[[int(turned.argmin()), int(turned.abs().argmin()), int(turned.argmax())]]
        chosen = torch.from_numpy(chosen)
        with torch.no_grad():
            faces[key] = model.shape_decoder(codes.identity[chosen], codes.expression[chosen]).mean(dim=0).cpu()
    return faces


def micc_errors(
    faces: Mapping[tuple[str, str], Tensor], topology: nn.Module, source: DataSource, scanner: FaceModel | None
) -> dict[str, float]:
    """``<condition>_mean`` and ``<condition>_std`` over the subjects of the mean error in mm of neutral faces.

    Args:
        faces: (subject, condition) to vertices (V, 3) mm.
        topology: has ``faces`` and ``landmarks`` of these vertices: a model, or a 3DMM of the face region.
        source: the MICC twin or ``MiccCopy``, which give the scans of their subjects.
        scanner: the face model of the scans, for their landmarks; None for real scans, of which ``source`` knows one.
    """
    triangles, landmarks = topology.faces.cpu(), topology.landmarks.cpu()
    scans = {subject: source.scan(subject) for subject in {subject for subject, _ in faces}}
    errors: dict[str, list[float]] = {}
    for (subject, condition), vertices in faces.items():
        scan, scan_faces = scans[subject]
        marks = source.scan_landmarks(subject) if scanner is None else scanner.landmarks
        found, _ = scan_errors(vertices, triangles, landmarks, scan, scan_faces, marks)
        errors.setdefault(condition, []).append(float(found.mean()))
    measured = {}
    for condition, values in errors.items():
        measured[f"{condition}_mean"] = float(np.mean(values))
        measured[f"{condition}_std"] = float(np.std(values))
    return measured


def pose_and_landmarks(estimated: Tensor, projected: Tensor, pose: Tensor, landmarks: Tensor) -> dict[str, float]:
    """Errors on AFLW2000: ``pitch``, ``yaw``, ``roll`` (mean absolute, degrees) and ``nme``.

    ``nme`` is the mean landmark distance in per cent of the root of the area of the true landmarks' box.

    Args:
        estimated: (B, 6) poses of the reconstructions.
        projected: (B, 68, 2) their landmarks in pixels.
        pose: (B, 6) the truth; landmarks (B, 68, 2) the truth in pixels.
    """
    angles = (estimated[:, :3] - pose[:, :3]).abs().mean(dim=0)
    box = (landmarks.amax(dim=1) - landmarks.amin(dim=1)).prod(dim=1).sqrt()
    nme = 100 * ((projected - landmarks).norm(dim=2).mean(dim=1) / box).mean()
    return dict(zip(("pitch", "yaw", "roll"), angles.tolist(), strict=True)) | {"nme": float(nme)}


def verification(codes: Tensor, people: Sequence | np.ndarray) -> dict[str, float]:
    """Whether two photographs show one person, by the cosine of their identity codes (N, D).

    Returns:
        ``auc``, the area under the ROC curve over all pairs, and ``eer``, the error rate at which false acceptances and
        false rejections are as frequent, both in per cent; 50 for codes that are all the same.

    Raises:
        ValueError: there are no pairs of one person, or none of two.
    """
    numbers, _ = pd.factorize(np.asarray(people))
    unit = functional.normalize(codes.double(), dim=1)
    first, second = torch.triu_indices(len(codes), len(codes), 1)
    same = torch.from_numpy(numbers)[first] == torch.from_numpy(numbers)[second]
    if not same.any() or same.all():
        raise ValueError("verification needs pairs of one person and pairs of two, found only one kind")
    score, order = (unit @ unit.T)[first, second].cpu().round(decimals=12).sort(descending=True)
    genuine = same[order].double()
    threshold = functional.pad(score[:-1] != score[1:], (1, 1), value=True)  # equal scores are accepted together
    accepted, false = (
        functional.pad(kind.cumsum(0) / kind.sum(), (1, 0))[threshold] for kind in (genuine, 1 - genuine)
    )
    equal = int((1 - accepted - false).abs().argmin())
    return {
        "auc": 100 * float(torch.trapezoid(accepted, false)),
        "eer": 50 * float(1 - accepted[equal] + false[equal]),
    }


def _as_float(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images


def _images(source: DataSource, rows: np.ndarray) -> Tensor:
    return torch.cat([source.batch(part)["image"] for part in np.array_split(rows, -(-len(rows) // CHUNK))])


@torch.no_grad()
def _decode(model: Reconstructor, identity: Tensor, expression: Tensor) -> Tensor:
    return model.shape_decoder(identity[None], expression[None])[0].cpu()


def _groups(rows: pd.DataFrame) -> list[tuple[tuple[str, str], np.ndarray]]:
    """((subject, condition), positions among ``rows``) of every video."""
    positions = rows.groupby(["subject", "condition"], observed=True).indices
    return [((str(subject), str(condition)), members) for (subject, condition), members in positions.items()]


def _means(rows: pd.DataFrame, codes: Tensor, decode: Callable[[Tensor], Tensor]) -> dict[tuple[str, str], Tensor]:
    return {key: decode(codes[torch.from_numpy(members)].mean(dim=0)) for key, members in _groups(rows)}
