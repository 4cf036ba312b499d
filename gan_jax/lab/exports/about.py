"""How a generator was made, read from the directory of its run."""

import json
from collections.abc import Mapping
from typing import Any

from gan_jax.lab.cli import Lab
from gan_jax.lab.measuring.measures import MEASURES
from gan_jax.lab.report import runs as reports
from gan_jax.lab.runs import journal, tracking
from gan_jax.lab.runs.directory import RunDir

_TRACKED = {number: measure for measure in MEASURES.values() for number in measure.numbers}

KEYS = (
    "summary", "citation", "command", "step", "steps", "images_seen", "seconds_training", "machine", "averaged",
    "metrics", "rounded", "versions", "commit",
)  # fmt: skip
"""What `of_run` says, which an export of an export keeps."""


def of_run(lab: Lab, run: RunDir, step: int, *, averaged: bool) -> dict[str, Any]:
    """What an export says of a run at a step, as JSON.

    Args:
      lab: how commands are typed.
      run: the run.
      step: of the checkpoint that is handed on.
      averaged: whether its generator is an average over steps.

    Keys:
      summary, citation: of its experiment.
      command: that would train it again.
      step, steps: of the checkpoint, and of the run.
      seconds_training, images_seen, machine: how long it took, over all sessions, and where.
      averaged: whether the generator is an average over steps.
      metrics: what `evaluate` wrote, or --track logged last: step, n, features, rows; None where there is neither.
      rounded: of weights that were rounded to float16 what that changes, `samples`, `largest` (grey levels) and
        `share` (of pixels); else None.
      versions, commit: of what trained it.

    Raises:
      InputError: the journal or the evaluation are not what a run has.
    """
    found, config = journal.read(run.path), run.job.config
    made = json.loads((run.path / "config.json").read_text(encoding="utf-8"))
    sessions = found["sessions"]
    started = [] if run.start is None else ["--from", run.start.path]
    return {
        "summary": config.experiment.summary,
        "citation": config.experiment.citation,
        "command": lab.command("run", config.name, *config.typed, *started),
        "step": step,
        "steps": int(found.get("steps", config.options["steps"])),
        "images_seen": journal.images_seen(run.job, step),
        "seconds_training": float(found["seconds_training"]),
        "machine": reports.machine_of(sessions[-1]) if sessions else "",
        "averaged": averaged,
        "metrics": reports.metrics_of(run.path) or _tracked(found),
        "rounded": None,
        "versions": made.get("versions") or {},
        "commit": made.get("commit"),
    }


def _tracked(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """What --track logged last, without floors and ceilings."""
    logged = {name: value for name, value in found["metrics"].items() if name in _TRACKED}
    if not logged:
        return None
    rows = [
        {
            "name": name,
            "what": _TRACKED[name].what,
            "better": _TRACKED[name].numbers[name],
            "value": value,
            "spread": None,
            "spread_of": "",
            "floor": None,
            "ceiling": None,
        }
        for name, value in logged.items()
    ]
    return {"step": int(found["step"]), "n": tracking.SAMPLES, "features": found.get("features"), "rows": rows}
