"""Tiny folders in the layouts of the data sets of photographs, defects included; no picture is of anybody."""

from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image


def write_picture(path: Path, width: int = 48, height: int = 64, colour=(200, 120, 60), **options) -> Path:
    """A picture of one colour whose left half is darker, so that sides can be told apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    pixels[:] = colour
    pixels[:, : width // 2] //= 2
    Image.fromarray(pixels).save(path, format="PNG" if path.suffix.lower() == ".png" else "JPEG", **options)
    return path


def cut_off(path: Path, share: float = 0.5) -> Path:
    """The same file without its end."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def write_text(path: Path, lines: list[str], end: str = "\n", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


def kdef_tree(root: Path, people=("AF01", "AM01"), upper: bool = True) -> Path:
    """Two people in two sessions: seven expressions from five sides, with the release's known defects."""
    folder = root / "KDEF_and_AKDEF" / "KDEF"
    for person in people:
        for session in "AB":
            code = session + person[1:]
            for expression in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
                for camera in ("FL", "HL", "S", "HR", "FR"):
                    name = f"{code}{expression}{camera}.JPG"
                    write_picture(folder / code / (name if upper else name.lower()), 28, 38)
    black = "AF01SUFR.JPG" if upper else "af01sufr.jpg"
    write_picture(folder / "AF01" / black, 28, 38, colour=(2, 2, 2))
    write_picture(folder / "AF31" / "AF31V.JPG", 28, 38)
    write_picture(folder / "AM31" / "AM31H.JPG", 28, 38)
    write_picture(folder / "AM05" / "AM05ANFR.JPG", 48, 31)
    cut_off(write_picture(folder / "AM01" / "AM01HAS.JPG", 28, 38))
    (folder / "AM01" / "AM01HAHL.JPG").write_bytes(b"")
    write_picture(root / "KDEF_and_AKDEF" / "AKDEF" / "FAFS.JPG", 28, 38)
    (folder / "AF01" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    return root


def multipie_tree(root: Path) -> Path:
    for subject in ("001", "002"):
        for session, recording in ((1, 1), (1, 2), (2, 2), (4, 3)):
            for camera in ("05_1", "14_0", "19_1"):
                for light in (0, 7):
                    name = f"{subject}_{session:02d}_{recording:02d}_{camera.replace('_', '')}_{light:02d}.png"
                    folder = root / "data" / f"session{session:02d}" / "multiview" / subject / f"{recording:02d}"
                    write_picture(folder / camera / name, 32, 24)
    write_picture(root / "data" / "session01" / "highres" / "001" / "001_01_01.png", 32, 24)
    write_picture(root / "data/session01/multiview/001/09/05_1/001_01_09_051_00.png", 32, 24)
    return root


def sfew_tree(root: Path, val_folder: str = "Val_Aligned_Faces_new") -> Path:
    names = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
    for place, name in enumerate(names):
        write_picture(
            root / f"Train/Train_Aligned_Faces/{name}/A_Long_Film_00012{place:04d}_0000003{place}.png", 28, 36
        )
        write_picture(root / f"Val/{val_folder}/{name.upper()}/Other_00012{place:04d}_0000003{place}.png", 28, 36)
        write_picture(root / f"Test/Test_Aligned_Faces/Third_00012{place:04d}_0000003{place}.png", 28, 36)
    write_picture(root / "Train/Train/Angry/A_Long_Film_000120000_00000030.png", 72, 57)
    write_picture(root / "Train/Train_Aligned_Faces/Bored/A_Long_Film_000120000_00000031.png", 28, 36)
    return root


ATTRIBUTES = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young"
).split()


def celeba_tree(root: Path, end: str = "\n", as_csv: bool = False) -> Path:
    """Six pictures of three people; the first is a man with glasses."""
    names = [f"{number:06d}.jpg" for number in range(1, 7)]
    for name in names:
        write_picture(root / "img_align_celeba" / name, 178, 218)
    values = [["1" if (row + place) % 3 == 0 else "-1" for place in range(40)] for row in range(6)]
    for row in range(6):
        values[row][20], values[row][15] = ("1", "1") if row == 0 else ("-1", "-1")
    points = [[69 + row, 111, 108 + row, 111, 88 + row, 135, 73 + row, 152, 105 + row, 152] for row in range(6)]
    point_names = [
        f"{part}_{axis}" for part in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"
    ]
    split = ["0", "0", "0", "0", "1", "2"]
    people = ["2880", "2880", "7", "7", "11", "12"]
    if as_csv:
        write_text(root / "list_attr_celeba.csv", [",".join(["image_id", *ATTRIBUTES])]
                   + [",".join([name, *row]) for name, row in zip(names, values, strict=True)], end)  # fmt: skip
        write_text(root / "list_eval_partition.csv", ["image_id,partition"]
                   + [",".join(pair) for pair in zip(names, split, strict=True)], end)  # fmt: skip
        rows = [",".join([name, *map(str, row)]) for name, row in zip(names, points, strict=True)]
        write_text(root / "list_landmarks_align_celeba.csv", [",".join(["image_id", *point_names]), *rows], end)
        return root
    rows = [f"{name} {' '.join(value.rjust(2) for value in row)}" for name, row in zip(names, values, strict=True)]
    write_text(root / "list_attr_celeba.txt", ["6", " ".join(ATTRIBUTES) + " ", *rows], end)
    pairs = [f"{name} {value}" for name, value in zip(names, split, strict=True)]
    write_text(root / "list_eval_partition.txt", pairs, end)
    write_text(root / "identity_CelebA.txt", [f"{name} {who}" for name, who in zip(names, people, strict=True)], end)
    rows = [f"{name}  {'   '.join(map(str, row))}" for name, row in zip(names, points, strict=True)]
    write_text(root / "list_landmarks_align_celeba.txt", ["6", " ".join(point_names), *rows], end)
    return root


def fit_arrays(pose=(0.1, -0.2, 0.05, 200.0, 180.0, -60.0, 1.4e-3), points=None) -> dict:
    """The arrays of a .mat file of 300W-LP: coefficients of a random face and landmarks around the picture's middle."""
    generator = np.random.default_rng(5)
    points = generator.uniform(150, 300, (2, 68)) if points is None else points
    return {
        "pt2d": points, "roi": np.array([[53, -166, 638, 419]], dtype=np.int16),
        "Illum_Para": generator.normal(size=(1, 10)), "Color_Para": np.ones((1, 7), dtype=np.float32),
        "Tex_Para": generator.normal(size=(199, 1)), "Shape_Para": 1e5 * generator.normal(size=(199, 1)),
        "Exp_Para": generator.normal(size=(29, 1)), "Pose_Para": np.array([pose], dtype=np.float32),
    }  # fmt: skip


def wlp300_tree(root: Path) -> Path:
    for part, stem in (("AFW", "AFW_134212_1"), ("LFPW", "LFPW_image_train_0737")):
        for view in (0, 3):
            for folder, sign in ((part, 1), (f"{part}_Flip", -1)):
                picture = write_picture(root / folder / f"{stem}_{view}.jpg", 450, 450)
                pose = (0.1, sign * -0.3 * view, sign * 0.05, 200.0, 180.0, -60.0, 1.4e-3)
                scipy.io.savemat(picture.with_suffix(".mat"), fit_arrays(pose), do_compression=view > 0)
    write_picture(root / "AFW" / "AFW_134212_1_4.jpg", 450, 450)
    (root / "AFW" / "AFW_134212_1_5.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    write_picture(root / "AFW" / "AFW_134212_1_5.jpg", 450, 450)
    broken = fit_arrays()
    broken["Pose_Para"] = np.full((1, 7), np.nan, dtype=np.float32)
    scipy.io.savemat(root / "AFW" / "AFW_134212_1_6.mat", broken)
    write_picture(root / "AFW" / "AFW_134212_1_6.jpg", 450, 450)
    (root / "Code").mkdir()
    scipy.io.savemat(root / "Code" / "Model_Shape.mat", {"w": np.ones((3, 3))})
    return root


def aflw2000_tree(root: Path) -> Path:
    folder = root / "AFLW2000"
    for number, yaw in ((2, 0.4), (4, -1.0), (6, 2.0)):
        picture = write_picture(folder / f"image{number:05d}.jpg", 450, 450)
        arrays = fit_arrays((0.1, yaw, 0.0, 200.0, 180.0, -60.0, 1.4e-3))
        arrays["pt3d_68"] = np.concatenate([arrays["pt2d"], np.zeros((1, 68))]).astype(np.float32)
        arrays["pt2d"] = np.full((2, 21), -1.0)
        scipy.io.savemat(picture.with_suffix(".mat"), arrays)
    scipy.io.savemat(folder / "imagelist.mat", {"x": np.ones((2, 2))})
    return root


def emotionet_tree(root: Path, end: str = "\n") -> Path:
    """Three listed pictures, of which one is missing, and one that no list names."""
    rows = []
    for number, codes in enumerate(({1: 1, 12: 0}, {1: 0, 12: 1}, {1: 1, 25: 1})):
        address = f"'http://some.host/pictures/N_{number:010d}.JPG?size=2'"
        values = ["999"] * 60
        for unit, code in codes.items():
            values[unit - 1] = str(code)
        rows.append("\t".join([address, address, *values]))
    write_text(root / "dataFile_0000.txt", rows, end)
    for number in (0, 1):
        write_picture(root / "images" / f"N_{number:010d}.jpg", 40, 40)
    write_picture(root / "images" / "unlisted.jpg", 40, 40)
    write_text(root / "readme.txt", ["Pictures from the web."], end)
    return root


def disfa_tree(root: Path, end: str = "\n", frames: int = 6, base: int = 0, pictures: bool = True) -> Path:
    """Two people with levels of twelve units, pictures of the frames and landmarks of some."""
    for subject in ("SN001", "SN003"):
        for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26):
            rows = [f"{frame},{(frame + unit) % 6}" for frame in range(1, frames + 1)]
            write_text(root / "ActionUnit_Labels" / subject / f"{subject}_au{unit}.txt", rows, end)
        for frame in range(frames):
            if pictures:
                write_picture(
                    root / "Frames" / subject / f"{frame + base}.jpg", 64, 48, ((40 * frame + 15) % 256, 90, 90)
                )
        points = np.random.default_rng(2).uniform(10, 30, (66, 2))
        for frame in range(0, frames, 2):
            name = f"{subject}_{frame:04d}_lm.mat" if subject == "SN001" else f"l0{frame + 1:04d}_lm.mat"
            folder = root / "Landmark_Points" / subject / "tmp_frame_lm"
            folder.mkdir(parents=True, exist_ok=True)
            scipy.io.savemat(folder / name, {"pts": points})
    return root
