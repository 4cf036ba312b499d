"""What a sweep shows: tables of members and settings, and samples of every member."""

import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_jax import images
from gan_jax.lab.files import write_text
from gan_jax.lab.sweep.axes import LEFT_OUT
from gan_jax.lab.sweep.cohorts import Outcome
from gan_jax.lab.sweep.plan import Member, Plan

_ROWS = 64
# A row of samples is at least as high as its two lines of text.
_ROW_HEIGHT, _TILES = 30, 6


def mean_and_spread(scores: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Of the scores that there are: their mean, and their standard deviation, None of fewer than two."""
    found = [score for score in scores if score is not None]
    return (float(np.mean(found)) if found else None), (float(np.std(found, ddof=1)) if len(found) > 1 else None)


def write_tables(
    path: Path,
    plan: Plan,
    outcomes: Mapping[int, Outcome],
    metrics: Sequence[Mapping[int, Mapping[str, float]]],
    score: str,
) -> None:
    """members.csv: a row for every member, with all of its options as they are typed, what became of it, and its last
    metrics; settings.csv: mean and spread of the score over seeds. Tables of several sweeps can be put together."""
    rows = []
    for member in plan.members:
        outcome, history = outcomes[member.number], metrics[member.number]
        last = history[max(history)] if history else {}
        named = {"member": member.number, "setting": member.setting, **_options(plan, member)}
        # The option penalty and the metric have one name.
        taken = {f"{name}_value" if name in named else name: value for name, value in last.items()}
        measured = {"status": _status(plan, outcome), "step": outcome.step, score: outcome.score}
        rows.append(named | measured | taken)
    _write_csv(path / "members.csv", rows)
    settings = []
    for setting, group in itertools.groupby(plan.members, key=lambda member: member.setting):
        members = list(group)
        scores = [outcomes[member.number].score for member in members]
        mean, spread = mean_and_spread(scores)
        own = _options(plan, members[0])
        settings.append(
            {"setting": setting, **{name: own[name] for name in own if name != "seed"}, "seeds": len(members)}
            | {"scored": sum(one is not None for one in scores)}
            | {"step": max(outcomes[member.number].step for member in members)}
            | {f"{score}_mean": mean, f"{score}_sd": spread}
        )
    _write_csv(path / "settings.csv", settings)


def _options(plan: Plan, member: Member) -> dict[str, str]:
    """The experiment and all options as they are typed, those that differ first."""
    config = plan.config(member)
    taken = [name for name in config.options if name not in LEFT_OUT and name not in plan.swept]
    return {"experiment": config.name} | {name: config.spelled(name) for name in (*plan.swept, "seed", *taken)}


def _status(plan: Plan, outcome: Outcome) -> str:
    if outcome.broken is not None:
        return f"{outcome.broken[0]} not finite at step {outcome.broken[1]}"
    if outcome.score is None:
        return "score not finite"
    return "done" if outcome.step == plan.rungs[-1] else "halved"


def _write_csv(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, text.getvalue())


def shown_members(members: Sequence[Member]) -> list[Member]:
    """The members whose samples are shown: all, or as many as a picture holds, evenly."""
    if len(members) <= _ROWS:
        return list(members)
    return [members[round(i)] for i in np.linspace(0, len(members) - 1, _ROWS)]


def title(plan: Plan, member: Member, outcome: Outcome, score: str) -> tuple[str, str]:
    """Two lines about a member: its setting; its seed, its score, and what became of it."""
    status = _status(plan, outcome)
    early = {"done": "", "halved": f" at step {outcome.step}"}.get(status)
    what = f"{score} {outcome.score:.4g}{early}" if outcome.score is not None and early is not None else status
    return plan.label(member) or plan.base.name, f"seed {member.seed}: {what}"


def labelled(rows: Sequence[np.ndarray], titles: Sequence[tuple[str, str]]) -> np.ndarray:
    """Pictures `[H, W, 3]` of one size, one below the other, each beside its title; small ones are enlarged."""
    scale = -(-_ROW_HEIGHT // rows[0].shape[0])
    sheet = np.concatenate(rows).repeat(scale, axis=0).repeat(scale, axis=1)
    return images.named_rows(sheet, ["\n".join(lines) for lines in titles])


def tiled(pictures: Sequence[np.ndarray], titles: Sequence[tuple[str, str]]) -> np.ndarray:
    """Square pictures `[S, S, 3]` in rows, each over its title."""
    tiles = images.captioned(pictures, ["\n".join(lines) for lines in titles])
    # White between them is black between negatives.
    return images.grid(255 - np.stack(tiles), _TILES, gap=8, invert=True)
