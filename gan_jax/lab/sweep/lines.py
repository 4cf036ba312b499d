"""What a sweep has measured, line by line: metrics.jsonl of training, scores.jsonl of its members at each rung.

Both only grow, and a line is written when its number is known: whatever ends the process, nothing measured is lost.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from gan_jax.errors import InputError
from gan_jax.lab.runs import logs

METRICS, SCORES = "metrics.jsonl", "scores.jsonl"

# (member, step) -> its score, None where that is not finite.
Scores = dict[tuple[int, int], float | None]


def read_metrics(path: Path, members: int) -> list[dict[int, dict[str, float]]]:
    """Each member's metrics by step; later lines override earlier ones, and one cut short is left out.

    Raises:
      InputError: a line is of no member.
    """
    found: list[dict[int, dict[str, float]]] = [{} for _ in range(members)]
    for record in records(path / METRICS):
        try:
            found[record.pop("member")][record.pop("step")] = record
        except (IndexError, KeyError, TypeError) as error:
            raise InputError(
                f"{path / METRICS} has lines of members that the sweep has not: put the sweep's own back, or start a "
                "new sweep"
            ) from error
    return found


def write_metrics(log: TextIO, member: int, step: int, window: logs.Window) -> None:
    """A line of what a member's steps came to, unless it took none."""
    if window.steps:
        log.write(json.dumps({"member": member, "step": step, **logs.averages(window)}) + "\n")


def read_scores(path: Path, kind: Mapping[str, Any]) -> Scores:
    """The scores of this kind (its metric, its number of samples) that are known already."""
    return {
        (record["member"], record["step"]): record["score"]
        for record in records(path / SCORES)
        if kind == {key: value for key, value in record.items() if key not in ("member", "step", "score")}
    }


def write_score(log: TextIO, member: int, step: int, kind: Mapping[str, Any], score: float | None) -> None:
    """A line of a member's score."""
    log.write(json.dumps({"member": member, "step": step, **kind, "score": score}) + "\n")
    log.flush()


def records(file: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a file, one that was cut short left out; of a file that there is not, none."""
    if not file.exists():
        return
    for line in file.read_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # The process was killed while it wrote this line.
            continue
