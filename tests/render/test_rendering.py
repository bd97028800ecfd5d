import numpy as np
import pytest
import torch
from render_scenes import sphere
from torch.testing import assert_close

from facekit.meshes import linear_to_srgb
from facekit.render import (
    PerspectiveCamera,
    RenderError,
    WeakPerspectiveCamera,
    ambient_light,
    checks,
    render_mesh,
    sh_irradiance,
)

SIZE = 20


def scene(batch: int = 1, dtype=torch.float64, level: int = 2):
    """A ball of 30 mm in the middle of the image, with its colours, pose and light."""
    generator = torch.Generator().manual_seed(0)
    vertices, faces = sphere(level, 30.0, dtype)
    albedo = 0.2 + 0.6 * torch.rand(batch, len(vertices), 3, generator=generator, dtype=dtype)
    pose = torch.tensor([[7.0, 20.0, -3.0, 0.25, SIZE / 2 + 0.13, SIZE / 2 - 0.21]], dtype=dtype).repeat(batch, 1)
    light = 0.3 * torch.randn(batch, 9, 3, generator=generator, dtype=dtype)
    light[:, 0] = 2.5
    return vertices.repeat(batch, 1, 1), faces, albedo, pose, light


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_types_and_ranges(dtype):
    vertices, faces, albedo, pose, light = scene(3, dtype)
    result = render_mesh(vertices, faces, albedo, pose, light, (SIZE, 24), landmarks=torch.tensor([4, 0]))
    assert result.image.shape == result.normals.shape == result.albedo.shape == (3, 3, SIZE, 24)
    assert result.mask.shape == result.depth.shape == (3, 1, SIZE, 24)
    assert result.image.dtype == result.mask.dtype == dtype
    assert 0 <= result.image.min() and result.image.max() <= 1
    assert_close(result.landmarks, result.screen[:, [4, 0], :2])


def test_every_pixel_is_albedo_times_irradiance():
    vertices, faces, albedo, pose, light = scene(2)
    result = render_mesh(vertices, faces, albedo, pose, light, SIZE, antialiased=False, linear=True)
    lit = sh_irradiance(result.normals.permute(0, 2, 3, 1), light).clamp(min=0).permute(0, 3, 1, 2)
    assert_close(result.image, result.albedo * lit * result.mask)
    encoded = render_mesh(vertices, faces, albedo, pose, light, SIZE, antialiased=False)
    assert_close(encoded.image, linear_to_srgb(result.image).clamp(max=1))


def test_normals_and_depth_of_a_ball():
    vertices, faces, albedo, pose, light = scene(1, level=4)
    result = render_mesh(vertices, faces, albedo, pose, light, SIZE)
    i, j = torch.meshgrid(*[torch.arange(SIZE).double() + 0.5] * 2, indexing="ij")
    x, y = (j - pose[0, 4]) / pose[0, 3], (pose[0, 5] - i) / pose[0, 3]
    z = (30.0**2 - x * x - y * y).clamp(min=0).sqrt()
    inner = z > 12
    assert_close(result.depth[0, 0][inner], -z[inner], atol=0.3, rtol=0)
    assert_close(result.normals[0][:, inner], torch.stack([x, y, z])[:, inner] / 30, atol=0.02, rtol=0)
    assert result.normals[0][:, ~result.fragments.mask[0]].eq(0).all()


def test_light_stays_with_the_camera_when_the_head_turns():
    vertices, faces, _, pose, _ = scene(1, level=4)
    light = torch.zeros(1, 9, 3, dtype=torch.float64)
    light[:, 0], light[:, 3] = 3.0, 1.0
    white = torch.ones_like(vertices)
    turned = torch.tensor([[0.0, 150.0, 0.0]], dtype=torch.float64)
    for angles in (turned * 0, turned):
        image = render_mesh(vertices, faces, white, torch.cat([angles, pose[:, 3:]], 1), light, SIZE, linear=True).image
        assert image[0, 0, 10, 15] > image[0, 0, 10, 4] + 0.1


def test_backgrounds():
    vertices, faces, albedo, pose, light = scene(2)
    picture = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    result = render_mesh(vertices, faces, albedo, pose, light, SIZE, background=picture)
    empty = result.mask.expand(-1, 3, -1, -1) == 0
    assert empty.any() and torch.equal(result.image[empty], picture[empty])
    grey = render_mesh(vertices, faces, albedo, pose, light, SIZE, background=0.5).image
    assert grey[empty].eq(0.5).all()


def test_outlines_are_mixed_by_the_mask():
    vertices, faces, _, pose, _ = scene(1)
    white = ambient_light(torch.ones(1, 3, dtype=torch.float64))
    result = render_mesh(vertices, faces, torch.ones_like(vertices), pose, white, SIZE, linear=True)
    assert_close(result.image, result.mask.expand(-1, 3, -1, -1))
    assert ((result.mask > 0) & (result.mask < 1)).sum() > 20


def test_a_texture_shows_the_colours_of_the_vertices():
    vertices, faces, _, pose, light = scene(2)
    uv = (vertices[0, :, :2] + 30) / 60
    ramp = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    texture = torch.stack([ramp.expand(64, -1), 1 - ramp[:, None].expand(-1, 64), torch.full((64, 64), 0.5).double()])
    colours = torch.cat([uv, torch.full_like(uv[:, :1], 0.5)], 1).expand(2, -1, -1)
    by_texture = render_mesh(vertices, faces, texture[None], pose, light, SIZE, uv=uv)
    by_vertex = render_mesh(vertices, faces, colours, pose, light, SIZE)
    assert_close(by_texture.image, by_vertex.image, atol=2e-2, rtol=0)
    order = torch.randperm(len(uv), generator=torch.Generator().manual_seed(2))
    place = torch.argsort(order)
    seamed = render_mesh(vertices, faces, texture[None], pose, light, SIZE, uv=uv[order], uv_faces=place[faces])
    assert_close(seamed.image, by_texture.image)


def test_cameras():
    vertices, faces, albedo, pose, light = scene(2)
    by_pose = render_mesh(vertices, faces, albedo, pose, light, SIZE).image
    assert torch.equal(by_pose, render_mesh(vertices, faces, albedo, WeakPerspectiveCamera(pose), light, SIZE).image)
    far = torch.tensor([[0.0, 0.0, -1e6]], dtype=torch.float64).expand(2, -1)
    centred = torch.cat([pose[:, :4], torch.full((2, 2), SIZE / 2).double()], 1)
    pinhole = PerspectiveCamera(pose[:, :3], far, pose[:, 3] * 1e6)
    weak = render_mesh(vertices, faces, albedo, centred, light, SIZE)
    assert_close(render_mesh(vertices, faces, albedo, pinhole, light, SIZE).image, weak.image, atol=1e-2, rtol=0)
    close = PerspectiveCamera(pose[:, :3], far * 1e-4, pose[:, 3] * 100)
    growth = render_mesh(vertices, faces, albedo, close, light, SIZE).mask.sum() / weak.mask.sum()
    assert_close(growth.item(), 1 / (1 - 0.3**2), atol=0.01, rtol=0)  # the cone that touches a ball at 100 mm


def test_culling_changes_nothing_on_a_closed_mesh():
    vertices, faces, albedo, pose, light = scene(2)
    images = [render_mesh(vertices, faces, albedo, pose, light, SIZE, cull_backfaces=cull).image for cull in (0, 1)]
    assert torch.equal(*images)


@pytest.mark.parametrize("moved", ["vertices", "albedo", "pose", "light", "background"])
def test_gradients_against_finite_differences(moved):
    vertices, faces, albedo, pose, light = scene(2, level=1)
    background = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    given = {"vertices": vertices, "albedo": albedo, "pose": pose, "light": light, "background": background}
    given[moved].requires_grad_()

    def drawn(value):
        return render_mesh(faces=faces, image_size=SIZE, **{**given, moved: value}).image

    assert torch.autograd.gradcheck(drawn, (given[moved],), fast_mode=True, eps=1e-7, atol=1e-4, rtol=1e-3)


def test_gradients_of_texture_and_pinhole_camera():
    vertices, faces, _, pose, light = scene(1, level=1)
    texture = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    uv = (vertices[0, :, :2] + 31.3) / 63.1
    angles, away, focal = (
        pose[:, :3].clone(),
        torch.tensor([[1.0, 2.0, -400.0]]).double(),
        torch.tensor([90.0]).double(),
    )

    def drawn(*values):
        camera = PerspectiveCamera(*values[1:])
        return render_mesh(vertices, faces, values[0], camera, light, SIZE, uv=uv).image

    inputs = tuple(value.requires_grad_() for value in (texture, angles, away, focal))
    assert torch.autograd.gradcheck(drawn, inputs, fast_mode=True, eps=1e-7, atol=1e-4, rtol=1e-3)


def test_gradient_descent_finds_pose_and_light_again():
    vertices, faces, albedo, pose, light = scene(1, level=1)
    vertices = vertices * torch.tensor([1.0, 1.3, 0.8])
    target = render_mesh(vertices, faces, albedo, pose, light, SIZE).image
    offset = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    start = pose + torch.tensor([[6.0, -8.0, 5.0, 0.03, 1.1, -0.9]])
    step = torch.tensor([[10.0, 10.0, 10.0, 0.05, 1.0, 1.0]])
    lamp = torch.zeros_like(light, requires_grad=True)
    optimizer = torch.optim.Adam([offset, lamp], lr=0.08)
    for _ in range(80):
        optimizer.zero_grad()
        found = start + step * offset
        loss = (render_mesh(vertices, faces, albedo, found, light * 0.8 + lamp, SIZE).image - target).square().mean()
        loss.backward()
        optimizer.step()
    assert_close(found[:, 3:], pose[:, 3:], atol=0.1, rtol=0)
    assert_close(found[:, :3], pose[:, :3], atol=2.0, rtol=0)


def test_what_does_not_fit_is_named():
    vertices, faces, albedo, pose, light = scene(2)
    with pytest.raises(RenderError, match=r"albedo must be \(2, 162, 3\) or a texture, found \(2, 161, 3\)"):
        render_mesh(vertices, faces, albedo[:, 1:], pose, light, SIZE)
    with pytest.raises(RenderError, match=r"needs uv"):
        render_mesh(vertices, faces, torch.zeros(1, 3, 4, 4).double(), pose, light, SIZE)
    with pytest.raises(RenderError, match=r"light must be \(2, 9, 3\), found \(3, 9, 3\)"):
        render_mesh(vertices, faces, albedo, pose, light[[0, 0, 0]], SIZE)
    with pytest.raises(RenderError, match="vertex indices"):
        render_mesh(vertices[:, :100], faces, albedo[:, :100], pose, light, SIZE)
    texture, uv = torch.zeros(1, 3, 4, 4).double(), torch.rand(162, 2).double()
    with pytest.raises(RenderError, match="uv_faces hold vertex indices from 0 to 161, expected 0 to 99"):
        render_mesh(vertices, faces, texture, pose, light, SIZE, uv=uv[:100])
    with pytest.raises(RenderError, match=r"uv must be \(V, 2\), found \(162, 1\)"):
        render_mesh(vertices, faces, texture, pose, light, SIZE, uv=uv[:, :1])
    with pytest.raises(RenderError, match=r"uv_faces must be \(320, 3\), one for each face, found \(319, 3\)"):
        render_mesh(vertices, faces, texture, pose, light, SIZE, uv=uv, uv_faces=faces[1:])
    with pytest.raises(RenderError, match=r"background must be a number or \(2, 3, 20, 20\), found \(2, 3, 8, 8\)"):
        render_mesh(vertices, faces, albedo, pose, light, SIZE, background=torch.zeros(2, 3, 8, 8))


def test_more_that_does_not_fit_is_named():
    vertices, faces, albedo, pose, light = scene(2)
    with pytest.raises(RenderError, match=r"vertices must be \(B, V, 3\), found \(162, 3\)"):
        render_mesh(vertices[0], faces, albedo, pose, light, SIZE)
    with pytest.raises(RenderError, match="vertices must be floating point, found torch"):
        render_mesh(vertices.long(), faces, albedo, pose, light, SIZE)
    with pytest.raises(RenderError, match=r"light must be \(2, 9, 3\), found \(2, 9, 1\)"):
        render_mesh(vertices, faces, albedo, pose, light[..., :1], SIZE)
    with pytest.raises(RenderError, match=r"an albedo texture must be \(B, 3, H, W\), found \(1, 4, 8, 8\)"):
        render_mesh(vertices, faces, torch.ones(1, 4, 8, 8), pose, light, SIZE, uv=vertices[0, :, :2])
    with pytest.raises(RenderError, match="uv must be floating point, found torch"):
        render_mesh(vertices, faces, torch.ones(1, 3, 8, 8), pose, light, SIZE, uv=vertices[0, :, :2].long())
    for marks, found in (
        (torch.tensor([5, 162]), "from 5 to 162, expected 0 to 161"),
        (torch.tensor([-1]), "-1 to -1"),
    ):
        with pytest.raises(RenderError, match=f"landmarks hold vertex indices (from )?.*{found}"):
            render_mesh(vertices, faces, albedo, pose, light, SIZE, landmarks=marks)
    with pytest.raises(RenderError, match=r"landmarks must be an int64 tensor \(L,\), found torch.float32 \(1,\)"):
        render_mesh(vertices, faces, albedo, pose, light, SIZE, landmarks=torch.tensor([1.0]))


@pytest.mark.parametrize("other", ["albedo", "pose", "light", "background", "texture", "uv", "camera"])
def test_the_other_arguments_take_the_type_of_the_vertices(other):
    vertices, faces, albedo, pose, light = scene(2, torch.float32)
    texture = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(4))
    given = {"albedo": albedo, "pose": pose, "light": light, "background": torch.rand(2, 3, SIZE, SIZE)}
    if other in ("texture", "uv"):
        given |= {"albedo": texture, "uv": vertices[0, :, :2] / 60 + 0.5}
    if other == "camera":
        given["pose"] = PerspectiveCamera(pose[:, :3], torch.tensor([[1.0, 2.0, -400.0]]), torch.tensor([90.0]))
    expected = render_mesh(vertices, faces, image_size=SIZE, **given).image
    if other == "camera":
        parts = (given["pose"].angles, given["pose"].translation, given["pose"].focal)
        given["pose"] = PerspectiveCamera(*(part.double() for part in parts))
    else:
        given["albedo" if other == "texture" else other] = given["albedo" if other == "texture" else other].double()
    result = render_mesh(vertices, faces, image_size=SIZE, **given)
    assert {result.image.dtype, result.mask.dtype, result.albedo.dtype, result.screen.dtype} == {torch.float32}
    assert_close(result.image, expected, atol=1e-5, rtol=0)


def test_pictures_keep_their_precision_within_autocast():
    vertices, faces, albedo, pose, light = scene(2, torch.float32)
    expected = render_mesh(vertices, faces, albedo, pose, light, SIZE)
    with torch.autocast("cpu", torch.bfloat16):
        found = render_mesh(vertices, faces, albedo, pose, light, SIZE)
        rounded = render_mesh(vertices.bfloat16(), faces, albedo, pose, light, SIZE)
    assert torch.equal(found.image, expected.image) and torch.equal(found.screen, expected.screen)
    again = render_mesh(vertices.bfloat16().float(), faces, albedo, pose, light, SIZE)
    assert torch.equal(rounded.image, again.image)


def test_nothing_to_draw_is_the_background():
    vertices, faces, albedo, pose, light = scene(2)
    none = render_mesh(vertices, faces[:0], albedo, pose, light, SIZE, background=0.25)
    assert none.image.eq(0.25).all() and not none.mask.any()
    nobody = render_mesh(vertices[:0], faces, albedo[:0], pose[:1], light[:1], SIZE)
    assert nobody.image.shape == (0, 3, SIZE, SIZE) and nobody.mask.shape == (0, 1, SIZE, SIZE)


def test_inside_inference_mode():
    expected = render_mesh(*scene(1), SIZE).image
    with torch.inference_mode():
        assert_close(render_mesh(*scene(1), SIZE).image, expected)


def test_what_inference_mode_kept_serves_training():
    vertices, faces, albedo, pose, light = scene(1)
    with torch.inference_mode():
        render_mesh(vertices, faces, albedo, pose, light, SIZE)
    image = render_mesh(vertices.requires_grad_(), faces, albedo, pose, light, SIZE).image
    image.sum().backward()
    assert vertices.grad.abs().max() > 0


def test_indices_are_looked_at_once_and_again_after_a_change(monkeypatch):
    vertices, faces, albedo, pose, light = scene(1)
    looked = []
    monkeypatch.setattr(checks._range, "_make", lambda found: looked.append(1) or (int(found.min()), int(found.max())))
    for _ in range(3):
        render_mesh(vertices, faces, albedo, pose, light, SIZE)
    assert len(looked) == 1
    faces[3, 1] = 162
    with pytest.raises(RenderError, match="from 0 to 162, expected 0 to 161"):
        render_mesh(vertices, faces, albedo, pose, light, SIZE)


def test_a_real_face(ict_path):
    """The scan-derived neutral face: drawn upright, lit from its left, its landmarks where they are seen."""
    data = np.load(ict_path)
    vertices = torch.from_numpy(data["neutral"] * 10)[None]
    quads = torch.from_numpy(data["quads"]).long()
    faces = torch.cat([quads[:, :3], quads[quads[:, 3] >= 0][:, [0, 2, 3]]])
    pose = torch.tensor([[0.0, 0.0, 0.0, 0.5, 64.0, 64.0]])
    result = render_mesh(
        vertices,
        faces,
        torch.full_like(vertices, 0.6),
        pose,
        ambient_light(torch.ones(1, 3)),
        128,
        landmarks=torch.from_numpy(data["landmarks68"]).long(),
    )
    column, row = result.landmarks[0].long().unbind(-1)
    assert result.fragments.mask[0, row[17:], column[17:]].all()
    assert result.landmarks[0, 36, 0] < result.landmarks[0, 45, 0]
    assert result.landmarks[0, 8, 1] > result.landmarks[0, 27, 1]
    assert result.normals[0, 2][result.fragments.mask[0]].mean() > 0.6
