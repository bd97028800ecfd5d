"""Hybrid batches: labelled photographs with 3DMM coefficients, and photo collections of known people without.

Gao et al. (2020), Section 5: 300W-LP without its mirrored half, CelebA, "augmented on the fly with random horizontal
flip and random scaling of [0.8, 1.0]". Rows 2k and 2k + 1 of a labelled batch are the pair of Eq. (8).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facekit.data import DataSource, crop, load_all, mirror, row_uniform, twin
from facekit.morphable import FaceModel, LinearFaceModel
from facekit.training import TensorSource

PICTURE = ("image", "mask", "landmarks")
COEFFICIENTS = ("fitted_identity_code", "fitted_expression_code")
"""What a labelled photograph has beside its picture: the 3DMM coefficients that were fitted to it."""
SMALLEST = 0.8


@dataclass(frozen=True)
class Photos:
    """Half of the photographs of a run.

    Args:
        source: has ``batch(rows)`` with ``image`` (B, 3, S, S) in [0, 1] or uint8, ``mask`` (B, 1, S, S), the face
            without what hides it, ``landmarks`` (B, 68, 2) pixels, and for the labelled half ``COEFFICIENTS``.
        identity: (N,) int64, numbers of people.
        people: how many numbers there are, here and in the other half.
        labelled: whether there are coefficients.
        augment: flip and scale.
    """

    source: DataSource | TensorSource
    identity: Tensor
    people: int
    labelled: bool = False
    augment: bool = True

    def __len__(self) -> int:
        return len(self.identity)

    def batch(self, rows: Tensor, seeds: Tensor | None = None) -> dict[str, Tensor]:
        """Rows (B,) as ``image`` in [0, 1], ``mask``, ``landmarks``, ``identity``, ``mirrored`` (B,) bool, and for the
        labelled half ``shape_code`` and ``expression_code``, which describe the face before the flip.

        Without ``seeds`` (B,) nothing is flipped or scaled. Both photographs of a pair are flipped or neither is, so
        that their coefficients may be exchanged.
        """
        loaded = self.source.batch(rows)
        sample = {name: loaded[name] for name in PICTURE}
        if sample["image"].dtype == torch.uint8:
            sample["image"] = sample["image"].float() / 255
        flipped = torch.zeros(len(rows), dtype=torch.bool)
        if self.augment and seeds is not None:
            sample, flipped = _augmented(sample, seeds.numpy(), paired=self.labelled)
        sample |= {"identity": self.identity[rows], "mirrored": flipped}
        if self.labelled:
            sample["shape_code"], sample["expression_code"] = (loaded[name] for name in COEFFICIENTS)
        return sample


def _augmented(sample: dict[str, Tensor], seeds: np.ndarray, paired: bool) -> tuple[dict[str, Tensor], Tensor]:
    """Flipped and scaled as each row's seed says; a smaller face is a box larger than the image."""
    size = sample["image"].shape[-1]
    deciding = np.repeat(seeds[::2], 2)[: len(seeds)] if paired else seeds
    flipped = torch.from_numpy(row_uniform(deciding, "flip")[:, 0] < 0.5)
    mirrored = mirror(sample)
    sample = {
        key: torch.where(flipped.view(-1, *[1] * (value.dim() - 1)), mirrored[key], value)
        for key, value in sample.items()
    }
    draw = torch.from_numpy(row_uniform(seeds, "scale and place", 3)).float()
    side = size / (SMALLEST + (1 - SMALLEST) * draw[:, :1])
    boxes = torch.cat([(size - side) * draw[:, 1:], side], dim=1)
    sample = crop(sample, boxes, size)
    sample["mask"] = sample["mask"] & _inside(boxes, size)
    return sample, flipped


def _inside(boxes: Tensor, size: int) -> Tensor:
    """(B, 1, S, S): pixels of the crop that lie within the old image; outside the border is only repeated."""
    centres = (torch.arange(size) + 0.5) / size
    inside = []
    for edge in (boxes[:, 0:1], boxes[:, 1:2]):
        place = edge + boxes[:, 2:] * centres
        inside.append((place >= 0) & (place < size))
    return (inside[1][:, :, None] & inside[0][:, None, :])[:, None]


def open_photos(
    source: DataSource, first: int = 0, people: int | None = None, labelled: bool = False, in_memory: bool = True
) -> Photos:
    """The photographs of a source.

    Args:
        source: with the outputs of ``PICTURE``, and those of ``COEFFICIENTS`` if it is ``labelled``.
        first: number of its first person.
        people: how many people there are in all; those of this source if not given.
        labelled: take the coefficients along.
        in_memory: render or read everything now, instead of each batch when it is needed.
    """
    numbers, names = pd.factorize(source.table["subject"])
    held = TensorSource(**load_all(source, PICTURE + (COEFFICIENTS if labelled else ()))) if in_memory else source
    count = first + len(names) if people is None else people
    return Photos(held, torch.from_numpy(numbers.astype(np.int64)) + first, count, labelled)


def training_photos(
    morphable: LinearFaceModel,
    model: FaceModel,
    image_size: int,
    people: int,
    photos: int,
    sources: int,
    views: int,
    seed: int = 0,
    in_memory: bool = True,
) -> tuple[Photos, Photos]:
    """The labelled (300W-LP) and the unlabelled (CelebA) half, of the face world's twins.

    Args:
        morphable: 3DMM that the labelled photographs are fitted with.
        model: face model of the world.
        image_size: pixels.
        people, photos: size of CelebA's twin, and photographs of each person; 0 photos for the published numbers.
        sources, views: the same for 300W-LP's twin, whose mirrored half is left out.
        seed: of the twins.
        in_memory: see ``open_photos``.
    """
    labelled = twin(
        "300wlp", subjects=sources, views=views, image_size=image_size, model=model, seed=seed,
        fit_with=morphable, outputs=PICTURE + COEFFICIENTS,
    )  # fmt: skip
    labelled = labelled.select(~labelled.table["mirrored"].to_numpy())
    unlabelled = twin(
        "celeba", subjects=people, photos=photos, image_size=image_size, model=model, seed=seed, outputs=PICTURE
    ).split("train")
    return joined_photos(labelled, unlabelled, in_memory)


def joined_photos(labelled: DataSource, unlabelled: DataSource, in_memory: bool = True) -> tuple[Photos, Photos]:
    """The two halves of a run, whose people are numbered one after another."""
    first = labelled.table["subject"].nunique()
    count = first + unlabelled.table["subject"].nunique()
    return (
        open_photos(labelled, 0, count, labelled=True, in_memory=in_memory),
        open_photos(unlabelled, first, count, in_memory=in_memory),
    )
