"""VRML word by word, as one would write it first: the oracle of the tests and the peer of the benchmark."""

import re

import numpy as np

_WORD = re.compile(r'"[^"\r\n]*"|[\[\]{}]|[^\s,\[\]{}"]+')


def naive_vrml(content: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Vertices (V, 3), triangles (F, 3), texture coordinates (T, 2) and their triangles of the first shape.

    Raises ValueError or IndexError for what it does not understand.
    """
    words = []
    for line in re.split(r"[\r\n]", content.decode("latin-1")):
        words += _WORD.findall(re.sub(r'("[^"]*")|#.*', lambda match: match.group(1) or "", line))
    lists, nodes = {}, []
    k = 0
    while k < len(words):
        if words[k] == "{":
            nodes.append(words[k - 1])
        elif words[k] == "}" and nodes:
            nodes.pop()
        elif words[k] == "[" and words[k - 1] in ("point", "coordIndex", "texCoordIndex"):
            end = words.index("]", k)
            key = words[k - 1] if words[k - 1] != "point" else f"{nodes[-1]} point"
            if key in lists:
                raise ValueError("a second shape")
            lists[key] = words[k + 1 : end]
            k = end
        k += 1
    vertices = np.array([float(word) for word in lists["Coordinate point"]]).reshape(-1, 3)
    uv = uv_faces = None
    turn = -1 if any(words[k : k + 2] == ["ccw", "FALSE"] for k in range(len(words))) else 1
    faces = np.array(_fans([int(word) for word in lists["coordIndex"]]))[:, ::turn]
    if "TextureCoordinate point" in lists:
        uv = np.array([float(word) for word in lists["TextureCoordinate point"]]).reshape(-1, 2)
        uv_faces = _fans([int(word) for word in lists.get("texCoordIndex", lists["coordIndex"])])
        uv_faces = np.array(uv_faces)[:, ::turn]
    return vertices, faces, uv, uv_faces


def _fans(indices: list[int]) -> list[list[int]]:
    triangles, polygon = [], []
    for index in [*indices, -1]:
        if index == -1:
            triangles += [[polygon[0], polygon[k], polygon[k + 1]] for k in range(1, len(polygon) - 1)]
            polygon = []
        else:
            polygon.append(index)
    return triangles
