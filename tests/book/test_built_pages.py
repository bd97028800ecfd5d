"""The built pages in a real browser, opened from their folder with the network cut."""

import importlib
import json
import re
import time
import urllib.parse
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from chromium import NAMES, Chromium, find_chromium

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
PAGES = sorted(HTML.glob("book/**/*.html"))
LAPTOP, PHONE = (1280, 800), (390, 844)

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(HTML)))

EQUATIONS = """(async () => {
  const written = document.querySelectorAll('.math').length;
  if (!written) return {written, drawn: 0, wrong: []};
  await MathJax.startup.promise;
  const drawn = [...document.querySelectorAll('.math')].filter((m) => m.querySelector('mjx-container svg')).length;
  const wrong = [...document.querySelectorAll('mjx-container [data-mml-node="merror"]')].map((m) => m.textContent);
  return {written, drawn, wrong};
})()"""

FIGURES = """(async () => {
  const until = async (done) => {
    for (let i = 0; i < 200 && !done(); i++) await new Promise((go) => setTimeout(go, 50));
    return done();
  };
  const failures = [], boxes = [...document.querySelectorAll('.plotly-graph-div')];
  document.querySelectorAll('details').forEach((fold) => (fold.open = true));
  for (const [number, box] of boxes.entries()) {
    box.scrollIntoView({block: 'center', behavior: 'instant'});
    const scenes = () => Object.keys(box._fullLayout || {}).filter((name) => /^scene\\d*$/.test(name));
    const drawn = () => box.querySelector('.main-svg') &&
      scenes().every((name) => box._fullLayout[name]._scene && box._fullLayout[name]._scene.glplot);
    if (!(await until(drawn))) failures.push('figure ' + (number + 1) + ' is not drawn');
    else if (box.querySelector('.no-webgl')) failures.push('figure ' + (number + 1) + ' has no WebGL');
    else if (!box.getAttribute('aria-label')) failures.push('figure ' + (number + 1) + ' has no description');
  }
  return {count: boxes.length, failures};
})()"""

SLIDERS = """(async () => {
  const boxes = [...document.querySelectorAll('.plotly-graph-div')]
    .filter((box) => box.nextElementSibling.text.includes('"sliders"'));
  const still = [];
  for (const [number, box] of boxes.entries()) {
    box.scrollIntoView({block: 'center', behavior: 'instant'});
    for (let i = 0; i < 100 && !box.querySelector('.slider-rail-touch-rect'); i++)
      await new Promise((go) => setTimeout(go, 50));
    await new Promise((go) => setTimeout(go, 300));
    const picture = () => JSON.stringify(box.data.map((t) => [t.x, t.y, t.z, t.intensity, t.vertexcolor]));
    const before = picture();
    const rail = box.querySelector('.slider-rail-touch-rect').getBoundingClientRect();
    const touch = box.querySelector('.slider-rail-touch-rect');
    for (const end of [rail.right - 2, rail.left + 2]) {  // one of them is where the slider is already
      const at = {bubbles: true, clientX: end, clientY: rail.top + rail.height / 2, view: window};
      touch.dispatchEvent(new MouseEvent('mousedown', at));
      window.dispatchEvent(new MouseEvent('mouseup', at));
      document.dispatchEvent(new MouseEvent('mouseup', at));
      for (let i = 0; i < 30 && picture() === before; i++) await new Promise((go) => setTimeout(go, 100));
    }
    if (before === picture()) still.push('slider ' + (number + 1) + ' changes nothing');
  }
  return still;
})()"""


PICTURES = """[...document.querySelectorAll('.bd-article img')].map((image) =>
  [image.getAttribute('src').split('/').pop(), (image.getAttribute('alt') || '').trim()])"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    executable = find_chromium()
    if executable is None:
        pytest.skip(f"no browser: install one of {', '.join(NAMES)} to test the built pages")
    with Chromium(executable, tmp_path_factory.mktemp("profile")) as browser:
        yield browser.page()


def test_book_is_built():
    if not HTML.is_dir():
        pytest.skip("the book is not built: run `make book` to test its pages")
    assert PAGES and (HTML / "index.html").is_file()
    assert sum(path.stat().st_size for path in HTML.rglob("*") if path.is_file()) < 80_000_000


@each_page
def test_page_on_a_laptop(page, path):
    page.resize(*LAPTOP)
    page.open(path.as_uri())
    figures = page.run(FIGURES)
    assert not figures["failures"]
    equations = page.run(EQUATIONS)
    assert equations["drawn"] == equations["written"] and not equations["wrong"]
    text = path.read_text(encoding="utf-8")
    if '"sliders"' in text:
        assert not page.run(SLIDERS)
    for kind in ("mesh3d", '"scene2"'):
        if kind in text:
            assert_turns(page, kind)
    nameless = [name for name, alt in page.run(PICTURES) if len(alt) < 20 or name in alt]
    assert not nameless, "pictures without an alternative text"
    assert not page.errors
    outside = [address for address in page.requests if not address.startswith(("file:", "data:", "blob:"))]
    assert not outside, "the page asks other hosts"
    assert path.stat().st_size < 5_000_000


@each_page
def test_page_on_a_phone(page, path):
    page.resize(*PHONE, phone=True)
    page.open(path.as_uri())
    for theme in ("light", "dark"):
        page.run(f"document.documentElement.dataset.theme = '{theme}'")
        page.run(FIGURES)
        assert page.run("document.documentElement.scrollWidth") <= PHONE[0] + 1
    assert not page.errors


class Links(HTMLParser):
    """Every link of a page, and every place in it that a link may lead to."""

    def __init__(self, text):
        super().__init__()
        self.leads_to, self.places = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            self.places.add(found["id"])
        if tag == "a" and found.get("href"):
            self.leads_to.append(found["href"])


@cache
def links(path):
    return Links(path.read_text(encoding="utf-8"))


def dead_links(path):
    """The links of the page at ``path`` to files or places that are not there, or to hosts that cannot be."""
    dead = []
    for link in links(path).leads_to:
        found = urllib.parse.urlsplit(link)
        if found.scheme in ("http", "https"):
            dead += [] if re.fullmatch(r"([\w-]+\.)+[a-z]{2,}", found.netloc) and " " not in link else [link]
        elif not found.scheme:
            target = (path.parent / urllib.parse.unquote(found.path)).resolve() if found.path else path
            if not target.exists():
                dead.append(link)
            elif found.fragment and target.suffix == ".html":
                dead += [] if urllib.parse.unquote(found.fragment) in links(target).places else [link]
    return dead


@each_page
def test_links_lead_somewhere(path):
    assert not dead_links(path)


def test_dead_links_are_found(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '<p id="here"><a href="#here"></a><a href="#there"></a><a href="no.html"></a><a href="https://x/"></a>'
    )
    assert dead_links(page) == ["#there", "no.html", "https://x/"]


@pytest.mark.parametrize("path", sorted(HTML.glob("book/api/*.html")), ids=lambda path: path.stem)
def test_package_pages_show_every_name(path):
    """What a room offers stands on the room's page, constants included; autodoc leaves out what has no words."""
    source = (ROOT / "book" / "api" / f"{path.stem}.md").read_text(encoding="utf-8")
    rooms = re.findall(r"automodule:: (\S+)\n   :members:\n", source)
    assert rooms
    offered = {f"{room}.{name}" for room in rooms for name in importlib.import_module(room).__all__}
    assert not offered - links(path).places


def assert_turns(page, kind):
    """The mouse turns the first figure of a kind, and all the meshes that stand in it turn together."""
    figure = (
        f"[...document.querySelectorAll('.plotly-graph-div')].find((b) => b.nextElementSibling.text.includes('{kind}'))"
    )
    page.run(f"{figure}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    eyes = f"""(() => {{
      const layout = {figure}._fullLayout || {{}};
      const scenes = Object.keys(layout).filter((name) => /^scene\\d*$/.test(name)).map((name) => layout[name]._scene);
      const drawn = scenes.length && scenes.every((scene) => scene && scene.glplot);
      return drawn ? JSON.stringify(scenes.map((scene) => scene.getCamera().eye)) : '';
    }})()"""
    before = wait_for(page, eyes)
    box = json.loads(page.run(f"JSON.stringify({figure}.getBoundingClientRect())"))
    start = (box["left"] + box["width"] / (2 * len(before)), box["top"] + 0.4 * box["height"])
    for _ in range(6):  # a busy machine may miss the first gestures
        page.drag(start, (start[0] + 60, start[1]))
        time.sleep(0.7)
        after = wait_for(page, eyes)
        if moved := max(abs(after[0][axis] - before[0][axis]) for axis in "xyz") > 0.05:
            break
    assert moved
    assert all(eye == pytest.approx(after[0], abs=1e-3) for eye in after)


def test_search_works_without_a_server(page):
    page.resize(*LAPTOP)
    page.open((HTML / "search.html").as_uri() + "?q=notation")
    assert wait_for(page, "JSON.stringify(document.querySelectorAll('#search-results li a').length)")
    assert not page.errors


def test_dark_pages_print_in_black_on_white(page):
    page.resize(*LAPTOP)
    page.open((HTML / "book" / "notation.html").as_uri())
    page.run("document.documentElement.dataset.theme = 'dark'")
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert page.run("document.documentElement.dataset.theme") == "light"
    page.run("window.dispatchEvent(new Event('afterprint'))")
    assert page.run("document.documentElement.dataset.theme") == "dark"


def test_every_axis_takes_the_colour_of_the_text(page):
    page.resize(*LAPTOP)
    page.open((HTML / "book" / "dmlnet" / "experiments.html").as_uri())
    page.run("document.documentElement.dataset.theme = 'dark'")
    assert not page.run(FIGURES)["failures"]
    texts = "[...document.querySelectorAll('.plotly-graph-div [class^=x][class$=tick] text')]"
    kinds = page.run(f"{texts}.map((text) => text.parentNode.getAttribute('class'))")
    colours = page.run(f"{texts}.map((text) => getComputedStyle(text).fill)")
    assert {"xtick", "x2tick"} <= set(kinds)
    assert set(colours) == {page.run("getComputedStyle(document.querySelector('.bd-article')).color")}


def test_tables_sort_by_a_click(page):
    page.resize(*LAPTOP)
    page.open((HTML / "book" / "scoreboard.html").as_uri())
    table = "document.querySelector('table.sortable')"
    column = f"[...{table}.tHead.rows[0].cells].findIndex((cell) => cell.textContent === 'measured')"
    shown = f"JSON.stringify([...{table}.tBodies[0].rows].map((row) => row.cells[{column}].textContent))"
    for direction in (1, -1):
        page.run(f"{table}.tHead.rows[0].cells[{column}].click()")
        numbers = [direction * float(text) for text in json.loads(page.run(shown)) if text]
        assert len(set(numbers)) > 3 and numbers == sorted(numbers)
    assert not page.errors


def test_tables_show_the_rows_asked_for(page):
    page.resize(*LAPTOP)
    page.open((HTML / "book" / "scoreboard.html").as_uri())
    page.run("document.querySelector('label.filter input').focus()")
    page.send("Input.insertText", text="mifar Linear")
    shown = page.run(
        "[...document.querySelectorAll('table.sortable')[0].tBodies[0].rows].filter((row) => !row.hidden)"
        ".map((row) => row.textContent.toLowerCase())"
    )
    assert shown and all("mifar" in row and "linear" in row for row in shown)
    assert page.run("document.querySelector('label.filter .count').textContent").startswith(f"{len(shown)} of ")
    assert not page.errors


def wait_for(page, script):
    """The value of a script that returns JSON, once it is true; the last one after ten seconds."""
    for _ in range(100):
        value = page.run(script)
        if value and json.loads(value):
            break
        time.sleep(0.1)
    return value and json.loads(value)
