"""What a report says of a sweep, read from its directory: members with scores and pictures, and their curves."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_jax.errors import InputError
from gan_jax.lab import files
from gan_jax.lab.cli import Lab
from gan_jax.lab.progress import counted
from gan_jax.lab.report import frames
from gan_jax.lab.report.runs import curves
from gan_jax.lab.runs import directory
from gan_jax.lab.sweep import lines, store
from gan_jax.lab.sweep.plan import Member
from gan_jax.lab.sweep.store import Store

_CURVES = 64
"""Members whose curves are drawn at most."""


def load(lab: Lab, path: Path) -> Store:
    """The sweep in a directory. Raises InputError if there is none of an experiment in the table."""
    try:
        name = json.loads((path / "sweep.json").read_text(encoding="utf-8"))["experiment"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path / 'sweep.json'} is not the record of a sweep ({error!r}): choose another") from error
    return store.load(path, str(name), lab)


def of_sweep(lab: Lab, sweep: Store, budget: int) -> dict[str, Any]:
    """The part of a report's data that is of a sweep; its pictures take at most `budget` bytes.

    Raises:
      InputError: a file in its directory is not what the sweep wrote.
    """
    plan, path = sweep.plan, sweep.path
    kind = _kind(path)
    scored = lines.read_scores(path, kind)
    metrics = lines.read_metrics(path, len(plan.members))
    status = _statuses(path)
    pictures = {int(file.stem): file for file in (path / "samples").glob("*.png") if file.stem.isdecimal()}
    shown = set(frames.chosen([pictures[number] for number in sorted(pictures)], budget))
    members = []
    for member in plan.members:
        last = max((step for number, step in scored if number == member.number), default=None)
        picture = pictures.get(member.number)
        members.append(
            {
                "number": member.number,
                "setting": member.setting,
                "label": plan.label(member) or plan.base.name,
                "seed": member.seed,
                "values": _values(sweep, member),
                "score": None if last is None else scored[member.number, last],
                "step": last if last is not None else max(metrics[member.number], default=0),
                "status": status.get(member.number, "training" if files.is_locked(path) else "not finished"),
                **(frames.inline(picture) if picture in shown and picture is not None else {}),
            }
        )
    drawn = frames.thinned(plan.members, _CURVES)
    return {
        "name": str(path),
        "recipe": plan.base.name,
        "summary": plan.base.experiment.summary,
        "citation": plan.base.experiment.citation,
        "status": "finished" if store.finished(sweep) else "training" if files.is_locked(path) else "not finished",
        "facts": _facts(sweep),
        "commands": _commands(lab, sweep),
        "metric": kind.get("metric", sweep.metric),
        "swept": [{"name": name, "log": name in plan.logarithmic} for name in plan.swept],
        "members": members,
        "curves": [
            {"number": member.number, "steps_logged": steps, "columns": columns}
            for member in drawn
            for steps, columns in [curves(dict(sorted(metrics[member.number].items())))]
        ],
        "options": {name: plan.base.spelled(name) for name in plan.base.options if name not in plan.swept},
    }


def _kind(path: Path) -> dict[str, Any]:
    """What the newest score is of; scores of other kinds can't be compared with it."""
    kind: dict[str, Any] = {}
    for record in lines.records(path / lines.SCORES):
        kind = {key: value for key, value in record.items() if key not in ("member", "step", "score")}
    return kind


def _values(sweep: Store, member: Member) -> dict[str, Any]:
    """The swept options: numbers as they are, what else there is as text."""
    return {name: value if type(value) in (int, float) else str(value) for name, value in member.values.items()}


def _statuses(path: Path) -> dict[int, str]:
    """What became of each member, as far as members.csv says."""
    file = path / "members.csv"
    if not file.exists():
        return {}
    try:
        with open(file, encoding="utf-8", newline="") as text:
            return {int(row["member"]): row["status"] for row in csv.DictReader(text)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not what the sweep wrote ({error!r}): put the sweep's own back") from error


def _facts(sweep: Store) -> list[list[str]]:
    plan = sweep.plan
    summary: Mapping[str, Any] = {}
    if store.finished(sweep):
        summary = json.loads((sweep.path / "summary.json").read_text(encoding="utf-8"))
    seeds = len(plan.members) // plan.settings
    facts = [
        (
            "members",
            f"{len(plan.members)}: {counted(plan.settings, 'setting')}" + (f" x {seeds} seeds" if seeds > 1 else ""),
        ),
        ("steps", f"{plan.rungs[-1]:,} each"),
        ("scored after", ", ".join(f"{rung:,}" for rung in plan.rungs) + " steps" if len(plan.rungs) > 1 else ""),
        ("broken", f"{summary['broken']} stopped being finite" if summary.get("broken") else ""),
        ("data", plan.base.spelled("data")),
        ("devices", str(summary["devices"]) if summary.get("devices", 1) > 1 else ""),
    ]
    return [[name, text] for name, text in facts if text]


def _commands(lab: Lab, sweep: Store) -> list[list[str]]:
    if not store.finished(sweep):
        return [["go on", lab.command("sweep", sweep.plan.base.name, "--resume", sweep.path)]]
    best = sweep.path / "best"
    if not best.exists():  # No member has a score.
        return []
    longer = directory.load(best, lab.table).job.config.replace(steps=2 * sweep.plan.rungs[-1])
    return [
        ["draw samples of the best", lab.command("sample", best, "--out", "samples.png")],
        ["train the best longer", lab.command("run", longer.name, *longer.typed)],
        ["measure the best", lab.command("evaluate", best)],
    ]
