"""``python -m facekit data check`` and ``data prepare``: copies of data sets, seen from a terminal."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from facekit.data.choice import parse_data
from facekit.data.manifest import au_columns, missing_labels
from facekit.data.sources import DataError, DataSource

COUNTED = (
    "expression", "intensity", "yaw", "split", "fold", "session", "camera", "condition", "task", "occluder", "viseme",
)  # fmt: skip
"""Labels whose values `check` counts."""
_OPTION: dict[str, Any] = {
    "action": "append",
    "default": [],
    "metavar": "KEY=VALUE",
    "help": "of the reader, such as camera=right; may be repeated",
}
MOST_VALUES = 16  # values of a label that are printed
MOST_EXAMPLES = 3  # findings of one kind that are printed


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds ``data`` with its own two commands."""
    data = commands.add_parser("data", help="check or prepare a copy of a data set, or data of your own")
    verbs = data.add_subparsers(dest="verb", required=True)
    check = verbs.add_parser("check", help="say what a copy holds, lacks and why files are left out")
    check.add_argument("copies", nargs="+", metavar="NAME=PATH", help="such as kdef=/data/KDEF, own=/me/manifest.csv")
    check.add_argument("--verify", choices=("none", "ends", "pixels"), help="how closely pictures are looked at")
    check.add_argument("--option", **_OPTION)
    check.add_argument("--findings", type=Path, metavar="FILE.csv", help="write every file that was left out, and why")
    prepare = verbs.add_parser("prepare", help="decode, cut out and label everything once, into a folder")
    prepare.add_argument("copy", metavar="NAME=PATH", help="such as kdef=/data/KDEF")
    prepare.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where; may be half done already")
    prepare.add_argument("--image_size", "--image-size", type=int, default=112, help="pixels; default 112")
    prepare.add_argument("--subjects", type=int, help="only the first so many people")
    prepare.add_argument("--outputs", metavar="A,B", help="entries of a sample that are kept; all by default")
    prepare.add_argument("--option", **_OPTION)
    prepare.add_argument("--verify", choices=("none", "ends", "pixels"), help="how closely pictures are looked at")


def run_data(arguments: argparse.Namespace) -> int:
    """Runs ``data check`` or ``data prepare`` and returns the exit status.

    0: all is well; 1: files are damaged or missing; 130: interrupted.

    Raises:
        DataError: for a request that does not fit.
    """
    try:
        return _prepare(arguments) if arguments.verb == "prepare" else _check(arguments)
    except KeyboardInterrupt:
        print("facekit: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _open(text: str, reader_options: Sequence[str], **options: Any) -> tuple[str, DataSource]:
    """Name and source of `NAME=PATH`, opened with the options that are not None."""
    choice = parse_data(text)
    if len(choice.folders) != 1 or choice.models:
        raise DataError(f"{text}: expected one NAME=PATH")
    name = next(iter(choice.folders))
    given = {key: value for key, value in options.items() if value is not None} | _reader_options(reader_options)
    try:
        return name, choice.open(name, **given)
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is not None:
            raise DataError(f"the reader of {name} has no option {unknown.group(1)!r}") from None
        if not reader_options:
            raise
        raise DataError(f"the reader of {name} cannot use --option {' '.join(reader_options)} ({error})") from error


def _reader_options(texts: Sequence[str]) -> dict[str, Any]:
    """Options from `KEY=VALUE`; values that are Python literals (numbers, tuples) are read as such."""
    options = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key.isidentifier():
            raise DataError(f"--option {text}: expected KEY=VALUE")
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            options[key] = value
    return options


def _check(arguments: argparse.Namespace) -> int:
    status = 0
    findings = []
    if arguments.findings is not None and not arguments.findings.parent.is_dir():
        raise DataError(f"--findings {arguments.findings}: there is no folder {arguments.findings.parent}")
    for text in arguments.copies:
        name, source = _open(text, arguments.option, verify=arguments.verify)
        print("\n".join(report(name, source)))
        inventory = getattr(source, "inventory", None)
        if inventory is not None:
            status |= int(inventory.count("corrupt") + inventory.count("missing") > 0)
            findings.append(inventory.table().assign(data=name))
    if arguments.findings is not None and findings:
        try:
            pd.concat(findings).to_csv(arguments.findings, index=False)
        except OSError as error:
            raise DataError(f"{arguments.findings}: cannot be written ({error.strerror or error})") from error
        print(f"every finding is in {arguments.findings}")
    return status


def _prepare(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from facekit.data.preparing import prepare

    outputs = None if arguments.outputs is None else tuple(arguments.outputs.split(","))
    name, source = _open(
        arguments.copy, arguments.option, image_size=arguments.image_size, subjects=arguments.subjects,
        verify=arguments.verify, outputs=outputs,
    )  # fmt: skip
    about = {"name": name, "image_size": arguments.image_size}
    bars: list[tqdm] = []

    def show(done: int, total: int) -> None:
        if not bars:  # not before the folder was found to be usable
            bars.append(tqdm(total=total, unit="sample", desc=f"preparing {name}"))
        bars[0].update(done - bars[0].n)

    try:
        damaged = prepare(source, arguments.out, about, progress=show)
        show(len(source), len(source))
    except OSError as error:
        raise DataError(f"{arguments.out}: cannot be written ({error.strerror or error})") from error
    finally:
        for bar in bars:
            bar.close()
    print(f"{len(source) - len(damaged):,} samples of {name} are in {arguments.out}")
    print(f"use them as --data {shlex.quote(f'{name}={arguments.out}')}")
    for reason in list(dict.fromkeys(damaged.values()))[:MOST_EXAMPLES]:
        print(f"left out: {reason}")
    if damaged:
        print(f"{len(damaged):,} damaged samples are listed in {arguments.out / 'damaged.json'}")
    return int(bool(damaged))


def report(name: str, source: DataSource) -> Iterator[str]:
    """What a source holds, line by line: people, samples of each label, and what was left out."""
    from facekit.data.readers import PUBLISHED, PUBLISHED_LABELS, compare_counts

    yield f"{name}: {getattr(source, 'root', getattr(source, 'folder', ''))}"
    if name in PUBLISHED:
        for what, found, published in compare_counts(name, source.table).itertuples(index=False):
            yield _line(what, f"{found:,}" + ("" if pd.isna(published) else f"   published: {published:,}"))
    else:
        yield _line("subjects", f"{len(set(source.table['subject']) - {''}):,}")
    yield _line("samples", f"{len(source):,}")
    published = PUBLISHED_LABELS.get(name, {})
    for label in (*COUNTED, *(label for label in published if label == "group")):
        if label in source.table and not missing_labels(source.table, label).all():
            yield _line(label, _values(source.table, label, published.get(label, {})))
    for column in au_columns(source.table).values():
        if source.table[column].notna().any():
            is_level = source.table[column].max() > 1  # what is published is occurrence
            yield _line(column, _values(source.table, column, {} if is_level else published.get(column, {})))
    inventory = getattr(source, "inventory", None)
    if inventory is not None:
        yield from _left_out(inventory)


def _line(what: str, text: str) -> str:
    return f"  {what:<28}{text}"


def _values(table: pd.DataFrame, label: str, published: Mapping[object, int]) -> str:
    """Every value with its count, and that of a complete copy where it is published; many different numbers as a range.

    Views of one scan count once where the number of scans is published.
    """
    if published and "path" in table:
        table = table.drop_duplicates([label, "path", *(["frame"] if "frame" in table else [])])
    known = table[label][~missing_labels(table, label)]
    counts = known.value_counts()
    counts = counts[counts > 0]
    absent = {value: 0 for value in published if value not in counts.index}
    blank = f", {len(table) - len(known):,} without" if len(known) < len(table) else ""
    if len(counts) > MOST_VALUES and pd.api.types.is_numeric_dtype(known):
        return f"{known.min():g} to {known.max():g}{blank}"
    shown = sorted([*counts.items(), *absent.items()], key=lambda pair: pair[0])[:MOST_VALUES]
    more = f", and {len(counts) - MOST_VALUES} more" if len(counts) > MOST_VALUES else ""
    texts = (
        (f"{value:g}" if isinstance(value, float) else f"{value}")
        + f": {count:,}"
        + (f" of {published[value]:,}" if value in published else "")
        for value, count in shown
    )
    return ", ".join(texts) + more + blank


def _left_out(inventory: Any) -> Iterator[str]:
    """Of each kind of finding: how many, and for each reason how many and an example."""
    for kind in ("missing", "corrupt", "skipped", "ignored"):
        total = inventory.count(kind)
        if not total:
            continue
        yield _line(kind, f"{total:,}")
        reasons = Counter({reason: number for (found, reason), number in inventory.counts.items() if found == kind})
        examples = {finding.reason: finding.path for finding in reversed(list(inventory.of(kind)))}
        for reason, number in reasons.most_common(MOST_EXAMPLES):
            yield _line("", f"{number:,} x {reason}, such as {examples.get(reason, '')}")
        if len(reasons) > MOST_EXAMPLES:
            yield _line("", f"and {len(reasons) - MOST_EXAMPLES:,} other reasons; --findings FILE.csv lists all")
