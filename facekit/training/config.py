"""Settings of a run: a dataclass of defaults, a file of differences, then the command line.

    python train.py --config small.yml --learning_rate 3e-4

A paper's script subclasses :class:`TrainingConfig` and adds its own fields. Every key is checked before anything
starts.
"""

import contextlib
import dataclasses
import difflib
import io
import json
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import tyro
import yaml

from facekit.training.checkpoint import write_atomically
from facekit.training.errors import ConfigError

Config = TypeVar("Config")


@dataclass
class TrainingConfig:
    """Settings that every run has. Sizes of batches are those of the whole run, over all processes."""

    out_dir: str = "runs/untitled"
    """Folder of the run: config.yml, metrics.jsonl, checkpoints/, weights.pt."""
    seed: int = 0
    """Initial weights, order of samples, noise and augmentation follow from it."""
    steps: int = 1000
    """Optimisation steps in all; a step runs every update of the loop once (or its `repeat` times)."""
    batch_size: int = 64
    """Samples per batch over all processes and accumulated passes."""
    accumulate: int = 1
    """Passes that a batch is cut into; gradients are added up before the optimiser moves. A loss that couples samples,
    and batch norm, see one pass at a time."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:<number>."""
    amp: bool = False
    """Forward passes in bfloat16 where that is safe (autocast); weights and optimisers stay in float32."""
    compile: bool = False
    """Compile the models (torch.compile), except those that are differentiated twice."""
    global_batch_norm: bool = True
    """Batch norm over the batch of all processes; False normalises each process's part by itself, which is faster."""
    deterministic: bool = True
    """Repeatable kernels, so that two runs agree bit by bit; False is faster on a GPU."""
    ema: float = 0.0
    """Decay of the moving average of the weights, e.g. 0.999; 0 keeps none."""
    workers: int = 0
    """Processes that load data beside this one; the batches do not depend on it."""
    log_every: int = 10
    """Steps between two lines of metrics.jsonl."""
    save_every: int = 500
    """Steps between two checkpoints."""
    evaluate_every: int = 0
    """Steps between two evaluations; 0 evaluates at the end alone."""
    keep: int = 3
    """Checkpoints to keep; older ones are removed."""
    restart: bool = False
    """Start from step 0 and drop what an earlier run left in out_dir; otherwise it is continued."""
    progress: bool = True
    """Show a progress bar (in the first process)."""

    free_to_change: ClassVar[frozenset[str]] = frozenset(
        "out_dir steps device workers log_every save_every evaluate_every keep restart progress compile".split()
    )
    """Settings that may differ between a checkpoint and the run that continues it."""

    def check(self) -> None:
        """Raise :class:`ConfigError` for values that cannot work; a subclass extends it."""
        for name in ("steps", "batch_size", "accumulate", "log_every", "save_every", "keep"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected at least 1")
        for name in ("seed", "workers", "evaluate_every"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected at least 0")
        if not 0.0 <= self.ema < 1.0:
            raise ConfigError(f"ema is {self.ema}, expected 0 (off) or a decay below 1 such as 0.999")

    def check_world(self, size: int) -> None:
        """Raise :class:`ConfigError` if a batch cannot be shared out evenly over ``size`` processes."""
        parts = size * self.accumulate
        if self.batch_size % parts:
            nearest = max(parts, self.batch_size // parts * parts)
            raise ConfigError(
                f"batch_size is {self.batch_size}, expected a multiple of {parts} "
                f"(processes {size} times accumulate {self.accumulate}), such as {nearest}"
            )


def parse_config(config_class: type[Config], argv: Sequence[str] | None = None) -> Config:
    """Defaults of ``config_class``, then ``--config FILE`` (YAML or JSON, differences alone), then ``--key value``.

    Keys of nested dataclasses are joined with a dot (``--data.size 100``); ``-`` and ``_`` are the same; a switch is
    written ``--amp True`` or ``--amp``. Fields are numbers, words, switches, tuples of them, None, and dataclasses of
    such fields. ``--help`` prints every setting with its default.

    Raises:
        ConfigError: unknown key, value of the wrong type, unreadable file.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if {"-h", "--help"} & set(argv):
        tyro.cli(config_class, args=["--help"], config=(tyro.conf.FlagConversionOff,))
    path, settings = _split_argv(config_class, argv)
    of_file = [] if path is None else [_of_file(config_class, path, *item) for item in _flat(_read_file(path))]
    given = [*of_file, *(_Setting(key, words, " ".join(words), "on the command line") for key, words in settings)]
    config = _parse(config_class, given)
    if config is None:
        raise _wrong(config_class, next(setting for setting in given if _parse(config_class, [setting]) is None))
    if hasattr(config, "check"):
        config.check()
    return config


def config_to_dict(config: Any) -> dict[str, Any]:
    """The settings as plain dictionaries, lists, numbers and words, ready for YAML, JSON or a checkpoint."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def save_config(config: Any, path: str | Path) -> None:
    """Write the resolved settings as YAML; ``--config`` reads the file back."""
    text = yaml.safe_dump(config_to_dict(config), sort_keys=False)
    write_atomically(path, lambda file: file.write(text.encode()))


def _split_argv(config_class: type, argv: list[str]) -> tuple[str | None, list[tuple[str, list[str]]]]:
    """The path after ``--config``, and (key, its value's words) for each other ``--key``."""
    settings: list[tuple[str, list[str]]] = []
    for word in argv:
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            settings.append((key.replace("-", "_"), [value] if equals else []))
        elif settings:
            settings[-1][1].append(word)
        else:
            raise ConfigError(f"{word!r} on the command line belongs to no setting, expected --key value")
    paths = [values for key, values in settings if key == "config"]
    if paths and len(paths[-1]) != 1:
        raise ConfigError("--config expects one path to a YAML or JSON file")
    settings = [(key, values) for key, values in settings if key != "config"]
    for key, _ in settings:
        _check_key(config_class, key, "on the command line")
    return (paths[-1][0] if paths else None), settings


def _read_file(path: str) -> Mapping[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"cannot read the settings in {path}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML or JSON: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} holds a {type(content).__name__}, expected settings as `key: value`")
    return content


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@dataclass(frozen=True)
class _Setting:
    """A setting as it was given: the words of its value, how a message shows them, and where they stood."""

    key: str
    words: list[str]
    shown: Any
    where: str


def _of_file(config_class: type, path: str, key: str, value: Any) -> _Setting:
    kind = _check_key(config_class, key, f"in {path}")
    words = [str(item) for item in value] if isinstance(value, list) else [str(value)]
    setting = _Setting(key, words, value, f"in {path}")
    empty = value is None and type(None) not in typing.get_args(kind)
    if empty or (isinstance(value, list) and isinstance(kind, type) and typing.get_origin(kind) is None):
        raise _wrong(config_class, setting)
    return setting


def _parse(config_class: type[Config], settings: Sequence[_Setting]) -> Config | None:
    """The defaults with these settings, of which a later one counts; None if one of them does not fit."""
    kinds, arguments = dict(_known(config_class)), []
    for setting in settings:
        words = setting.words
        if kinds[setting.key] is bool:
            words = [word.capitalize() for word in words] or ["True"]
        arguments += [f"--{setting.key}={words[0]}"] if len(words) == 1 else [f"--{setting.key}", *words]
    options = {"default": config_class(), "config": (tyro.conf.FlagConversionOff,)}
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return tyro.cli(config_class, args=arguments, **options)
    except SystemExit:
        return None


def _wrong(config_class: type, setting: _Setting) -> ConfigError:
    kind = _check_key(config_class, setting.key, setting.where)
    expected = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
    return ConfigError(f"{setting.key} is {setting.shown!r} {setting.where}, expected {expected}")


def _check_key(config_class: type, key: str, where: str) -> Any:
    known = dict(_known(config_class))
    if key in known:
        return known[key]
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    raise ConfigError(f"unknown setting {key!r} {where}; the nearest known one is {nearest[0]!r}")


def _known(config_class: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(key, type) of every setting, those of nested dataclasses with a dotted key."""
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        kind = hints[field.name]
        if dict in (kind, typing.get_origin(kind)):
            raise TypeError(f"{config_class.__name__}.{field.name} is a dict, expected a nested dataclass")
        if dataclasses.is_dataclass(kind):
            yield from _known(kind, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", kind
