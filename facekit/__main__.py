"""The command line: ``list`` and ``run`` for the experiments of the five papers, ``data`` for copies of data sets.

python -m facekit list
python -m facekit run dmlnet/table2 --data world --scale small
python -m facekit run 'dmlnet/table8_*' 'dmlnet/figure15_*' --scale notebook
python -m facekit data check kdef=/data/KDEF
python -m facekit data prepare kdef=/data/KDEF --out /data/kdef_112
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from facekit.data.commands import add_commands, run_data
from facekit.data.manifest import ManifestError
from facekit.data.sources import DataError
from facekit.experiments import (
    SCALES,
    ExperimentError,
    chosen_experiments,
    load_experiments,
    result_path,
    result_table,
    run_experiment,
)
from facekit.morphable import FaceModelError
from facekit.training import TrainingError


def main(argv: list[str] | None = None) -> int:
    """Run the command line ``argv`` and return the exit status.

    2 for a request that does not fit, 130 after Ctrl-C; ``data`` commands return 1 if files are damaged or missing.
    """
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "list":
            _list()
        elif arguments.command == "data":
            return run_data(arguments)
        else:
            _run(arguments)
    except (ExperimentError, DataError, FaceModelError, ManifestError, TrainingError) as error:
        print(f"facekit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("facekit: interrupted; the same command at the same commit keeps what is measured", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    about = __doc__.replace("``", "")
    parser = argparse.ArgumentParser(
        prog="python -m facekit", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="print the id, the title and the columns of every experiment")
    run = commands.add_parser("run", help="measure experiments and write a JSON result of each")
    run.add_argument(
        "id", nargs="+", help="such as dmlnet/table2, or 'dmlnet/table*'; all of one command share trained models"
    )
    run.add_argument("--data", default="world", help="world (default), world:ict=PATH, or <data set>=<path>")
    scales = "smoke: seconds; notebook: minutes; small: hours on two cores (default); paper: its own sizes, for GPUs"
    run.add_argument("--scale", default="small", choices=SCALES, help=scales)
    run.add_argument("--seeds", type=int, default=3, help="number of runs, with seeds 0, 1, ...; default 3")
    run.add_argument("--out", type=Path, help="JSON file, for one id; default among the paper's results")
    run.add_argument(
        "--restart", action="store_true", help="measure all seeds anew; default: continue a broken-off run"
    )
    add_commands(commands)
    return parser


def _list() -> None:
    for found in load_experiments().values():
        print(f"{found.id:28} {found.title} [{', '.join(found.columns)}]")


def _run(arguments: argparse.Namespace) -> None:
    ids = chosen_experiments(arguments.id)
    if arguments.out and len(ids) > 1:
        raise ExperimentError(f"--out names one file, but {len(ids)} experiments are asked for: {', '.join(ids)}")
    for id in ids:
        out = arguments.out or result_path(id, arguments.data, arguments.scale)
        seeds = range(arguments.seeds)
        result = run_experiment(id, arguments.data, arguments.scale, seeds, out, arguments.id, arguments.restart)
        print(result_table(result).to_string())
        print(f"written to {out}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
