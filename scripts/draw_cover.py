"""Draw the picture of the front page: seven people turning their heads, seven people with the seven expressions."""

from pathlib import Path

import torch

from facekit.morphable import ProceduralFace
from facekit.morphable.expressions import EXPRESSIONS, sample_expression
from facekit.plotting import image_grid
from facekit.render import render_mesh, sample_light

PICTURE = Path(__file__).parents[1] / "book" / "_static" / "people.jpg"
SIZE, MM_PER_PICTURE, SEED = 400, 235.0, 5
GROUND = (0.85, 0.83, 0.80)


@torch.no_grad()
def draw() -> None:
    """Render both rows at twice their size on the page and save the picture."""
    model, random = ProceduralFace(level=2), torch.Generator().manual_seed(SEED)
    count = len(EXPRESSIONS)
    neutral = torch.zeros(count)
    expressive = sample_expression(torch.arange(count), torch.full((count,), 0.95), random)
    resting = model.expression_code(sample_expression(torch.zeros(count, dtype=torch.long), neutral, random))
    yaw = torch.linspace(-65, 65, count)
    rows = [(resting, yaw), (model.expression_code(expressive), torch.zeros(count))]
    pictures = []
    for expression, turn in rows:
        identity = model.sample_identity(count, random)
        vertices, albedo = model.face(identity, expression, model.sample_texture(count, random, identity))
        scale = SIZE / MM_PER_PICTURE
        pose = torch.tensor([[0.0, 0.0, 0.0, scale, SIZE / 2, 0.53 * SIZE]]).repeat(count, 1)
        pose[:, 1] = turn
        pose[:, 4] -= 30 * scale * torch.sin(turn.deg2rad())
        ground = torch.tensor(GROUND)[None, :, None, None].expand(count, -1, SIZE, SIZE)
        light = sample_light(count, random, contrast=0.7)
        pictures.append(render_mesh(vertices, model.faces, albedo, pose, light, SIZE, background=ground).image)
    image_grid(torch.cat(pictures), columns=count, cell=SIZE // 2, gap=0).convert("RGB").save(PICTURE, quality=88)


if __name__ == "__main__":
    draw()
