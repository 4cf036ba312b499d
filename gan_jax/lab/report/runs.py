"""What a report says of a run, read from its directory: facts, curves, pictures, networks, metrics, verdict."""

import datetime
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gan_jax.errors import InputError
from gan_jax.lab import costs
from gan_jax.lab.cli import Lab
from gan_jax.lab.measuring.measures import MEASURES
from gan_jax.lab.progress import counted
from gan_jax.lab.report import frames, verdict
from gan_jax.lab.runs import journal, logs
from gan_jax.lab.runs.directory import RunDir

_STATUS = {
    "training": "training",
    "finished": "finished",
    "stopped": "stopped and saved",
    "diverged": "diverged, and stopped at its last finite state",
    "interrupted": "interrupted: killed, or cut off",
}
_LINES = 1000
"""Lines of a run's metrics that are drawn at most."""
_BETTER = {number: better for measure in MEASURES.values() for number, better in measure.numbers.items()}
_WHAT = {number: measure.what for measure in MEASURES.values() for number in measure.numbers}


def of_run(lab: Lab, run: RunDir, budget: int) -> dict[str, Any]:
    """The part of a report's data that is of one run; its pictures take at most `budget` bytes.

    Raises:
      InputError: its journal or its metrics are not what a run writes.
    """
    found = journal.read(run.path)
    rows = rows_of(run.path)
    grids = frames.of_run(run.path)
    steps_logged, columns = curves(rows)
    files = {file: step for step, file in grids.items()}
    shown = frames.chosen(list(files), budget)
    if found["status"] == "training" and rows:  # The journal waits for the next checkpoint.
        last = max(rows)
        found |= {"step": max(found["step"], last)}
        found |= {"images_seen": rows[last].get("images_seen", found["images_seen"])}
        found |= {"seconds_training": rows[last].get("seconds", found["seconds_training"])}
    step, steps = int(found["step"]), int(found["steps"])
    said = verdict.of(
        rows, status=found["status"], step=step, steps=steps, loss=run.job.gan().loss, unaugmented=run.job.unaugmented
    )
    return {
        "name": str(run.path),
        "recipe": run.job.config.name,
        "summary": run.job.config.experiment.summary,
        "citation": run.job.config.experiment.citation,
        "status": found["status"],
        "status_text": _STATUS.get(found["status"], found["status"]),
        "step": step,
        "steps": steps,
        "verdict": {"kind": said.kind, "title": said.title, "text": said.text},
        "facts": _facts(run, found, rows),
        "commands": _commands(lab, run, found),
        "options": {name: run.job.config.spelled(name) for name in run.job.config.options},
        "steps_logged": steps_logged,
        "columns": columns,
        "frames": [{"step": files[file], **frames.inline(file)} for file in shown],
        "pixelated": len(run.job.shape) == 3,
        "frames_of": len(grids),
        "metrics": metrics_of(run.path),
    }


def networks(run: RunDir) -> list[dict[str, Any]]:
    """The layers of both nets. Nothing is computed, but it takes a second: a page that is rewritten keeps them."""
    nets = costs.networks(run.job.gan(), run.job)
    return [
        {
            "name": name,
            "parameters": costs.parameters(layers),
            "layers": [[layer.name, costs.shown_shape(layer.shape), layer.parameters] for layer in layers],
        }
        for name, layers in nets.items()
    ]


def rows_of(path: Path) -> dict[int, dict[str, float]]:
    """The lines of a run's metrics by step; none of a run that has logged nothing yet.

    Raises:
      InputError: they are not what a run writes.
    """
    file = path / "metrics.jsonl"
    try:
        return logs.read(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is not what a run writes ({error!r}): put the run's own back") from error


def curves(rows: Mapping[int, Mapping[str, float]]) -> tuple[list[int], dict[str, list[float | None]]]:
    """The steps of the lines, and what they say as columns by name, None where a line lacks it.

    Of more lines than a chart has room for, each is the mean of some, and has the last one's step.
    """
    steps, size = list(rows), math.ceil(len(rows) / _LINES)
    groups = [[rows[step] for step in steps[k : k + size]] for k in range(0, len(steps), max(1, size))]
    names = dict.fromkeys(name for row in rows.values() for name in row)
    found = {name: [_mean(row[name] for row in group if name in row) for group in groups] for name in names}
    return [steps[min(k + size, len(steps)) - 1] for k in range(0, len(steps), max(1, size))], found


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def _facts(run: RunDir, found: Mapping[str, Any], rows: Mapping[int, Mapping[str, float]]) -> list[list[str]]:
    record = json.loads((run.path / "config.json").read_text(encoding="utf-8"))
    step, seconds = int(found["step"]), float(found["seconds_training"])
    sessions, data = found["sessions"], found.get("data", {})
    session = sessions[-1] if sessions else {}
    speed = next((row["steps_per_s"] for row in reversed([*rows.values()]) if "steps_per_s" in row), None)
    several = f" in {len(sessions)} sessions" if len(sessions) > 1 else ""
    commit = record.get("commit")
    changed = ", with changes that were not committed" if commit and commit.endswith("+") else ""
    versions = record.get("versions") or {}
    facts = [
        ("steps", f"{step:,} of {int(found['steps']):,}"),
        ("images seen", f"{int(found['images_seen']):,}"),
        ("training took", f"{duration(seconds)}{several}" if seconds else ""),
        ("speed", f"{speed:.3g} steps/s" if speed else ""),
        ("data", f"{data['name']}, {counted(data['count'], 'example')}" if data else ""),
        ("started from", "" if run.start is None else f"{run.start.path} at step {run.start.step:,}"),
        ("started", day(sessions[0]["started"]) if sessions else ""),
        ("machine", machine_of(session)),
        ("seed", run.job.config.spelled("seed")),
        ("versions", ", ".join(f"{name} {versions[name]}" for name in versions)),
        ("code", f"git commit {commit.rstrip('+')[:10]}{changed}" if commit else ""),
    ]
    return [[name, text] for name, text in facts if text]


def machine_of(session: Mapping[str, Any]) -> str:
    """The devices and the machine of a session of a run's journal."""
    return ", ".join(filter(None, [_device(session.get("device", {})), _machine(session.get("machine", {}))]))


def _device(device: Mapping[str, Any]) -> str:
    used, model = device.get("used", 1), device.get("model", "")
    return f"{used} x {model}" if used > 1 else str(model)


def _machine(machine: Mapping[str, Any]) -> str:
    if not machine:
        return ""
    cores = counted(machine["cores"], "core")
    return f"{machine['processor']} ({cores}, {machine['memory_gb']:.0f} GB), {machine['system']}"


def duration(seconds: float) -> str:
    """A time in words: its two largest parts."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if hours else f"{minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def day(text: str) -> str:
    """An ISO time as people write it."""
    return datetime.datetime.fromisoformat(text).strftime("%d %B %Y, %H:%M UTC").lstrip("0")


def _commands(lab: Lab, run: RunDir, found: Mapping[str, Any]) -> list[list[str]]:
    name, step, steps = run.job.config.name, int(found["step"]), int(found["steps"])
    if step < steps:
        more = ["go on", lab.command("run", name, "--resume", run.path)]
    else:
        # A finished run would go on at the end of its schedules, where most learning rates are 0.
        more = ["train longer", lab.command("run", name, *run.job.config.replace(steps=2 * steps).typed)]
    return [
        more,
        ["draw samples", lab.command("sample", run.path, "--out", "samples.png")],
        ["measure", lab.command("evaluate", run.path)],
    ]


def metrics_of(path: Path) -> dict[str, Any] | None:
    """What `evaluate` has written of the run; None where it has not."""
    file = path / "evaluation.json"
    if not file.exists():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        rows = [
            {
                "name": name,
                "what": _WHAT.get(name, ""),
                "better": _BETTER.get(name, "higher"),
                **{key: entry[key] for key in ("value", "spread", "spread_of", "floor", "ceiling")},
            }
            for name, entry in record["metrics"].items()
        ]
        features = (record.get("features") or {}).get("name")
        return {"step": int(record["step"]), "n": int(record["n"]), "features": features, "rows": rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is not what evaluate writes ({error!r}): move it away, or measure again") from error
