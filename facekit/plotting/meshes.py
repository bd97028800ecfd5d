"""Meshes to turn around: one or several side by side, coloured by albedo or by a value, still or with a slider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from facekit.plotting.arrays import encode_srgb, hex_colours, to_numpy
from facekit.plotting.style import GREY, PALETTE, SEQUENTIAL, TEMPLATE

_CLAY = "#c9b5a6"
_LIGHTING = {"ambient": 0.45, "diffuse": 0.65, "specular": 0.12, "roughness": 0.6, "fresnel": 0.05}
_LIGHTING["facenormalsepsilon"] = 1e-12  # plotly.js leaves smaller triangles black, and its default is far too large
_LIGHT = {"x": -100, "y": 200, "z": 0}  # plotly.js takes this in the camera's clip space: a lamp up and left of the eye
_VIEWS = {"front": (0.0, 0.0, 1.0), "three-quarter": (0.6, 0.1, 0.8), "profile": (1.0, 0.0, 0.02)}
_EYE_DISTANCE = 1.5  # in units of the mesh's longest side
_HEIGHTS = {1: 400, 2: 360, 3: 320, 4: 280}
_SLIDER_LOOK = {"bgcolor": GREY, "activebgcolor": PALETTE[0], "bordercolor": GREY, "tickcolor": GREY}

Array = NDArray[Any]


def mesh_figure(
    vertices: Any,
    faces: Any,
    *,
    albedo: Any = None,
    values: Any = None,
    value_range: tuple[float, float] | None = None,
    value_label: str = "",
    colours: Any = SEQUENTIAL,
    labels: Sequence[str] | None = None,
    frames: Any = None,
    frame_values: Any = None,
    frame_labels: Sequence[Any] | None = None,
    slider_label: str = "",
    view: str | Sequence[float] = "front",
    flat: bool = False,
    same_scale: bool = True,
    title: str = "",
    height: int | None = None,
) -> go.Figure:
    """Return a figure of triangle meshes that can be turned around; give it to ``show``.

    Args:
        vertices: one mesh ``(V, 3)``, several ``(N, V, 3)``, or a list of ``(V_i, 3)``; x to the right, y up, z towards
            the viewer, in any unit.
        faces: triangles ``(F, 3)`` for all meshes, or a list with one array per mesh.
        albedo: linear RGB in [0, 1] per vertex, ``(V, 3)`` for all meshes, or ``(N, V, 3)``, or a list. Without it, and
            without ``values``, a mesh is clay-coloured.
        values: a number per vertex, ``(V,)`` for all meshes, or ``(N, V)``, or a list; drawn in ``colours`` with one
            colour bar, in place of ``albedo``.
        value_range: the values at the ends of the colour bar; by default the least and the greatest finite value.
        value_label: the title of the colour bar, with the unit.
        colours: a Plotly colour scale, such as ``SEQUENTIAL`` or ``DIVERGING``.
        labels: a heading per mesh.
        frames: positions under a slider, ``(T, V, 3)`` for one mesh or ``(T, N, V, 3)`` for N side by side; the figure
            opens on the first, and ``vertices`` is not used (pass None).
        frame_values: values that change with the slider, ``(T, V)`` or ``(T, N, V)``.
        frame_labels: a label per frame; 0, 1, ... by default.
        slider_label: what the slider changes.
        view: ``front``, ``three-quarter`` (from the image's right), ``profile``, or a direction towards the eye.
        flat: shade triangle by triangle, which shows the triangles.
        same_scale: draw meshes that stand side by side at one scale; False lets each fill its place.
        title: a heading over everything.
        height: in pixels, by default less the more meshes share the width; the width follows the page.

    Raises:
        ValueError: if the arguments do not fit each other.
    """
    moving = None if frames is None else _frame_stack(frames, 3, "frames")
    moving_values = None if frame_values is None else _frame_stack(frame_values, 2, "frame_values")
    meshes = _mesh_list(vertices if moving is None else moving[0], "vertices")
    if not meshes:
        raise ValueError("vertices: expected at least one mesh, found none")
    triangles = _per_mesh(faces, 2, len(meshes), "faces")
    paints = _per_mesh(albedo, 2, len(meshes), "albedo")
    numbers = _per_mesh(values if moving_values is None else moving_values[0], 1, len(meshes), "values")
    _check(meshes, triangles, paints, numbers)
    _check_frames(moving, moving_values, frame_labels)

    height = height or _HEIGHTS[min(len(meshes), 4)] + (80 if moving is not None else 0)
    figure = go.Figure(layout={"template": TEMPLATE, "height": height, "title": {"text": title or None}})
    for index, parts in enumerate(zip(meshes, triangles, paints, numbers, strict=True)):
        figure.add_trace(_mesh_trace(*parts, flat=flat, scene=_scene_name(index)))
    _place_scenes(figure, _extents(meshes, moving, same_scale), labels, view, title)
    if numbers[0] is not None:
        _add_colour_axis(figure, numbers if moving_values is None else moving_values, value_range, value_label, colours)
    if moving is not None:
        _add_slider(figure, moving, moving_values, frame_labels, slider_label)
    return figure


def _frame_stack(frames: Any, dims: int, name: str) -> Array:
    """Return frames as ``(T, N, V, 3)`` positions (dims 3) or ``(T, N, V)`` values (dims 2)."""
    stack = to_numpy(frames).astype(np.float32)
    if stack.ndim == dims:
        stack = stack[:, None]
    if stack.ndim != dims + 1 or len(stack) == 0:
        raise ValueError(f"{name}: expected {dims} or {dims + 1} dimensions, time first, found shape {stack.shape}")
    return stack


def _mesh_list(vertices: Any, name: str) -> list[Array]:
    """Return one ``(V, 3)`` array per mesh."""
    if isinstance(vertices, (list, tuple)):
        return [to_numpy(item).astype(np.float32) for item in vertices]
    array = to_numpy(vertices).astype(np.float32)
    if array.ndim not in (2, 3):
        raise ValueError(f"{name}: expected shape (V, 3) or (N, V, 3), found {array.shape}")
    return list(array) if array.ndim == 3 else [array]


def _per_mesh(values: Any, dims: int, count: int, name: str) -> list[Any]:
    """Return one array of ``dims`` dimensions per mesh; a single array serves all meshes, None gives Nones."""
    if values is None:
        return [None] * count
    listed = isinstance(values, (list, tuple))
    items = [to_numpy(item) for item in (values if listed else to_numpy(values))]
    if items and all(item.ndim == dims - 1 for item in items):
        items = [np.stack(items)] * count
    if len(items) != count or any(item.ndim != dims for item in items):
        shapes = [item.shape for item in items]
        raise ValueError(f"{name}: expected {dims}-dimensional arrays for {count} meshes, found shapes {shapes}")
    return items


def _check(meshes: list[Array], faces: list[Array], albedos: list[Any], values: list[Any]) -> None:
    for index, (mesh, triangles) in enumerate(zip(meshes, faces, strict=True)):
        if mesh.ndim != 2 or mesh.shape[1] != 3 or not len(mesh):
            raise ValueError(f"mesh {index}: expected vertices of shape (V, 3), found {mesh.shape}")
        _check_finite(mesh, f"mesh {index}")
        fits = triangles is not None and triangles.shape[1] == 3 and len(triangles) > 0
        if not fits or triangles.min() < 0 or triangles.max() >= len(mesh):
            found = "none" if triangles is None else f"shape {triangles.shape}"
            if triangles is not None and triangles.size:
                found += f" with {triangles.min()} to {triangles.max()}"
            raise ValueError(
                f"mesh {index}: expected faces (F, 3) with indices from 0 to {len(mesh) - 1}, found {found}"
            )
        for name, item, tail in (("albedo", albedos[index], (3,)), ("values", values[index], ())):
            if item is not None and item.shape != (len(mesh), *tail):
                raise ValueError(f"mesh {index}: expected {name} of shape {(len(mesh), *tail)}, found {item.shape}")


def _check_finite(vertices: Array, name: str) -> None:
    bad = ~np.isfinite(vertices).all(axis=-1)
    if bad.any():
        raise ValueError(f"{name}: {bad.sum()} of {bad.size} vertices are not finite")


def _check_frames(moving: Array | None, values: Array | None, labels: Sequence[Any] | None) -> None:
    if moving is not None:
        _check_finite(moving, "frames")
    if values is not None and (moving is None or values.shape != moving.shape[:-1]):
        found = None if moving is None else moving.shape
        raise ValueError(f"frame_values {values.shape} need frames of the same length and meshes, found {found}")
    if labels is not None and (moving is None or len(labels) != len(moving)):
        raise ValueError(f"frame_labels: {len(labels)} labels for {0 if moving is None else len(moving)} frames")


def _scene_name(index: int) -> str:
    return "scene" if index == 0 else f"scene{index + 1}"


def _mesh_trace(mesh: Array, faces: Array, albedo: Any, values: Any, *, flat: bool, scene: str) -> go.Mesh3d:
    corners = faces.T.astype(np.uint16 if len(mesh) <= 65536 else np.int32)
    trace = go.Mesh3d(
        **dict(zip("ijk", corners, strict=True)),
        **dict(zip("xyz", mesh.T, strict=True)),
        scene=scene,
        flatshading=flat,
        lighting=_LIGHTING,
        lightposition=_LIGHT,
        hoverinfo="skip",
    )
    if values is not None:
        trace.update(intensity=values.astype(np.float32), coloraxis="coloraxis")
    elif albedo is not None:
        trace.update(vertexcolor=hex_colours(encode_srgb(albedo)))
    else:
        trace.update(color=_CLAY)
    return trace


def _place_scenes(
    figure: go.Figure,
    extents: Sequence[tuple[Array, Array]],
    labels: Sequence[str] | None,
    view: str | Sequence[float],
    title: str,
) -> None:
    """Give every mesh a scene of its own, side by side, seen from the same direction, with its label above it."""
    count = len(extents)
    if labels is not None and len(labels) != count:
        raise ValueError(f"labels: {len(labels)} labels for {count} meshes")
    if isinstance(view, str) and view not in _VIEWS:
        raise ValueError(f"view: expected one of {', '.join(_VIEWS)} or a direction, found {view!r}")
    towards = np.asarray(_VIEWS[view] if isinstance(view, str) else view, dtype=float)
    eye = dict(zip("xyz", (_EYE_DISTANCE * towards / np.linalg.norm(towards)).tolist(), strict=True))
    for index, (low, high) in enumerate(extents):
        sides = np.maximum(high - low, 1e-3 * max(float((high - low).max()), 1e-9))
        scene = {
            "domain": {"x": [index / count, (index + 1) / count], "y": [0.0, 1.0]},
            "aspectmode": "manual",
            "aspectratio": dict(zip("xyz", (sides / sides.max()).tolist(), strict=True)),
            "dragmode": "orbit",
            "camera": {"up": {"x": 0, "y": 1, "z": 0}, "eye": eye},
        }
        for axis, start, side in zip("xyz", low, sides, strict=True):
            scene[f"{axis}axis"] = {"visible": False, "range": [float(start), float(start + side)]}
        figure.update_layout({_scene_name(index): scene})
        if labels is not None:
            middle = {"x": (index + 0.5) / count, "y": 1.0, "xref": "paper", "yref": "paper"}
            figure.add_annotation(text=labels[index], **middle, yanchor="bottom", showarrow=False)
    top = (40 if title else 8) + (24 if labels is not None else 0)
    figure.update_layout(margin={"l": 0, "r": 0, "t": top, "b": 0})


def _extents(meshes: list[Array], moving: Array | None, same_scale: bool) -> list[tuple[Array, Array]]:
    """Return the least and the greatest corner of each mesh over all frames; ``same_scale`` gives equal boxes."""
    tracks = meshes if moving is None else [moving[:, index].reshape(-1, 3) for index in range(moving.shape[1])]
    boxes = [(track.min(axis=0), track.max(axis=0)) for track in tracks]
    if same_scale:
        half = np.max([high - low for low, high in boxes], axis=0) / 2
        boxes = [((low + high) / 2 - half, (low + high) / 2 + half) for low, high in boxes]
    return boxes


def _add_colour_axis(
    figure: go.Figure, values: Any, value_range: tuple[float, float] | None, label: str, colours: Any
) -> None:
    spread = np.concatenate([np.ravel(item) for item in values]).astype(float)
    finite = spread[np.isfinite(spread)]
    if value_range is None and not len(finite):
        raise ValueError("values: no finite value to draw")
    low, high = value_range or (finite.min(), finite.max())
    bar = {"title": {"text": label, "side": "right"}, "thickness": 14, "len": 0.8}
    figure.update_layout(coloraxis={"colorscale": colours, "cmin": float(low), "cmax": float(high), "colorbar": bar})


def _add_slider(
    figure: go.Figure, moving: Array, values: Array | None, labels: Sequence[Any] | None, slider_label: str
) -> None:
    names = [str(label) for label in (range(len(moving)) if labels is None else labels)]
    frames, steps = [], []
    for time, name in enumerate(names):
        traces = []
        for index, mesh in enumerate(moving[time]):
            colour = {} if values is None else {"intensity": values[time, index]}
            traces.append(go.Mesh3d(**dict(zip("xyz", mesh.T, strict=True)), **colour))
        frames.append(go.Frame(name=str(time), data=traces, traces=list(range(len(traces)))))
        jump = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
        steps.append({"label": name, "method": "animate", "args": [[str(time)], jump]})
    figure.frames = frames
    prefix = f"{slider_label}: " if slider_label else ""
    slider = {"steps": steps, "currentvalue": {"prefix": prefix}, "pad": {"t": 10, "b": 10, "l": 20, "r": 20}}
    figure.update_layout(sliders=[slider | _SLIDER_LOOK])
