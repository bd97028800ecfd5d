"""Time the rasterizer against PyTorch3D's on the same device, and whole pictures of the size of a face world.

Run it alone (`python tests/benchmarks/bench_rasterizer.py`). The mesh is the real ICT-FaceKit head of 52,220 triangles
where it is found (see tests/conftest.py), otherwise a ball of as many. On a CPU, PyTorch3D takes some minutes for this.
"""

import importlib.util
import os
import time
from pathlib import Path

import numpy as np
import torch
import trimesh

from facekit.render import rasterize, render_mesh, sample_light, weak_perspective

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ICT = Path(__file__).resolve().parents[3] / "shared" / "data" / "ict_facekit" / "ict_facekit.npz"


def head() -> tuple[torch.Tensor, torch.Tensor]:
    """(V, 3) vertices in millimetres, centred, and (52220, 3) faces."""
    path = Path(os.environ.get("FACEKIT_ICT", ICT))
    if path.is_file():
        data = np.load(path)
        vertices, quads = torch.from_numpy(data["neutral"] * 10), torch.from_numpy(data["quads"]).long()
        faces = torch.cat([quads[:, :3], quads[quads[:, 3] >= 0][:, [0, 2, 3]]])
    else:
        mesh = trimesh.creation.uv_sphere(radius=130, count=[129, 204])
        vertices, faces = torch.tensor(mesh.vertices).float(), torch.tensor(mesh.faces).long()
    return (vertices - (vertices.amax(0) + vertices.amin(0)) / 2).to(DEVICE), faces.to(DEVICE)


def shortest(function, seconds: float) -> float:
    """Shortest of many runs within ``seconds``, at least one, in milliseconds."""
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        function()
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def forward(screen, faces, backend: str):
    return rasterize(screen, faces, 224, backend=backend)


def forward_backward(screen, faces, backend: str):
    screen = screen.detach().requires_grad_()
    fragments = rasterize(screen, faces, 224, backend=backend)
    (fragments.weights[:, 0].sum() + fragments.depths.sum()).backward()


def against_pytorch3d(batch: int) -> None:
    vertices, faces = head()
    scale = 213 / (vertices.amax(0) - vertices.amin(0))[:2].max().item()
    pose = torch.tensor([[0.0, 0.0, 0.0, scale, 112.0, 112.0]], device=DEVICE).repeat(batch, 1)
    pose[:, 1] = torch.linspace(0, 30, batch)
    screen = weak_perspective(vertices.expand(batch, -1, -1), pose)
    for name, step in (("forward", forward), ("forward + backward", forward_backward)):
        step(screen, faces, "torch")
        ours = shortest(lambda step=step: step(screen, faces, "torch"), 3.0)
        case = f"rasterize {len(faces)} triangles at 224x224, batch {batch}, {name}, {DEVICE}: {ours:.1f} ms"
        if importlib.util.find_spec("pytorch3d") is None:
            print(f"{case}, PyTorch3D is not installed")
            continue
        if DEVICE == "cuda":
            step(screen, faces, "pytorch3d")
        theirs = shortest(lambda step=step: step(screen, faces, "pytorch3d"), 3.0 * (DEVICE == "cuda"))
        print(f"{case}, PyTorch3D {theirs:.1f} ms, {theirs / ours:.0f} times as long")


def pictures(batch: int = 32) -> None:
    """Shaded RGB pictures at 112x112 of a mesh of the face world's size."""
    ball = trimesh.creation.uv_sphere(radius=100, count=[51, 104])
    vertices = torch.tensor(ball.vertices).float().to(DEVICE) * torch.tensor([0.8, 1.1, 0.9], device=DEVICE)
    faces = torch.tensor(ball.faces).long().to(DEVICE)
    vertices, albedo = vertices.repeat(batch, 1, 1), torch.rand(batch, len(vertices), 3, device=DEVICE)
    pose = torch.tensor([[0.0, 10.0, 0.0, 0.45, 56.0, 56.0]], device=DEVICE).repeat(batch, 1)
    light = sample_light(batch, torch.Generator().manual_seed(0)).to(DEVICE)

    def draw():
        render_mesh(vertices, faces, albedo, pose, light, 112, cull_backfaces=True)

    draw()
    each = shortest(draw, 3.0) / batch
    print(f"pictures of {len(faces)} triangles at 112x112, {DEVICE}: {each:.2f} ms each, {1000 / each:.0f} a second")


def main() -> None:
    pictures()
    against_pytorch3d(1)
    against_pytorch3d(8)


if __name__ == "__main__":
    main()
