"""Tables of the twins of photographs found in the wild: SFEW, CelebA, 300W-LP, AFLW2000-3D and EmotioNet."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facekit.data.randomness import derive_seeds, row_choice, row_normal, row_uniform
from facekit.data.world.tables import BASIC_SIX, Request, build_table, category, grouped, spread

WILD_PERFORMANCES: tuple[str, ...] = ("neutral", *BASIC_SIX)
WILD_SHARES: tuple[float, ...] = (0.40, 0.05, 0.04, 0.03, 0.34, 0.06, 0.08)
"""How often people are photographed with each expression: mostly neutral or smiling."""


def _candid(take: np.ndarray, shares: tuple[float, ...] = WILD_SHARES) -> dict[str, object]:
    """What people do in photographs that nobody has labelled: an expression, from a trace to full strength."""
    choice = row_choice(take, "candid", shares)
    strength = 0.25 + 0.75 * row_uniform(take, "candid strength")[:, 0]
    return {"performed": category(choice, WILD_PERFORMANCES), "activation": np.where(choice == 0, 0.0, strength)}


SFEW_EXPRESSIONS: tuple[str, ...] = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
SFEW_SPLITS = {"train": 958, "val": 436, "test": 372}
SFEW_SHARES: tuple[float, ...] = (0.19, 0.07, 0.11, 0.21, 0.17, 0.18, 0.07)


def sfew(request: Request) -> pd.DataFrame:
    """Stills from films: an expression, but neither the person nor the pose is labelled; no film is in two splits.

    `subjects` is the number of actors; every film has five of them.
    """
    total = sum(SFEW_SPLITS.values()) if request.subjects == 350 else round(5.05 * request.subjects)
    counts = [round(total * share / sum(SFEW_SPLITS.values())) for share in SFEW_SPLITS.values()]
    films = [max(1, round(request.subjects / 5 * count / total)) for count in counts]
    split, place = grouped(counts)
    film = np.cumsum([0, *films[:-1]])[split] + place % np.array(films)[split]
    actor = film * 5 + row_choice(derive_seeds(request.seed, "cast", split, place), "actor", (3, 2, 1, 1, 1))
    person = request.people(actor)
    take = derive_seeds(person, "still", split, place)
    expression = row_choice(take, "expression", SFEW_SHARES)
    published = np.where(split == 2, 7, expression)
    neutral = SFEW_EXPRESSIONS.index("neutral")
    return build_table(person, take, derive_seeds(take, "image"), {
        "subject": "", "group": category(film, [f"film_{number:03d}" for number in range(sum(films))]),
        "expression": category(published, (*SFEW_EXPRESSIONS, "")),
        "performed": category(expression, SFEW_EXPRESSIONS),
        "activation": np.where(expression == neutral, 0.0, 0.35 + 0.6 * row_uniform(take, "strength")[:, 0]),
        "pitch": np.nan, "yaw": np.nan, "roll": np.nan,
        "split": category(split, tuple(SFEW_SPLITS)),
    })  # fmt: skip


CELEBA_PHOTOS, CELEBA_PEOPLE = 202_599, 10_177


def celeba(request: Request) -> pd.DataFrame:
    """Photo collections: one to thirty-five pictures of each person, in other poses, lights and places every time."""
    people = np.arange(request.subjects)
    counts = _celeba_counts()[people % CELEBA_PEOPLE] if request.extent == 0 else np.full(len(people), request.extent)
    subject, photo = grouped(counts)
    person = request.people(subject)
    take = derive_seeds(person, "photo", photo)
    place = row_uniform(request.people(people), "split")[:, 0]
    return build_table(person, take, derive_seeds(take, "image"), {
        "subject": category(subject, [str(number + 1) for number in people]),
        "expression": "", **_candid(take),
        "pitch": np.nan, "yaw": np.nan, "roll": np.nan,
        "split": category(np.digitize(place, (0.80, 0.90))[subject], ("train", "val", "test")),
    })  # fmt: skip


def _celeba_counts() -> np.ndarray:
    """Photographs of each person: most have twenty to thirty, some only a few, and the published total together."""
    people = np.arange(CELEBA_PEOPLE)
    counts = np.ceil(30.0 * row_uniform(people, "number of photos")[:, 0] ** 0.55).astype(np.int64)
    return counts + spread(CELEBA_PHOTOS - counts.sum(), CELEBA_PEOPLE)


LP_SOURCES = {"AFW": (337, 5_207), "HELEN": (2_330, 37_676), "IBUG": (135, 1_786), "LFPW": (1_035, 16_556)}
"""Part of 300W-LP -> source photographs and images made from them (without the mirrored copies)."""


def wlp300(request: Request) -> pd.DataFrame:
    """Photographs turned step by step to the profile, with their 3DMM coefficients, and the mirror image of each.

    `subjects` is the number of source photographs; a source is the only identity there is.
    """
    parts, views = _lp_sources(request.subjects)
    if request.extent:
        views = np.full(request.subjects, request.extent)
    subject, view = grouped(np.repeat(views, 2))
    mirrored = subject % 2 == 1
    subject = subject // 2
    person = request.people(subject)
    take = derive_seeds(person, "photograph")
    start = np.clip(18.0 * row_normal(take, "start")[:, 0], -45.0, 45.0)
    side = np.where(start < 0, -1.0, 1.0)
    yaw = start + side * view / np.maximum(views[subject] - 1, 1) * (90.0 - np.abs(start))
    tilt = row_normal(take, "tilt", 2) * (9.0, 7.0)
    names = list(LP_SOURCES)
    flip = np.where(mirrored, -1.0, 1.0)
    return build_table(person, take, derive_seeds(take, "view", view), {
        "subject": category(subject, [f"{names[part]}/{number:05d}" for number, part in enumerate(parts)]),
        "group": category(parts[subject], names),
        "expression": "", **_candid(take),
        "pitch": tilt[:, 0], "yaw": flip * yaw, "roll": flip * tilt[:, 1],
        "split": "train", "frame": view, "mirrored": mirrored,
    })  # fmt: skip


def _lp_sources(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Part of 300W-LP (position in LP_SOURCES) and number of views of each source, the parts well mixed."""
    sizes = [sources for sources, _ in LP_SOURCES.values()]
    parts = np.repeat(np.arange(len(sizes)), sizes)
    views = np.concatenate([spread(images, sources) for sources, images in LP_SOURCES.values()])
    order = np.argsort(row_uniform(np.arange(len(parts)), "mixed order")[:, 0])
    repeats = -(-count // len(parts))
    return np.tile(parts[order], repeats)[:count], np.tile(views[order], repeats)[:count]


AFLW_BINS = ((0.0, 30.0, 1_306), (30.0, 60.0, 462), (60.0, 90.0, 232))
"""AFLW2000-3D: lowest and highest absolute yaw in degrees, and images."""


def aflw2000(request: Request) -> pd.DataFrame:
    """Photographs in every pose from frontal to profile, one of each person, with pose and landmarks to be found."""
    person = request.people(np.arange(request.subjects))
    take = derive_seeds(person, "photograph")
    low, high, images = np.array(AFLW_BINS).T
    chosen = row_choice(take, "yaw bin", images)
    place, sign = row_uniform(take, "yaw", 2).T
    yaw = np.where(sign < 0.5, -1.0, 1.0) * (low[chosen] + (high - low)[chosen] * place)
    tilt = row_normal(take, "tilt", 2) * (13.0, 12.0)
    return build_table(person, take, derive_seeds(take, "image"), {
        "subject": category(np.arange(request.subjects), [f"image{number:05d}" for number in range(request.subjects)]),
        "expression": "", **_candid(take),
        "pitch": tilt[:, 0], "yaw": yaw, "roll": tilt[:, 1], "split": "test",
    })  # fmt: skip


def emotionet(request: Request) -> pd.DataFrame:
    """Single photographs of strangers with every kind of expression, and no label at all."""
    person = request.people(np.arange(request.subjects))
    take = derive_seeds(person, "photograph")
    return build_table(person, take, derive_seeds(take, "image"), {
        "subject": "", "expression": "", **_candid(take, (0.16, 0.12, 0.11, 0.11, 0.22, 0.13, 0.15)),
        "pitch": np.nan, "yaw": np.nan, "roll": np.nan, "split": "train",
    })  # fmt: skip
