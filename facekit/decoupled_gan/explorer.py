"""A latent explorer for JupyterLab: sliders that move parts of a code, and the face that follows."""

import io

import torch
from PIL import Image
from torch import Tensor

from facekit.decoupled_gan.evaluation import FaceSampler
from facekit.decoupled_gan.portraits import portraits


def explorer(model: FaceSampler, faces: Tensor, directions: int = 3, size: int = 200, seed: int = 0) -> object:
    """Sliders for each part of the code above a picture from the front and from the side.

    Args:
        model: the face model.
        faces: (F, 3), its triangles.
        directions: sliders of each part; each moves along a random direction of that part, from -3 to 3.
        size: side of a picture in pixels.
        seed: of the code at rest and of the directions.

    Returns:
        An ``ipywidgets.VBox``, to be shown by the notebook's last line.
    """
    import ipywidgets

    random = torch.Generator().manual_seed(seed)
    rest, ways = model.sample_codes(1, random), model.sample_codes(directions, random)
    ways = {part: torch.nn.functional.normalize(way, dim=1) * way.shape[1] ** 0.5 for part, way in ways.items()}
    sliders = {
        part: [ipywidgets.FloatSlider(0, min=-3, max=3, step=0.25, description=f"{part} {k + 1}") for k in range(count)]
        for part, count in ((part, len(way)) for part, way in ways.items())
    }
    picture = ipywidgets.Image(format="png")

    @torch.no_grad()
    def draw(_change: object = None) -> None:
        moved = {
            part: code + torch.tensor([[slider.value for slider in sliders[part]]]) @ ways[part] / directions**0.5
            for part, code in rest.items()
        }
        mesh = model(moved)
        views = torch.cat([portraits(mesh, faces, size, yaw=yaw)[0] for yaw in (0.0, 50.0)], dim=2)
        file = io.BytesIO()
        Image.fromarray((255 * views).byte().movedim(0, -1).numpy()).save(file, "png")
        picture.value = file.getvalue()

    for slider in (one for group in sliders.values() for one in group):
        slider.observe(draw, "value")
    draw()
    return ipywidgets.VBox([ipywidgets.HBox([ipywidgets.VBox(group) for group in sliders.values()]), picture])
