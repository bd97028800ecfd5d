"""Small copies of the 3D data sets, in their layouts and with their known defects, made of the procedural face."""

from pathlib import Path

import numpy as np
import scipy.io
import torch
from PIL import Image

from facekit.meshes import save_mesh
from facekit.morphable import ProceduralFace
from tests.data.formats import scan_files

_FACE = ProceduralFace(level=0)


def face() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (V, 3), triangles (F, 3) and the 68 landmarks (68, 3) of a face, scanned from the front."""
    identity = _FACE.sample_identity(1, torch.Generator().manual_seed(3))
    vertices = _FACE.shape(identity, _FACE.neutral_expression())[0].double().numpy()
    return vertices, _FACE.faces.numpy(), vertices[_FACE.landmarks.numpy()]


def points_83(marks: np.ndarray) -> np.ndarray:
    """Landmarks in BU-3DFE's order from the 68: every curve walked in its numbers of points."""

    def between(first: int, second: int) -> np.ndarray:
        return (marks[first] + marks[second]) / 2

    def brow(places: range) -> list[np.ndarray]:
        upper = [marks[place] + [0, 3, 0] for place in places]
        return upper + [marks[place] - [0, 3, 0] for place in reversed(places)]

    def curve(places: list[int], count: int) -> list[np.ndarray]:
        at = np.linspace(0, len(places) - 1, count)
        return [np.array([np.interp(k, range(len(places)), marks[places, axis]) for axis in range(3)]) for k in at]

    left = [marks[39], marks[38], between(37, 38), marks[37], marks[36], marks[41], between(40, 41), marks[40]]
    right = [marks[42], marks[43], between(43, 44), marks[44], marks[45], marks[46], between(46, 47), marks[47]]
    root, wing = np.array([6.0, 0, 0]), np.array([2.0, 4.0, 0])
    nose = [marks[27] - root, *curve([27, 31], 4)[1:3], marks[31] - wing * [1, -1, 0], marks[31], marks[32], marks[34],
            marks[35], marks[35] + wing, *curve([35, 27], 4)[1:3], marks[27] + root]  # fmt: skip
    outline = [*curve(list(range(9)), 8), *curve(list(range(8, 17)), 8)[1:]]
    return np.stack([*left, *right, *brow(range(17, 22)), *brow(range(22, 27)), *nose, *marks[48:68], *outline])


def bu_scan(end: str = "\n", shift: float = 0.0) -> tuple[bytes, bytes]:
    """The .wrl and .bnd of a scan; its texture coordinates have an order of their own."""
    vertices, faces, marks = face()
    low, high = vertices.min(0), vertices.max(0)
    uv = ((vertices - low) / (high - low))[:, :2]
    uv_faces = (len(uv) - 1 - faces).tolist()
    text = scan_files.bu3dfe_wrl(vertices + shift, faces.tolist(), uv[::-1], uv_faces, "F0001_AN01WH_F3D.bmp", end)
    return text, scan_files.bnd(points_83(marks) + shift, end=end)


def picture(path: Path, size: tuple[int, int] = (32, 48), colour=(200, 150, 120)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def bu3dfe(root: Path) -> Path:
    """Two people; one scan is cut off, one without landmarks, one without texture; names in both cases."""
    names = (
        "F0001/F0001_AN01WH",
        "F0001/F0001_AN02WH",
        "F0001/F0001_NE00WH",
        "M0001/M0001_HA04BL",
        "M0001/m0001_ne00bl",
    )
    for k, name in enumerate(names):
        upper = name.lower() != name
        wrl, bnd = bu_scan("\r\n" if k % 2 else "\n")
        write(root / f"{name}_{'F3D' if upper else 'f3d'}.{'wrl' if k != 2 else 'WRL'}", wrl)
        write(root / f"{name}_{'F3D' if upper else 'f3d'}.bnd", bnd)
        picture(root / f"{name}_{'F3D' if upper else 'f3d'}.bmp")
        picture(root / f"{name}_F2D.bmp")
    write(root / "M0001/M0001_HA03BL_F3D.wrl", bu_scan()[0][:20_000])
    write(root / "M0001/M0001_SA01BL_F3D.wrl", b"")
    write(root / "M0001/M0001_FE02BL_F3D.wrl", bu_scan()[0])
    write(root / "F0001/F0001_AN01WH_RAW.wrl", bu_scan()[0])
    write(root / "F0001/F0001_AN01WH_RAW.pse", b"1 2 3 4\n" * 8)
    write(root / "F0001/notes.wrl", b"#VRML V2.0 utf8\n")
    return root


def bu4dfe(root: Path, landmarks: Path) -> Path:
    """Two sequences of four frames; the landmarks lie in a folder of their own; a stray file and a gap."""
    vertices, faces, marks = face()
    uv = np.random.default_rng(0).random((len(vertices), 2))
    for place in ("F001/Angry", "M043/happy"):
        for frame in (0, 1, 2, 4):
            text = scan_files.bu4dfe_wrl(vertices, faces.tolist(), uv, f"{frame:03d}.jpg", "\r\n" if frame else "\n")
            write(root / f"{place}/{frame:03d}.wrl", text)
            picture(root / f"{place}/{frame:03d}.jpg")
            write(landmarks / f"{place}/{frame:03d}.bnd", scan_files.bnd(points_83(marks), tabs=False))
    write(root / "F001/Surprise/000.landmark", b"1 2 3")
    write(root / "BU_WrlViewer_V2/help.wrl", b"#VRML V2.0 utf8\n")
    return root


def bosphorus(root: Path) -> Path:
    """Seven scans of two people; one is cut off, one lists fewer landmarks, one has no picture."""
    points, valid, uv = scan_files.range_image(40, 30)
    points = points * [0.8, 1.0, 1.0]
    marks = bosphorus_marks()
    scans = ("bs000_N_N_0", "bs000_E_ANGER_0", "bs000_LFAU_12R_0", "bs000_CAU_A22A25_0", "bs003_YR_L45_0",
             "bs003_O_GLASSES_0", "bs003_PR_SU_0")  # fmt: skip
    for name in scans:
        labels = scan_files.LABELS if "YR" not in name else scan_files.LABELS[:10]
        write(root / f"{name[:5]}/{name}.bnt", scan_files.bnt(points, valid, uv, f"{name}.png"))
        write(root / f"{name[:5]}/{name}.lm3", scan_files.lm3(marks[: len(labels)], labels))
        if name != "bs003_PR_SU_0":
            picture(root / f"{name[:5]}/{name}.png")
    write(root / "bs003/bs003_E_HAPPY_0.bnt", scan_files.bnt(points, valid, uv)[:5000])
    write(root / "bs003/bs003_IGN_X_0.bnt", scan_files.bnt(points, valid, uv))
    write(root / "bs003/bs003_N_N_0_trim.bnt", scan_files.bnt(points, valid, uv))
    return root


def bosphorus_marks() -> np.ndarray:
    """Twenty-two plausible places on the sheet."""
    x = [-30, -22, -12, 12, 22, 30, -28, -12, 12, 28, -6, 6, -12, 0, 12, -16, 0, 16, 0, 0, 0, 0]
    y = [32, 35, 32, 32, 35, 32, 22, 22, 22, 22, 20, 20, -8, -4, -8, -28, -24, -28, -26, -30, -34, -55]
    return np.array([[a, b, 40 - (a / 0.8) ** 2 / 60 - b**2 / 90] for a, b in zip(x, y, strict=True)], dtype=float)


def bp4d(root: Path, offset: int = -1) -> Path:
    """Two recordings: codes of rows 3 to 8, pictures and scans of frames 0 to 6, in three and four digits."""
    vertices, faces, marks = face()
    columns = ",".join(map(str, range(100)))
    for subject, task, digits in (("F001", 1, 4), ("M007", 6, 3)):
        rows = []
        for row in range(3, 9):
            codes = ["9"] * 100
            codes[0] = str(row)
            for unit in (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24):
                codes[unit] = str((row + unit) % 2)
            rows.append(",".join(codes))
        write(root / f"AUCoding/AU_OCC/{subject}_T{task}.csv", "\n".join([columns, *rows, ""]).encode())
        levels = "\r\n".join(f"{row},{row % 6 if row != 5 else 9}" for row in range(3, 9))
        write(root / f"AUCoding/AU_INT/AU12/{subject}_T{task}_AU12.csv", levels.encode())
        for frame in range(7):
            place = root / f"Sequences(2D+3D)/{subject}/T{task}/{frame:0{digits}d}"
            picture(place.with_suffix(".jpg"), (104, 139), (frame * 30, 100, 100))
            save_mesh(place.with_suffix(".obj"), torch.from_numpy(vertices).float(), torch.from_numpy(faces))
            own = np.empty((83, 3))
            own[list(range(20, 36)) + list(range(20)) + list(range(36, 83))] = points_83(marks)
            name = root / f"3DFeatures/{subject}/T{task}/{frame:0{digits}d}.tbnd"
            write(name, scan_files.tbnd(own * [1, 1, -1], with_index=task == 6))
        fit = np.zeros((1, 7), dtype=[("pred", object), ("pose", object)])
        for frame in range(7):
            found = 20 + np.stack([np.arange(49.0), np.arange(49.0)[::-1]], 1)
            fit[0, frame] = (found if frame != 4 else np.zeros((0, 0)), np.eye(3))
        (root / "2DFeatures").mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(root / f"2DFeatures/{subject}_T{task}.mat", {"fit": fit})
    return root


def obj(path: Path, unit: float = 1.0) -> None:
    vertices, faces, _ = face()
    path.parent.mkdir(parents=True, exist_ok=True)
    uv = (vertices[:, :2] - vertices[:, :2].min(0)) / np.ptp(vertices[:, :2], axis=0)
    save_mesh(path, torch.from_numpy(vertices * unit).float(), torch.from_numpy(faces), torch.from_numpy(uv).float())


def micc(root: Path) -> Path:
    """Three people: one with frontal1, one with frontal2 alone, one with nothing usable."""
    obj(root / "subject_01/Model/frontal1/obj/110920150452.obj")
    picture(root / "subject_01/Model/frontal1/obj/110920150452.bmp")
    obj(root / "subject_02/Model/frontal2/obj/110920150500.obj")
    write(root / "subject_03/Model/sidel/obj/110920150511.obj", b"v 1 2\n")
    return root


def fanelli(root: Path) -> Path:
    """Two people, stored upside down; one frame is cut off."""
    vertices, _, _ = face()
    turned = vertices * [1, -1, -1]
    for place in ("F1/e01", "F2/33", "F2/e05"):
        for frame in (1, 2, 3):
            write(root / f"faces/{place}/frame_{frame:03d}.vl", scan_files.vl(turned))
    write(root / "faces/F2/e05/frame_004.vl", scan_files.vl(turned)[:-5])
    obj(root / "rigid_scans/F1.obj")
    return root


def coma(root: Path) -> Path:
    vertices, faces, _ = face()
    for person in ("FaceTalk_170725_00137_TA", "FaceTalk_170728_03272_TA"):
        for movement in ("bareteeth", "mouth_open"):
            for frame in range(1, 4):
                path = root / f"{person}/{movement}/{movement}.{frame:06d}.ply"
                path.parent.mkdir(parents=True, exist_ok=True)
                save_mesh(path, torch.from_numpy(vertices / 1000).float(), torch.from_numpy(faces))
    return root


def facewarehouse(root: Path) -> Path:
    vertices, _, _ = face()
    for tester in (1, 2):
        for pose in (0, 1):
            obj(root / f"Tester_{tester}/TrainingPose/pose_{pose}.obj", 0.01)
        write(root / f"Tester_{tester}/Blendshape/shape.bs", scan_files.bs(np.stack([vertices] * 3) / 100))
    return root
