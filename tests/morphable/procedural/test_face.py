import pytest
import torch

from facekit.morphable.action_units import ACTION_UNITS, NUM_ACTION_UNITS, action_unit_index, action_unit_vector
from facekit.morphable.face_model import FaceModelError
from facekit.morphable.procedural.anatomy import NAMES
from facekit.morphable.procedural.cage_points import EYE_RADIUS
from facekit.morphable.procedural.face import ProceduralFace
from facekit.morphable.procedural.landmarks import landmark_places
from facekit.morphable.procedural.muscle_traits import MUSCLE_TRAITS


def perform(face, units, identity=None, gaze=None):
    identity = torch.zeros(1, face.num_identity, dtype=face.dtype) if identity is None else identity
    expression = face.expression_code(action_unit_vector(units)[None].to(face.dtype), gaze)
    return face.shape(identity, expression)[0]


def at(face, vertices, s, t):
    return vertices[((face.plane - face.plane.new_tensor([s, t])) ** 2).sum(-1).argmin()]


def lip_gap(face, vertices):
    return float(at(face, vertices, 0, -30.0)[1] - at(face, vertices, 0, -38.6)[1])


def lid_gap(face, vertices, side=1):
    return float((at(face, vertices, 31 * side, 40.4) - at(face, vertices, 31 * side, 29.3)).norm())


def test_codes_have_the_announced_sizes(face, generator):
    identity = face.sample_identity(3, generator)
    texture = face.sample_texture(3, generator, identity)
    assert identity.shape == (3, face.num_identity) and face.num_identity >= 40
    assert texture.shape == (3, face.num_texture)
    expression = face.expression_code(torch.rand(3, NUM_ACTION_UNITS, 2))
    assert expression.shape == (3, face.num_expression)
    assert face.shape(identity, expression).shape == (3, face.num_vertices, 3)
    albedo = face.albedo(texture, expression, identity)
    assert albedo.shape == (3, face.num_vertices, 3) and 0 <= albedo.min() and albedo.max() <= 1


def test_one_code_serves_many_of_the_others(face, generator):
    identity = face.sample_identity(1, generator)
    texture = face.sample_texture(1, generator, identity)
    expression = face.expression_code(
        torch.rand(2, NUM_ACTION_UNITS, 2, generator=generator), torch.tensor([[20.0, 0], [0, 9]])
    )
    vertices, albedo = face.face(identity, expression, texture)
    for row in range(2):
        one = face.face(identity, expression[row : row + 1], texture)
        torch.testing.assert_close(vertices[row], one[0][0], atol=1e-4, rtol=0)
        torch.testing.assert_close(albedo[row], one[1][0], atol=1e-5, rtol=0)
    assert face.albedo(texture, expression).shape == albedo.shape
    with pytest.raises(FaceModelError, match="found 3 identity, 2 expression codes"):
        face.shape(identity.expand(3, -1), expression)


@pytest.mark.parametrize(
    ("units", "place", "direction"),
    [
        ({1: 1.0}, (10, 54), (0, 1, 0)),
        ({2: 1.0}, (41, 57), (0, 1, 0)),
        ({4: 1.0}, (13, 53), (-0.5, -1, 0)),
        ({6: 1.0}, (42, 9), (0, 1, 0)),
        ({9: 1.0}, (19, 0), (0, 1, 0)),
        ({10: 1.0}, (12, -25), (0, 1, 0)),
        ({12: 1.0}, (26, -35), (1, 1, -1)),
        ({14: 1.0}, (28, -35), (0.5, 0, -1)),
        ({15: 1.0}, (26, -35), (0.2, -1, 0)),
        ({16: 1.0}, (8, -43), (0, -1, 0)),
        ({17: 1.0}, (0, -66), (0, 1, 0.3)),
        ({18: 1.0}, (26, -35), (-1, 0, 0.6)),
        ({20: 1.0}, (26, -35), (1, 0, -0.5)),
        ({22: 1.0}, (6, -43), (0, 0, 1)),
        ({26: 1.0}, (0, -72), (0, -1, 0)),
        ({27: 1.0}, (0, -72), (0, -1, 0)),
    ],
)
def test_units_move_the_skin_where_their_muscles_pull(exact_face, units, place, direction):
    move = at(exact_face, perform(exact_face, units), *place) - at(exact_face, perform(exact_face, {}), *place)
    direction = torch.nn.functional.normalize(move.new_tensor(direction), dim=0)
    assert move.norm() > 2.0
    assert torch.dot(move, direction) / move.norm() > 0.7


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_left_and_right_act_apart(exact_face, unit):
    if unit in (25, 26, 27):
        pytest.skip("the jaw and the parting of the lips are one movement")
    rest = perform(exact_face, {})
    left = (perform(exact_face, {unit: (0.0, 1.0)}) - rest).norm(dim=1)
    right = (perform(exact_face, {unit: (1.0, 0.0)}) - rest).norm(dim=1)
    outside = exact_face.plane[:, 0] > 14
    assert left[outside].max() > 2 * right[outside].max()
    torch.testing.assert_close(left[exact_face.symmetry], right, atol=1e-6, rtol=0)


def test_expression_is_not_linear(exact_face):
    rest = perform(exact_face, {})
    half, full = perform(exact_face, {27: 0.5}) - rest, perform(exact_face, {27: 1.0}) - rest
    assert (full - 2 * half).norm(dim=1).max() > 2.0
    one, other = perform(exact_face, {12: 1.0}) - rest, perform(exact_face, {15: 1.0}) - rest
    both = perform(exact_face, {12: 1.0, 15: 1.0}) - rest
    assert (both - one - other).norm(dim=1).max() > 1.0


def test_the_same_muscle_moves_different_faces_differently(exact_face, generator):
    people = exact_face.sample_identity(6, generator)
    corner = (26, -35)
    moves = torch.stack(
        [
            at(exact_face, perform(exact_face, {12: 1.0}, p[None]), *corner)
            - at(exact_face, perform(exact_face, {}, p[None]), *corner)
            for p in people
        ]
    )
    assert moves.std(dim=0).norm() > 0.3


def test_the_jaw_turns_about_its_joint(exact_face):
    from facekit.morphable.procedural.mouth import HINGE

    rest, wide = perform(exact_face, {}), perform(exact_face, {27: 1.0, 25: 1.0})
    hinge = rest.new_tensor(HINGE)[1:]
    arms = [(at(exact_face, v, 0, -75)[1:] - hinge).norm() for v in (rest, wide)]
    assert abs(float(arms[0] - arms[1])) < 4.0
    assert at(exact_face, wide, 0, -75)[1] < at(exact_face, rest, 0, -75)[1] - 25


def test_lips_seal_and_part(exact_face):
    assert abs(lip_gap(exact_face, perform(exact_face, {}))) < 0.6
    for units in ({12: 1.0}, {17: 1.0}, {24: 1.0}, {18: 1.0}, {15: 1.0, 17: 1.0}, {26: 0.25}):
        assert abs(lip_gap(exact_face, perform(exact_face, units))) < 1.8, units
    assert lip_gap(exact_face, perform(exact_face, {25: 1.0})) > 4
    assert lip_gap(exact_face, perform(exact_face, {25: 1.0, 27: 1.0})) > 25


def test_lips_do_not_pass_through_each_other(exact_face, generator):
    people = exact_face.sample_identity(16, generator)
    units = torch.zeros(16, NUM_ACTION_UNITS, 2, dtype=torch.float64)
    for unit in (16, 17, 23, 24):
        units[:, action_unit_index(unit)] = torch.rand(16, 1, generator=generator).double()
    vertices = exact_face.shape(people, exact_face.expression_code(units))
    gaps = [lip_gap(exact_face, v) for v in vertices]
    assert min(gaps) > -1.0


def test_lids_close_over_the_eyeball(exact_face, generator):
    rest = perform(exact_face, {})
    assert 8.5 < lid_gap(exact_face, rest) < 12.0
    assert lid_gap(exact_face, perform(exact_face, {43: 1.0})) < 0.8
    assert lid_gap(exact_face, perform(exact_face, {5: 1.0})) > lid_gap(exact_face, rest) + 1.5
    winking = perform(exact_face, {43: (0.0, 1.0)})
    assert lid_gap(exact_face, winking, side=-1) > 8.0 and lid_gap(exact_face, winking) < 0.8


def test_skin_stays_outside_the_eyeballs(exact_face, generator):
    people = exact_face.sample_identity(8, generator)
    for closed in (0.0, 0.5, 1.0):
        units = torch.zeros(8, NUM_ACTION_UNITS, 2, dtype=torch.float64)
        units[:, action_unit_index(43)] = closed
        expression = exact_face.expression_code(units)
        vertices = exact_face.shape(people, expression)
        centres = exact_face._controls(people, expression)[2]
        lids = exact_face.eyes.skin
        distance = (vertices[:, lids] - centres[:, exact_face.eyes.skin_side]).norm(dim=-1)
        assert distance.min() > EYE_RADIUS


def test_iris_follows_the_gaze(face):
    texture = torch.zeros(1, face.num_texture)

    def pupil(gaze):
        expression = face.expression_code(torch.zeros(1, NUM_ACTION_UNITS, 2), torch.tensor([gaze]))
        identity = torch.zeros(1, face.num_identity)
        vertices = face.shape(identity, expression)[0]
        _, controls, centres = face._controls(identity, expression)
        points = face.eyes.eyeball_points(controls, centres, torch.tensor([gaze]))
        angle = face.eyes.iris_angle(points, centres, torch.tensor([gaze]), face.num_vertices)[0]
        left = face.plane[:, 0] > 0
        return vertices[torch.where(left, angle, 999.0).argmin()], face.albedo(texture, expression)[0]

    ahead, paint = pupil([0.0, 0.0])
    aside, moved = pupil([20.0, 0.0])
    assert aside[0] > ahead[0] + 2.0
    changed = (paint - moved).abs().sum(-1) > 1e-3
    assert changed.any() and not changed[~face.regions["eyes"]].any()


def test_furrows_deepen_with_age(exact_face):
    from facekit.morphable.procedural.anatomy import NAMES

    old = torch.zeros(1, exact_face.num_identity, dtype=torch.float64)
    old[0, NAMES.index("age")] = 2.0
    assert exact_face._furrow_depth(old) > 1.3 * exact_face._furrow_depth(torch.zeros_like(old))


def test_levels_agree(face):
    fine = ProceduralFace(level=1)
    generator = torch.Generator().manual_seed(3)
    identity = face.sample_identity(2, generator)
    expression = face.expression_code(torch.rand(2, NUM_ACTION_UNITS, 2, generator=generator))
    torch.testing.assert_close(
        fine.shape(identity, expression)[:, : face.num_vertices], face.shape(identity, expression), atol=2e-3, rtol=0
    )


def test_float32_agrees_with_float64(face, exact_face, generator):
    identity = face.sample_identity(3, generator)
    expression = face.expression_code(torch.rand(3, NUM_ACTION_UNITS, 2, generator=generator))
    torch.testing.assert_close(
        face.shape(identity, expression).double(),
        exact_face.shape(identity.double(), expression.double()),
        atol=2e-3,
        rtol=0,
    )


def test_faces_keep_their_precision_within_autocast(face, generator):
    codes = face.sample_identity(2, generator), face.neutral_expression(2), face.sample_texture(2, generator)
    expected = face.face(*codes)
    with torch.autocast("cpu", torch.bfloat16):
        for found in (face.face(*codes), (face.shape(*codes[:2]), expected[1])):
            assert torch.equal(found[0], expected[0]) and torch.equal(found[1], expected[1])
        narrow = face.face(*(code.bfloat16() for code in codes))
        assert face.albedo(codes[2].bfloat16()).dtype == torch.float32
    assert torch.equal(narrow[0], face.shape(*(code.bfloat16().float() for code in codes[:2])))


def test_batches_do_not_mix(exact_face, generator):
    identity = exact_face.sample_identity(3, generator)
    expression = exact_face.expression_code(torch.rand(3, NUM_ACTION_UNITS, 2, generator=generator).double())
    together = exact_face.shape(identity, expression)
    alone = torch.cat([exact_face.shape(identity[i : i + 1], expression[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-8, rtol=0)


def test_gradients(exact_face, generator):
    identity = exact_face.sample_identity(1, generator).requires_grad_()
    expression = (0.2 + 0.5 * torch.rand(1, exact_face.num_expression, generator=generator).double()).requires_grad_()
    some = torch.randperm(exact_face.num_vertices, generator=generator)[:25]

    def corner(identity, expression):
        return exact_face.shape(identity, expression)[:, some]

    assert torch.autograd.gradcheck(corner, (identity, expression), eps=1e-5, atol=1e-4, fast_mode=True)


@pytest.mark.parametrize("zero", ["identity", "expression"])
def test_gradients_are_finite_at_the_neutral_face(exact_face, zero):
    identity = torch.zeros(1, exact_face.num_identity, dtype=torch.float64, requires_grad=True)
    expression = exact_face.neutral_expression(1).requires_grad_()
    exact_face.shape(identity, expression).square().mean().backward()
    assert torch.isfinite({"identity": identity, "expression": expression}[zero].grad).all()


def test_landmarks_lie_in_their_order(face):
    vertices = face.shape(torch.zeros(1, face.num_identity), face.neutral_expression(1))[0]
    points = vertices[face.landmarks]
    assert len(set(face.landmarks.tolist())) == 68
    assert (points[:17, 0].diff() > -1.0).all() and (points[:8, 1].diff() < 0).all()
    assert (points[17:27, 0].diff() > 0).all() and (points[27:31, 1].diff() < 0).all()
    mirror = [16 - i for i in range(17)] + [26 - i for i in range(10)] + [27, 28, 29, 30, 35, 34, 33, 32, 31]
    mirror += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    mirror += [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    assert torch.equal(face.symmetry[face.landmarks], face.landmarks[mirror])
    assert landmark_places().shape == (68, 2)


def test_regions(face):
    regions = face.regions
    assert {"skin", "eyes", "mouth_interior", "lips", "nose", "brows"} <= set(regions)
    assert all(mask.any() for mask in regions.values())
    assert torch.equal(regions["skin"], ~(regions["eyes"] | regions["mouth_interior"]))


def test_wrong_shapes_are_refused(face):
    with pytest.raises(FaceModelError, match="action units"):
        face.expression_code(torch.zeros(2, 5, 2))
    with pytest.raises(FaceModelError, match="identity"):
        face.shape(torch.zeros(1, 3), face.neutral_expression(1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_agrees_with_cpu(face, generator):
    identity = face.sample_identity(2, generator)
    expression = face.expression_code(torch.rand(2, NUM_ACTION_UNITS, 2, generator=generator))
    there = ProceduralFace(level=0).cuda()
    torch.testing.assert_close(
        there.shape(identity.cuda(), expression.cuda()).cpu(), face.shape(identity, expression), atol=5e-3, rtol=0
    )


@pytest.mark.parametrize("unit", [1, 2, 4, 6, 9, 10, 12, 15, 17, 20])
def test_the_same_unit_moves_people_differently(exact_face, unit):
    """A linear model gives everyone the same displacement; here people differ from their mean by a sixth or more."""
    count = 24
    identity = exact_face.sample_identity(count, torch.Generator().manual_seed(0))
    code = exact_face.expression_code(action_unit_vector({unit: 1.0})[None].to(exact_face.dtype)).expand(count, -1)
    moved = exact_face.shape(identity, code) - exact_face.shape(identity, torch.zeros_like(code))
    mean = moved.mean(dim=0)
    assert (moved - mean).square().sum(dim=(1, 2)).mean().sqrt() > 0.16 * mean.norm()


def test_muscle_traits_leave_the_neutral_face_alone(exact_face):
    code = torch.zeros(2, exact_face.num_identity, dtype=exact_face.dtype)
    code[1, [NAMES.index(trait.name) for trait in MUSCLE_TRAITS]] = 2.0
    rest, other = exact_face.shape(code, exact_face.neutral_expression(2))
    assert (rest - other).abs().max() < 1e-9
