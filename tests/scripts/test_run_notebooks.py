import base64
import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import nbformat
from PIL import Image, ImageChops

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "run_notebooks.py"


def write(path, *cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, path)
    return path


def test_outputs_are_saved_without_traces_of_the_machine(tmp_path):
    good = write(tmp_path / "good.ipynb", "import pathlib; print(pathlib.Path('good.ipynb').exists())", "6 * 7")
    bad = write(tmp_path / "bad.ipynb", "1 / 0")
    before = bad.read_bytes()
    done = subprocess.run([sys.executable, SCRIPT, good, bad], capture_output=True, text=True)
    assert done.returncode == 1 and "bad.ipynb" in done.stderr and "ZeroDivisionError" in done.stderr
    assert bad.read_bytes() == before and not list(tmp_path.glob("*.new"))
    notebook = json.loads(good.read_text())
    first, second = notebook["cells"]
    assert first["outputs"][0]["text"] == ["True\n"] and second["outputs"][0]["data"]["text/plain"] == ["42"]
    assert [cell["execution_count"] for cell in notebook["cells"]] == [1, 2]
    assert "execution" not in first["metadata"]
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def test_pictures_are_packed_well(tmp_path):
    path = write(tmp_path / "a.ipynb", "from PIL import Image; Image.radial_gradient('L')")
    subprocess.run([sys.executable, SCRIPT, path], check=True)
    encoded = json.loads(path.read_text())["cells"][0]["outputs"][0]["data"]["image/png"]
    drawn = Image.radial_gradient("L")
    assert not ImageChops.difference(Image.open(BytesIO(base64.b64decode(encoded))), drawn).getbbox()
    assert len(base64.b64decode(encoded)) < 0.9 * len(drawn._repr_png_())
