"""What the multi-view images of a data set depend on."""

from dataclasses import dataclass, field

from facekit.mifar.scans import ScannerNoise


@dataclass(frozen=True)
class ViewSettings:
    """What the images of a data set depend on.

    Attributes:
        data: ``world``, ``world:ict=PATH``, copies such as ``bu3dfe=PATH,bosphorus=PATH``, or ``own=PATH`` in the place
            of any of them.
        dataset: one of ``facekit.mifar.SENSORS``.
        subjects: people; the published number if 0.
        image_size: side of the images in pixels.
        channels: names of ``facekit.mifar.CHANNELS``.
        noise: of the twins' scanner; copies bring their own.
        frames: of each recording that are pooled.
        pooling: ``svm`` or ``approximate``.
        cache: folder in which the images of copies are kept; ``facekit.mifar.default_folder()`` if empty.
    """

    data: str = "world"
    dataset: str = "bu3dfe"
    subjects: int = 0
    image_size: int = 64
    channels: tuple[str, ...] = ("texture", "depth", "normals")
    noise: ScannerNoise = field(default_factory=ScannerNoise)
    frames: int = 12
    pooling: str = "approximate"
    cache: str = ""
