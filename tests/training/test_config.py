"""Settings: precedence, types, sentences."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import yaml

from facekit.training import ConfigError, TrainingConfig, config_to_dict, parse_config, save_config


@dataclass
class Data:
    size: int = 100
    name: str = "world"


@dataclass
class Config(TrainingConfig):
    learning_rate: float = 1e-3
    milestones: tuple[int, ...] = (1, 2)
    mode: Literal["fast", "slow"] = "fast"
    limit: float | None = None
    data: Data = field(default_factory=Data)


def write(tmp_path: Path, content: str, name: str = "config.yml") -> str:
    path = tmp_path / name
    path.write_text(content)
    return str(path)


def test_defaults_then_file_then_command_line(tmp_path: Path) -> None:
    path = write(tmp_path, "learning_rate: 1e-4\nsteps: 7\namp: yes\ndata: {size: 5}\n")
    config = parse_config(
        Config, ["--config", path, "--steps", "9", "--data.name", "kdef", "--milestones", "3", "4", "5"]
    )
    assert (config.learning_rate, config.steps, config.seed, config.amp) == (1e-4, 9, 0, True)
    assert (config.data, config.milestones) == (Data(5, "kdef"), (3, 4, 5))
    assert parse_config(Config, ["--milestones", "3", "4", "--steps", "8", "--milestones", "5"]).milestones == (5,)


def test_spellings() -> None:
    config = parse_config(Config, ["--learning-rate=1e-2", "--amp", "--deterministic", "false", "--limit", "-2"])
    assert (config.learning_rate, config.amp, config.deterministic, config.limit) == (0.01, True, False, -2.0)
    assert parse_config(Config, ["--out_dir", "-run-", "--limit", "-1e-3"]).out_dir == "-run-"


def test_resolved_config_reads_back(tmp_path: Path) -> None:
    config = parse_config(Config, ["--limit", "0.5", "--mode", "slow", "--data.size", "3", "--ema", "0.99"])
    save_config(config, tmp_path / "config.yml")
    assert parse_config(Config, ["--config", str(tmp_path / "config.yml")]) == config
    (tmp_path / "config.json").write_text(json.dumps(config_to_dict(config)))
    assert parse_config(Config, [f"--config={tmp_path / 'config.json'}"]) == config
    assert yaml.safe_load((tmp_path / "config.yml").read_text())["milestones"] == [1, 2]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--lerning_rate", "1"], "unknown setting 'lerning_rate' on the command line; .* 'learning_rate'"),
        (["--data.sise", "1"], "unknown setting 'data.sise' .* 'data.size'"),
        (["--zzz", "1"], "unknown setting 'zzz' on the command line; the nearest known one is"),
        (["--steps", "many"], "steps is 'many' on the command line, expected int"),
        (["--steps", "1.5"], "steps is '1.5'"),
        (["--steps"], "steps is '' on the command line"),
        (["--mode", "middling"], "mode is 'middling' .* expected Literal"),
        (["--steps", "1", "2"], "steps is '1 2'"),
        (["fast"], "'fast' on the command line belongs to no setting"),
        (["--config"], "--config expects one path"),
        (["--config", "/nowhere.yml"], "cannot read the settings in /nowhere.yml: No such file"),
        (["--steps", "0"], "steps is 0, expected at least 1"),
        (["--ema", "1"], "ema is 1.0, expected 0"),
        (["--evaluate_every", "-1"], "evaluate_every is -1"),
    ],
)
def test_command_line_errors_are_sentences(argv: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(Config, argv)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("lerning_rate: 1", "a.yml", "unknown setting 'lerning_rate' in .*a.yml; .* 'learning_rate'"),
        ("data: {sise: 1}", "a.yml", "unknown setting 'data.sise'"),
        ("steps: many", "a.yml", "steps is 'many' in .*a.yml, expected int"),
        ("out_dir:", "a.yml", "out_dir is None in .*a.yml, expected str"),
        ("steps: [10]", "a.yml", r"steps is \[10\] in .*a.yml, expected int"),
        ("amp: []", "a.yml", r"amp is \[\] in .*a.yml, expected bool"),
        ("ema: 0.5\nsteps: many", "a.yml", "steps is 'many' in .*a.yml, expected int"),
        ("seed: true", "a.yml", "seed is True in .*a.yml, expected int"),
        ("- 1", "a.yml", "a.yml holds a list, expected settings"),
        ("steps: [", "a.yml", "a.yml is not valid YAML or JSON"),
        ("steps: 1", "a.json", "a.json is not valid YAML or JSON"),
        ("!!python/object/apply:os.getcwd []", "a.yml", "a.yml is not valid"),
    ],
)
def test_file_errors_name_the_file(tmp_path: Path, content: str, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(Config, ["--config", write(tmp_path, content, name)])


def test_help_lists_every_setting(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_config(Config, ["--help"])
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(word in printed for word in ("--learning-rate", "--data.size", "--accumulate", "Optimisation steps"))


def test_a_dict_is_refused() -> None:
    @dataclass
    class Loose:
        weights: dict[str, float] = field(default_factory=dict)

    with pytest.raises(TypeError, match=r"Loose\.weights is a dict"):
        parse_config(Loose, ["--weights", "a"])


def test_batches_must_be_shared_out_evenly() -> None:
    config = Config(batch_size=10, accumulate=2)
    config.check_world(5)
    with pytest.raises(ConfigError, match=r"batch_size is 10, expected a multiple of 8 .* such as 8"):
        config.check_world(4)
