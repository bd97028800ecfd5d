"""Single frames of videos, read with OpenCV where it is installed.

Frames are mostly asked for one after another, so a video stays open and is read on; a jump back or far ahead seeks.
Streams of pictures without a head (.mjpg, as MICC's) do not say how long they are and cannot be sought in: they are
counted once, and read again from their beginning after a jump back.
"""

from __future__ import annotations

import importlib.util
import os
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from facekit.data.readers import Inventory
from facekit.data.readers.pictures import MAX_PIXELS, PictureError
from facekit.data.readers.text_files import file_stamp, reason_of

VIDEO_ENDINGS: tuple[str, ...] = (".avi", ".mp4", ".mov", ".mkv", ".mjpg", ".mjpeg")
MOST_FRAMES = 10_000_000

_OPEN_AT_ONCE = 4
_READ_ON = 100  # frames ahead that are read through rather than sought
_open_videos: OrderedDict[tuple[Path, int, int], Any] = OrderedDict()
_inherited: list[Any] = []
"""Videos that a forked process found open: their files and threads are its parent's, and are not touched again."""
_owners = [os.getpid()]


def has_opencv() -> bool:
    return importlib.util.find_spec("cv2") is not None


def count_frames(path: Path, inventory: Inventory) -> int:
    """How many frames the video has, as it says or by counting; 0, with a note in the inventory, if it has none."""
    try:
        count = _announced(_opened(path)) or _counted(path, file_stamp(path))
    except PictureError as error:
        inventory.corrupt(path, reason_of(error, path))
        return 0
    if not count:
        inventory.corrupt(path, "the video has no frame that can be read")
    return count


def _announced(video: Any) -> int:
    """How many frames an open video says that it has; 0 if it does not say, as streams without a head."""
    import cv2

    count = video.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if 0 < count <= MOST_FRAMES else 0


@lru_cache(maxsize=1024)
def _counted(path: Path, _stamp: tuple[int, int]) -> int:
    """How many frames can be read, one after another."""
    import cv2

    video, count = cv2.VideoCapture(str(path)), 0
    while count < MOST_FRAMES and video.grab():
        count += 1
    video.release()
    return count


def read_frame(path: Path, frame: int) -> np.ndarray:
    """Frame number `frame` (from 0) of a video, RGB (H, W, 3) uint8.

    Raises:
        PictureError: if OpenCV is not installed, the file is no video, or the video ends before.
    """
    import cv2

    video = _opened(path)
    at = int(video.get(cv2.CAP_PROP_POS_FRAMES))
    if _announced(video) and not at <= frame <= at + _READ_ON:
        video.set(cv2.CAP_PROP_POS_FRAMES, frame)
        at = frame
    elif frame < at:
        _open_videos.pop((path, *file_stamp(path))).release()
        video, at = _opened(path), 0
    for _ in range(frame - at):
        if not video.grab():
            break
    found, picture = video.read()
    if not found or picture is None:
        raise PictureError(f"{path}: there is no frame {frame} (counted from 0); the video ends before or is damaged")
    return np.ascontiguousarray(picture[:, :, ::-1])


def _opened(path: Path) -> Any:
    """The video, open; the few used last stay so."""
    if not has_opencv():
        raise PictureError(f"{path}: reading a video needs OpenCV (opencv-python-headless)")
    import cv2

    if _owners[0] != os.getpid():
        _inherited.extend(_open_videos.values())
        _open_videos.clear()
        _owners[0] = os.getpid()
    key = (path, *file_stamp(path))
    if key not in _open_videos:
        if not path.is_file():
            raise PictureError(f"{path}: there is no such file")
        video = cv2.VideoCapture(str(path))
        width, height = video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if not video.isOpened() or not 1 <= width * height <= MAX_PIXELS:
            video.release()
            raise PictureError(f"{path}: is not a video that OpenCV can read")
        _open_videos[key] = video
    _open_videos.move_to_end(key)
    while len(_open_videos) > _OPEN_AT_ONCE:
        _open_videos.popitem(last=False)[1].release()
    return _open_videos[key]
