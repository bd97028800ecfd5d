"""The faces of a run: made once, kept in the folder of the run, mapped into memory by all of its processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from facekit.data import DataError, ManifestError
from facekit.dmlnet.data import Faces, load_faces, open_sources
from facekit.dmlnet.labelling import annotated
from facekit.dmlnet.recipe import Recipe
from facekit.morphable import FaceModelError
from facekit.training import ConfigError, World, distributed_run, make_once

_SETTINGS = ("data", "dataset", "subjects", "face_size")
"""What faces depend on; those of SFEW also on how they are labelled."""


def make_faces(recipe: Recipe, progress: Callable[[int, int], None] | None = None, **sizes: int) -> tuple[Faces, Faces]:
    """Training and test faces that ``recipe`` names; SFEW's missing poses and identities are filled in.

    Args:
        recipe: of the run.
        progress: called for each of the two parts with its faces done and in all.
        sizes: of the twin, where they differ from the published ones.

    Raises:
        DataError, TupleError: the data does not exist or cannot be used.
    """
    size = recipe.face_size
    sources = open_sources(recipe.data, recipe.dataset, size, recipe.subjects or None, **sizes)
    if recipe.dataset != "sfew":
        return tuple(load_faces(source, recipe.dataset, size, progress=progress) for source in sources)
    with distributed_run(recipe) as world:
        return annotated(sources, recipe.data, size, recipe.seed, recipe.labelling, world.device, progress)


def open_faces(recipe: Recipe, world: World) -> tuple[Faces, Faces]:
    """The faces of a run: made once by the first process, kept in ``out_dir/faces``, mapped into memory by all.

    Raises:
        ConfigError: the data that the settings name does not exist or cannot be used, or the folder holds the faces of
            other settings.
    """
    folder = Path(recipe.out_dir) / "faces"
    depends_on = _SETTINGS if recipe.dataset != "sfew" else (*_SETTINGS, "seed", "labelling")
    make_once(folder, recipe, depends_on, world, lambda folder: _make(recipe, folder))
    return Faces.load(folder / "train"), Faces.load(folder / "test")


def _make(recipe: Recipe, folder: Path) -> None:
    with tqdm(desc="making faces", unit="face", disable=not recipe.progress) as bar:

        def made(done: int, total: int) -> None:
            if done <= bar.n:  # the next part
                bar.reset()
            bar.total = total
            bar.update(done - bar.n)

        try:
            for name, faces in zip(("train", "test"), make_faces(recipe, made), strict=True):
                faces.save(folder / name)
        except (DataError, FaceModelError, ManifestError) as error:
            raise ConfigError(str(error)) from error
