import base64
import json

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from facekit.plotting import (
    PLOTLY_MIME,
    confusion_matrix,
    curves,
    embedding,
    figure_html,
    image_grid,
    mesh_figure,
    show,
)
from facekit.plotting.show import figure_bundle

TETRAHEDRON = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
FACES = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def decoded(array):
    """The numbers of a typed array as plotly writes it."""
    return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])


def written(figure):
    return figure_bundle(figure)[PLOTLY_MIME]


def test_a_notebook_holds_the_figure_once_and_its_description():
    bundle = figure_bundle(mesh_figure(TETRAHEDRON, FACES), alt="a mesh")
    assert set(bundle) == {PLOTLY_MIME, "text/plain"} and bundle["text/plain"] == "a mesh"
    assert bundle[PLOTLY_MIME]["data"][0]["type"] == "mesh3d"
    assert figure_bundle(curves({"a": [1, 2]}, title="A title"))["text/plain"] == "A title"


def test_the_page_draws_what_the_notebook_holds():
    stored = json.loads(json.dumps(written(mesh_figure(TETRAHEDRON, FACES, title="</script>", height=321))))
    page = figure_html(stored, 'a "small" <mesh>')
    assert 'class="plotly-graph-div"' in page and "Plotly.newPlot" in page and "height:321px" in page
    assert 'aria-label="a &quot;small&quot; &lt;mesh&gt;"' in page
    assert "src=" not in page and "https:" not in page, "no embedded or linked library"
    assert page.count("</script>") == 1, "data cannot end the script"
    assert json.loads(page[page.index("previousElementSibling, ") + 24 : page.rindex(")</script>")]) == stored
    assert len(page) < 8000


def test_bundle_is_the_same_every_time():
    assert figure_bundle(curves({"a": [1, 2]})) == figure_bundle(curves({"a": [1, 2]}))


def test_show_displays_in_a_notebook_and_takes_figures_alone(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append((bundle, raw)))
    show(curves({"a": [1, 2]}))
    assert shown[0][1] and set(shown[0][0]) == {PLOTLY_MIME, "text/plain"}
    with pytest.raises(TypeError, match="expects a plotly Figure, found dict"):
        show({})


def test_buffers_are_small():
    trace = written(mesh_figure(TETRAHEDRON.double(), FACES, values=torch.arange(4)))["data"][0]
    assert [trace[name]["dtype"] for name in "xyzijk"] == ["f4"] * 3 + ["u2"] * 3
    np.testing.assert_array_equal(decoded(trace["x"]), [0, 1, 0, 0])
    np.testing.assert_array_equal(decoded(trace["i"]), [0, 0, 0, 1])
    assert trace["intensity"]["dtype"] == "f4"


def test_large_meshes_keep_their_indices():
    vertices = np.random.default_rng(0).random((70_000, 3))
    trace = written(mesh_figure(vertices, [[0, 1, 69_999]]))["data"][0]
    assert decoded(trace["k"])[0] == 69_999


def test_albedo_is_linear_and_shown_as_srgb():
    albedo = torch.tensor([[0.0, 0.5, 1.0]]).repeat(4, 1)
    colours = mesh_figure(TETRAHEDRON, FACES, albedo=albedo).data[0].vertexcolor
    assert list(colours) == ["#00bcff"] * 4


def test_meshes_stand_side_by_side_at_one_scale():
    figure = mesh_figure([TETRAHEDRON, 3 * TETRAHEDRON], FACES, labels=["small", "large"], values=torch.arange(4))
    assert [trace.scene for trace in figure.data] == ["scene", "scene2"]
    assert figure.layout.scene.domain.x == (0, 0.5) and figure.layout.scene2.domain.x == (0.5, 1)
    width = [np.ptp(scene.xaxis.range) for scene in (figure.layout.scene, figure.layout.scene2)]
    assert width == pytest.approx([3, 3])
    assert [note.text for note in figure.layout.annotations] == ["small", "large"]
    assert figure.layout.coloraxis.cmin == 0 and figure.layout.coloraxis.cmax == 3
    loose = mesh_figure([TETRAHEDRON, 3 * TETRAHEDRON], FACES, same_scale=False)
    assert np.ptp(loose.layout.scene.xaxis.range) == pytest.approx(1)


def test_flat_meshes_keep_a_box():
    layout = mesh_figure(TETRAHEDRON * torch.tensor([1.0, 1.0, 0.0]), FACES).layout
    assert layout.scene.aspectratio.z > 0 and np.ptp(layout.scene.zaxis.range) > 0


def test_slider_moves_positions_and_values():
    frames = torch.stack([TETRAHEDRON * size for size in (1, 2, 3)])
    values = torch.arange(12).reshape(3, 4)
    figure = mesh_figure(
        None, FACES, frames=frames, frame_values=values, frame_labels=["a", "b", "c"], slider_label="size"
    )
    assert len(figure.frames) == 3
    np.testing.assert_allclose(figure.frames[2].data[0].x, [0, 3, 0, 0])
    np.testing.assert_allclose(figure.frames[2].data[0].intensity, values[2])
    np.testing.assert_allclose(figure.data[0].x, [0, 1, 0, 0])
    assert tuple(figure.layout.scene.xaxis.range) == (0, 3), "the box holds all frames"
    assert figure.layout.coloraxis.cmax == 11
    slider = figure.layout.sliders[0]
    assert [step.label for step in slider.steps] == ["a", "b", "c"] and slider.currentvalue.prefix == "size: "
    assert list(slider.steps[1].args[0]) == ["1"] and figure.frames[1].name == "1"


def test_slider_moves_several_meshes():
    frames = torch.stack([torch.stack([TETRAHEDRON, TETRAHEDRON * size]) for size in (1, 2)])
    figure = mesh_figure(None, FACES, frames=frames)
    assert len(figure.data) == 2 and [len(frame.data) for frame in figure.frames] == [2, 2]
    assert figure.frames[1].traces == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vertices": TETRAHEDRON[:, :2]}, r"mesh 0: expected vertices of shape \(V, 3\), found \(4, 2\)"),
        ({"vertices": TETRAHEDRON.where(TETRAHEDRON < 1, torch.nan)}, "mesh 0: 3 of 4 vertices are not finite"),
        ({"frames": torch.stack([TETRAHEDRON, TETRAHEDRON / 0])}, "frames: 4 of 8 vertices are not finite"),
        ({"faces": FACES + 1}, r"indices from 0 to 3, found shape \(4, 3\) with 1 to 4"),
        ({"faces": [FACES[:0]]}, r"mesh 0: expected faces \(F, 3\) .* found shape \(0, 3\)"),
        ({"vertices": []}, "vertices: expected at least one mesh, found none"),
        ({"albedo": torch.zeros(3, 3)}, r"expected albedo of shape \(4, 3\), found \(3, 3\)"),
        ({"values": torch.zeros(2, 4)}, "for 1 meshes"),
        ({"values": torch.full((4,), torch.nan)}, "no finite value"),
        ({"labels": ["a", "b"]}, "2 labels for 1 meshes"),
        ({"view": "back"}, "expected one of front"),
        ({"frames": torch.zeros(2, 4)}, "3 or 4 dimensions"),
        ({"frame_values": torch.zeros(2, 4)}, "need frames"),
        ({"frame_labels": ["a"]}, "1 labels for 0 frames"),
    ],
)
def test_mesh_figure_says_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        mesh_figure(**({"vertices": TETRAHEDRON, "faces": FACES} | arguments))


def test_image_grid_places_pictures_row_by_row():
    images = torch.linspace(0, 1, 6)[:, None, None, None].expand(6, 3, 8, 10)
    sheet = np.asarray(image_grid(images, columns=3, gap=2))
    assert sheet.shape == (2 * 8 + 2, 3 * 10 + 2 * 2, 4)
    assert sheet[0, 0, 0] == 0 and sheet[0, 12, 0] == 51 and sheet[10, 24, 0] == 255
    assert sheet[0, 11, 3] == 0, "gaps are transparent"


def test_image_grid_takes_grids_grey_pictures_and_lists():
    assert image_grid(torch.zeros(2, 5, 3, 8, 8)).size == (5 * 8 + 4 * 4, 2 * 8 + 4)
    assert image_grid(torch.zeros(4, 8, 8)).size == image_grid([torch.zeros(3, 8, 8)] * 4).size
    assert image_grid(torch.zeros(1, 3, 20, 10), cell=5).size == (5, 10)
    grey = np.asarray(image_grid(torch.full((1, 1, 2, 2), 7.0), value_range=(5, 9)))
    assert (grey[..., :3] == 128).all()
    half = torch.rand(2, 3, 4, 4).bfloat16()
    assert image_grid(half).tobytes() == image_grid(half.float()).tobytes()


def test_image_grid_makes_room_for_labels():
    plain = image_grid(torch.zeros(4, 3, 8, 8), columns=2)
    labelled = image_grid(torch.zeros(4, 3, 8, 8), row_labels=["first", "second"], column_labels=["a", "b"])
    assert labelled.width > plain.width + 20 and labelled.height > plain.height + 10
    assert np.asarray(labelled)[..., 3].any(axis=1)[:10].any(), "a heading is drawn"


def test_image_grid_draws_fewer_levels():
    ramp = torch.linspace(0, 1, 256).expand(1, 3, 8, 256)
    drawn = np.asarray(image_grid(ramp, levels=52))[0, :, :3].astype(int)
    assert set(drawn[:, 0]) == set(range(0, 256, 5)) and np.abs(drawn - np.arange(256)[:, None]).max() <= 2
    assert len(np.unique(np.asarray(image_grid(ramp))[..., 0])) == 256


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 4, 8, 8), {}, r"found \(2, 4, 8, 8\)"),
        (torch.zeros(4, 3, 8, 8), {"row_labels": ["a", "b"]}, "row_labels: expected 1 labels, found 2"),
        ([], {}, "expected pictures of one shape, found 0"),
        ([torch.zeros(3, 8, 8), torch.zeros(3, 9, 8)], {}, r"found 2 of the shapes \[\(3, 8, 8\), \(3, 9, 8\)\]"),
        (torch.tensor([0.0, 1.0, torch.nan]).repeat_interleave(64).view(3, 8, 8), {}, "picture 2 holds NaN"),
        (torch.zeros(4, 3, 8, 8), {"levels": 1}, "levels: expected 2 to 256, found 1"),
    ],
)
def test_image_grid_says_what_does_not_fit(images, labels, message):
    with pytest.raises(ValueError, match=message):
        image_grid(images, **labels)


def test_curves_draw_lines_and_bands():
    figure = curves({"ours": torch.tensor([1.0, 2.0]), "theirs": ([0, 10], [1, 2], [0.1, 0.2])}, log_y=True)
    assert [trace.name for trace in figure.data] == ["ours", None, "theirs"]
    np.testing.assert_allclose(figure.data[1].y, [1.1, 2.2, 1.8, 0.9])
    assert figure.layout.yaxis.type == "log"
    with pytest.raises(ValueError, match="series 'a'"):
        curves({"a": ([0, 1], [1, 2, 3])})
    with pytest.raises(ValueError, match=r"series 'b': expected y, .* found \[\]"):
        curves({"b": ()})
    gap = curves({"a": [1.0, float("nan"), 3.0]})
    assert len(gap.data) == 1 and not gap.layout.showlegend and not curves({}).data


def test_confusion_matrix_shows_percentages_of_rows():
    figure = confusion_matrix(torch.tensor([[3, 1], [0, 0]]), ["yes", "no"])
    np.testing.assert_allclose(figure.data[0].z, [[75, 25], [0, 0]])
    with pytest.raises(ValueError, match=r"expected shape \(3, 3\) for 3 labels"):
        confusion_matrix(torch.zeros(2, 2), ["a", "b", "c"])


def test_embedding_has_a_trace_per_label():
    figure = embedding(torch.rand(5, 2), torch.tensor([2, 1, 2, 2, 1]), hover=list("abcde"))
    assert [(trace.name, len(trace.x)) for trace in figure.data] == [("2", 3), ("1", 2)]
    assert list(figure.data[1].text) == ["b", "e"]
    people = embedding(torch.rand(20, 2), list(range(20)))
    looks = [(trace.marker.color, trace.marker.symbol) for trace in people.data]
    assert len(set(looks)) == 20, "people are told apart"
    with pytest.raises(ValueError, match="for 4 labels"):
        embedding(torch.rand(5, 2), [1, 2, 3, 4])
    with pytest.raises(ValueError, match="hover: expected 5 texts, one for each point, found 4"):
        embedding(torch.rand(5, 2), [1, 2, 3, 4, 5], hover=list("abcd"))


@pytest.mark.parametrize(
    "figure",
    [
        mesh_figure(TETRAHEDRON, FACES),
        curves({"a": [1, 2]}),
        confusion_matrix(torch.eye(2), ["a", "b"]),
        embedding(torch.rand(2, 2), [0, 1]),
    ],
    ids=["mesh", "curves", "confusion", "embedding"],
)
def test_figures_have_one_look(figure):
    look = json.loads(figure.to_json())["layout"]["template"]["layout"]
    assert look["paper_bgcolor"] == look["plot_bgcolor"] == "rgba(0, 0, 0, 0)"
    assert isinstance(figure, go.Figure) and figure.layout.height


def contrast(colour, ground):
    """WCAG contrast ratio of two #rrggbb colours."""

    def luminance(text):
        channels = np.array([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    bright, dark = sorted([luminance(colour), luminance(ground)], reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ground", ["#ffffff", "#121212"])
def test_text_and_lines_are_legible_on_both_grounds(ground):
    from facekit.plotting.style import GREY, PALETTE

    assert contrast(GREY, ground) > 4
    assert all(contrast(colour, ground) > 2 for colour in PALETTE)


def test_figures_from_elsewhere_get_the_look_of_the_book():
    foreign = go.Figure(go.Scatter(x=[1, 2], y=[1, 2]), layout={"template": "plotly_white"})
    ours = figure_bundle(curves({"a": ([1, 2], [1, 2])}), "")
    shown = figure_bundle(foreign, "")
    assert shown[PLOTLY_MIME]["layout"]["template"] == ours[PLOTLY_MIME]["layout"]["template"]
    assert "mesh3d" not in json.dumps(shown) and foreign.layout.template.data.mesh3d
