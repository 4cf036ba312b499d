"""The data of a report: of one run, of several beside each other, or of a sweep."""

import datetime
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from gan_jax.errors import InputError
from gan_jax.lab.cli import Lab
from gan_jax.lab.measuring.measures import LOWER_IS_BETTER
from gan_jax.lab.report import charts, page, runs, sweeps
from gan_jax.lab.runs import directory
from gan_jax.lab.runs.directory import RunDir

_PICTURES = 3_600_000
"""Bytes of all pictures: as text they take a third more, and a report is to stay below 6 MB."""
_RUNS = 8
"""As many runs as there are colours that can be told apart."""


def of_paths(lab: Lab, paths: Sequence[Path]) -> dict[str, Any]:
    """The data of a report of these directories.

    Raises:
      InputError: one of them is neither a run nor a sweep, or is a sweep beside others, or there are too many runs.
    """
    if any((path / "sweep.json").exists() for path in paths):
        if len(paths) > 1:
            raise InputError("a sweep has a report of its own: give one sweep, or one or more runs")
        return of_sweep(lab, paths[0])
    if len(paths) > _RUNS:
        raise InputError(f"a report shows {_RUNS} runs at most, got {len(paths)}: give fewer")
    return of_runs(lab, [directory.load(path, lab.table) for path in paths])


def of_runs(
    lab: Lab, found: Sequence[RunDir], networks: Callable[[RunDir], Any] = runs.networks, *, live: bool = False
) -> dict[str, Any]:
    """The data of one run, or of several beside each other.

    Args:
      lab: how commands are typed.
      found: the runs.
      networks: `RunDir -> layers`, see `runs.networks`.
      live: whether the page is written again while its run trains on, and is to look for that.
    """
    data = [runs.of_run(lab, run, _PICTURES // len(found)) | {"networks": networks(run)} for run in found]
    keys = _of_interest(run["columns"] for run in data)
    return {
        "kind": "runs",
        "title": " and ".join(run["name"] for run in data[:3]) + (" and others" if len(data) > 3 else ""),
        "runs": data,
        "charts": charts.of_keys(keys, [run.job.gan().loss for run in found]),
        "differences": differences([run["options"] for run in data]),
        **_of_page(live),
    }


def of_sweep(lab: Lab, path: Path) -> dict[str, Any]:
    """The data of a sweep."""
    sweep = sweeps.load(lab, path)
    data = sweeps.of_sweep(lab, sweep, _PICTURES)
    keys = _of_interest(curve["columns"] for curve in data["curves"])
    best, losses = path / "best", []
    if (best / "config.json").exists():
        run = directory.load(best, lab.table)
        losses.append(run.job.gan().loss)
        data |= {"networks": runs.networks(run), "metrics": runs.of_run(lab, run, 0)["metrics"]}
    lower = data["metric"] in LOWER_IS_BETTER
    return {
        "kind": "sweep",
        "title": data["name"],
        "sweep": data | {"lower_is_better": lower},
        "charts": charts.of_keys(keys, losses),
        **_of_page(False),
    }


def differences(options: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """The options in which runs differ, with the value of each run, None where it has no such option."""
    names = dict.fromkeys(name for of_run in options for name in of_run)
    rows = [{"name": name, "values": [of_run.get(name) for of_run in options]} for name in names]
    return [row for row in rows if len({*row["values"]}) > 1]


def _of_interest(columns: Iterable[dict[str, list[float | None]]]) -> set[str]:
    """The names that are worth a curve: not of a penalty that there is not, nor of outputs that can't be saturated."""
    return {key for of_run in columns for key, values in of_run.items() if any(values)}


def _of_page(live: bool) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"written": runs.day(now), "reload": page.SECONDS if live else None}
