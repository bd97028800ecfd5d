"""The numbers of Song and Liu's Tables 1 to 4, as published: F1 in percent."""

_DISFA = ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26", "mean")
_BP4D = ("AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24", "mean")


def _rows(columns: tuple[str, ...], rows: dict[str, str]) -> dict[str, dict[str, float]]:
    return {method: dict(zip(columns, map(float, text.split()), strict=True)) for method, text in rows.items()}


TABLE_1 = _rows(_DISFA, {
    "DRML (supervised)": "17.3 17.7 37.4 29.0 10.7 37.7 38.5 20.1 26.7",
    "JAA-Net (supervised)": "43.7 46.2 56.0 41.4 44.7 69.6 88.3 58.4 56.0",
    "FAb-Net": "27.5 19.6 28.7 45.2 20.9 65.6 67.9 24.0 37.4",
    "TCAE": "24.8 25.5 37.3 34.7 31.1 59.6 58.1 25.2 37.0",
    "TC-Net, k = 1": "10.8 20.7 43.3 37.6 12.2 68.7 62.9 46.2 37.8",
    "TC-Net": "18.7 27.4 35.1 33.6 20.7 67.5 68.0 43.8 39.4",
    "RRL": "15.4 15.9 49.5 48.8 22.1 70.3 81.4 46.8 43.8",
})  # fmt: skip
"""DISFA."""

TABLE_2 = _rows(_BP4D, {
    "AlexNet (supervised)": "40.3 39.0 41.7 62.8 54.2 75.1 78.1 44.7 32.9 47.3 27.3 40.1 48.6",
    "DRML (supervised)": "36.4 41.8 43.0 55.0 67.0 66.3 65.8 54.1 33.2 48.0 31.7 30.0 48.3",
    "JAA-Net (supervised)": "47.2 44.0 54.9 77.5 74.6 84.0 86.9 61.9 43.6 60.3 42.7 41.9 60.0",
    "FAb-Net": "33.4 24.8 41.0 73.5 66.2 78.8 84.7 57.9 21.2 55.7 26.8 37.9 50.2",
    "TCAE": "33.5 32.2 43.8 73.7 67.7 80.1 81.5 57.4 26.5 54.5 23.2 31.8 50.5",
    "TC-Net, k = 1": "35.2 25.5 30.2 71.3 69.6 81.3 83.3 59.1 30.3 56.1 27.0 33.4 50.2",
    "TC-Net": "42.3 24.3 44.1 71.8 70.5 77.6 83.3 61.2 31.6 51.6 29.8 38.6 52.0",
    "RRL": "42.0 35.7 34.0 67.4 67.8 79.1 80.6 63.9 28.6 48.6 26.5 32.4 50.2",
})  # fmt: skip
"""BP4D."""

TABLE_3 = {
    "global": {"bp4d": 48.0},
    "global + local": {"bp4d": 48.9},
    "global + relation": {"bp4d": 49.5},
    "global + local + relation": {"bp4d": 50.2},
}
"""Components, on BP4D."""

TABLE_4 = {
    "VGG-16, no augmentation": {"bp4d": 48.8},
    "Swin-T, no augmentation": {"bp4d": 49.1},
    "Swin-T": {"bp4d": 50.2},
}
"""Backbone and augmentation, on BP4D."""
