"""The numbers of Liu et al. (2021), Tables 2 to 9 and Figure 9, as printed; percentages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Rows = dict[str, dict[str, float]]

SHORT = {
    "anger": "AN", "disgust": "DI", "fear": "FE", "happiness": "HA", "neutral": "NE", "sadness": "SA", "surprise": "SU",
}  # fmt: skip
"""The paper's abbreviations of the expressions (KDEF's fear is AF, afraid, there)."""
SEVEN = tuple(SHORT.values())


def _rows(columns: Sequence[str], rows: Mapping[str, Sequence[float | None]]) -> Rows:
    return {
        name: {column: value for column, value in zip(columns, values, strict=True) if value is not None}
        for name, values in rows.items()
    }


TABLE_2 = _rows(("pose", "expression"), {
    "DML-Net": (99.9, 88.2), "DCNN": (None, 86.44), "MPCNN": (99.8, 86.9), "DenseNet": (99.23, 85.10),
    "TLCNN": (97.55, 86.43), "SURF boosting": (None, 74.05), "SVM": (86.67, 70.5),
})  # fmt: skip
TABLE_3 = _rows(("-90", "-45", "0", "45", "90", "average"), {
    "AN": (78.6, 82.1, 82.1, 89.3, 74.1, 81.3), "DI": (96.4, 82.1, 92.9, 75.0, 92.9, 87.9),
    "FE": (70.4, 85.7, 78.6, 75.0, 66.7, 75.4), "HA": (100.0, 100.0, 100.0, 92.9, 100.0, 98.6),
    "SA": (85.7, 89.3, 89.3, 85.2, 85.7, 87.1), "SU": (92.9, 89.3, 96.4, 88.9, 89.3, 91.4),
    "NE": (100.0, 92.9, 100.0, 92.9, 92.9, 95.7), "average": (89.2, 88.8, 91.3, 85.6, 86.1, 88.2),
})  # fmt: skip
TABLE_4 = _rows((*SEVEN, "average"), {
    "CNN": (*[None] * 7, 89.4), "GAN": (80.00, 88.67, 97.00, 85.34, 96.00, 87.57, 90.23, 89.68),
    "AlexNet": (78.6, 85.7, 83.3, 100.00, 92.9, 83.3, 90.5, 87.8), "RCFN": (*[None] * 7, 91.01),
    "DML-Net": (82.1, 92.9, 78.6, 100.00, 89.3, 96.4, 100.00, 91.3),
})  # fmt: skip
TABLE_5 = {
    90: _rows(("pose", "expression"), {
        "DML-Net": (99.4, 83.5), "FERAtt": (None, 82.11), "IPFR": (None, 80.9), "DenseNet": (94.45, 80.39),
        "PC-RF": (87.15, 76.1), "JFDNN": (None, 72.5), "GSRRR": (87.36, 78.9), "DNN-D": (92.26, 80.1),
        "SVM": (None, 71.1),
    }),
    45: _rows(("pose", "expression"), {
        "DML-Net": (99.2, 84.8), "IPFR": (None, 84.0), "GAN (2020)": (None, 81.95), "GAN (2018)": (95.38, 81.2),
        "LLRS": (None, 78.64), "SSE": (None, 76.60), "MMGL": (None, 76.34),
    }),
}  # fmt: skip
TABLE_6 = _rows(("-30", "-15", "0", "15", "30", "average"), {
    "DML-Net": (95.5, 90.9, 93.2, 96.2, 91.7, 93.5), "GAN (2020)": (92.58, 93.74, 89.65, 89.97, 94.51, 92.09),
    "Exchange-GAN": (*[None] * 5, 91.08), "IPFR": (*[None] * 5, 91.3),
    "MPCNN": (94.8, 91.8, 89.91, 92.62, 91.8, 92.3), "GAN (2018)": (90.97, 94.72, 89.11, 93.09, 91.3, 91.8),
    "DenseNet": (90.0, 91.67, 90.56, 91.67, 90.83, 91.06), "KNN": (80.88, 81.74, 68.36, 75.03, 74.78, 76.15),
    "LDA": (92.52, 94.37, 77.21, 87.07, 87.47, 87.72), "LPP": (92.42, 94.56, 77.33, 87.06, 87.68, 87.81),
    "D-GPLVM": (91.65, 93.51, 78.7, 85.96, 86.04, 87.17), "GPLRF": (91.65, 93.77, 77.59, 85.66, 86.01, 86.93),
    "GMLDA": (90.47, 94.18, 76.6, 86.64, 85.72, 86.72), "GMLPP": (91.86, 94.13, 78.16, 87.22, 87.36, 87.74),
    "MvDA": (92.49, 94.22, 77.51, 87.1, 87.89, 87.84), "DS-GPLVM": (93.55, 96.96, 82.42, 89.97, 90.11, 90.6),
})  # fmt: skip
TABLE_7 = _rows((*SEVEN, "average"), {
    "IACNN": (70.7, 0.0, 8.9, 70.4, 60.3, 58.8, 28.9, 50.98), "IPFR": (73.7, 8.9, 8.9, 89.0, 69.9, 61.8, 47.1, 55.1),
    "DLP-CNN": (*[None] * 7, 51.05), "DDMTL": (78.23, 8.05, 9.67, 76.3, 61.9, 35.8, 47.44, 51.21),
    "RAN (ResNet18)": (*[None] * 7, 54.19), "DCNN": (*[None] * 7, 52.5), "IL-CNN": (*[None] * 7, 52.52),
    "CNN": (*[None] * 7, 52.75), "DML-Net": (67.5, 8.7, 8.5, 83.5, 70.9, 39.7, 49.1, 54.39),
})  # fmt: skip
STEPS = ("ResNet50", "MFE", "MFE+HPE", "MFE+HPE+JEFL", "MFE+HPE+JEFL+ADW")
"""The ablation: each row adds one part."""
_ABLATION = ("pose", "expression", "images_per_second")
TABLE_8 = {
    "kdef": _rows(_ABLATION, dict(zip(STEPS, (
        (None, 83.7, 64), (None, 84.0, 54), (100.0, 85.5, 55), (100.0, 86.1, 52), (99.9, 88.2, 53)), strict=True))),
    "bu3dfe": _rows(_ABLATION, dict(zip(STEPS, (
        (None, 78.4, 136), (None, 81.8, 100), (99.2, 82.3, 100), (99.2, 82.6, 95), (99.4, 83.5, 98)), strict=True))),
    "multipie": _rows(_ABLATION, dict(zip(STEPS, (
        (None, 90.5, 98), (None, 90.5, 77), (99.7, 91.2, 74), (99.7, 93.0, 78), (99.7, 93.5, 77)), strict=True))),
}  # fmt: skip
TABLE_9 = _rows(SEVEN, {
    "MvDA": (23.21, 17.65, 27.27, 40.35, 27.00, 10.10, 13.19),
    "GMLDA": (23.21, 17.65, 29.29, 21.93, 25.0, 11.11, 10.99),
    "GMLPP": (19.07, 21.18, 27.27, 39.47, 20.00, 19.19, 16.48),
    "DS-GPLVM": (25.89, 28.24, 17.17, 42.98, 14.00, 33.33, 10.99),
    "GAN": (29.09, 24.88, 17.65, 51.19, 20.00, 29.20, 18.70), "IPFR": (27.30, 28.90, 24.30, 38.70, 19.70, 26.20, 31.40),
    "DML-Net": (23.38, 21.74, 17.02, 53.42, 37.21, 17.81, 19.30),
})  # fmt: skip
FIGURE_9 = _rows(SEVEN, {
    "AN": (67.5, 2.6, 0.0, 2.6, 11.7, 5.2, 10.4), "DI": (13.0, 8.7, 0.0, 17.4, 39.1, 8.7, 13.0),
    "FE": (23.4, 0.0, 8.5, 8.5, 17.0, 8.5, 34.0), "HA": (0.0, 0.0, 0.0, 83.5, 9.6, 5.5, 1.4),
    "NE": (1.2, 0.0, 1.2, 1.2, 70.9, 13.9, 11.6), "SA": (11.0, 0.0, 6.9, 5.5, 16.4, 39.7, 20.5),
    "SU": (10.5, 0.0, 3.5, 7.0, 22.8, 7.0, 49.1),
})  # fmt: skip
FIGURE_9_POSE = _rows(("-60", "-40", "-15", "0", "15", "40", "60"), {
    "-60": (58.3, 37.5, 4.2, 0.0, 0.0, 0.0, 0.0), "-40": (11.5, 82.7, 5.8, 0.0, 0.0, 0.0, 0.0),
    "-15": (0.0, 0.0, 95.7, 3.5, 0.9, 0.0, 0.0), "0": (0.0, 0.0, 1.0, 79.6, 19.4, 0.0, 0.0),
    "15": (0.0, 0.0, 0.0, 5.1, 94.9, 0.0, 0.0), "40": (0.0, 0.0, 0.0, 0.0, 28.2, 59.0, 12.8),
    "60": (0.0, 0.0, 0.0, 0.0, 14.3, 34.7, 51.0),
})  # fmt: skip
