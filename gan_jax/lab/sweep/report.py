"""What a sweep shows: tables of members and settings, curves, heat maps, one row of samples per member."""

import csv
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gan_jax.files import atomic
from gan_jax.lab.files import write_text
from gan_jax.lab.sweep.cohorts import Outcome
from gan_jax.lab.sweep.plan import Member, Plan

_CURVES = 12
_ROWS = 64


def read_metrics(path: Path, members: int) -> list[dict[int, dict[str, float]]]:
    """Each member's metrics by step; later lines override earlier ones, and one cut short is left out."""
    found: list[dict[int, dict[str, float]]] = [{} for _ in range(members)]
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except ValueError:  # The process was killed while it wrote this line.
            continue
        found[record.pop("member")][record.pop("step")] = record
    return found


def write_tables(
    path: Path,
    plan: Plan,
    outcomes: Mapping[int, Outcome],
    metrics: Sequence[Mapping[int, Mapping[str, float]]],
    score: str,
) -> None:
    """members.csv: one row per member, with its last metrics; settings.csv: mean and spread of the score over seeds."""
    rows = []
    for member in plan.members:
        outcome, history = outcomes[member.number], metrics[member.number]
        last = history[max(history)] if history else {}
        if outcome.broken is not None:
            status = f"{outcome.broken[0]} not finite at step {outcome.broken[1]}"
        else:
            status = "done" if outcome.step == plan.rungs[-1] else "halved"
        named = {"member": member.number, "setting": member.setting, **member.values, "seed": member.seed}
        # The option penalty and the metric have one name.
        taken = {f"{name}_value" if name in named else name: value for name, value in last.items()}
        rows.append(named | {"status": status, "step": outcome.step, score: outcome.score} | taken)
    _write_csv(path / "members.csv", rows)
    settings = []
    for setting, group in itertools.groupby(plan.members, key=lambda member: member.setting):
        members = list(group)
        found = [s for s in (outcomes[m.number].score for m in members) if s is not None]
        spread = float(np.std(found, ddof=1)) if len(found) > 1 else None
        settings.append(
            {"setting": setting, **members[0].values, "seeds": len(members), "scored": len(found)}
            | {"step": max(outcomes[m.number].step for m in members)}
            | {f"{score}_mean": float(np.mean(found)) if found else None, f"{score}_sd": spread}
        )
    _write_csv(path / "settings.csv", settings)


def _write_csv(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, text.getvalue())


def plot_curves(
    file: Path, plan: Plan, metrics: Sequence[Mapping[int, Mapping[str, float]]], order: Sequence[int]
) -> None:
    """The divergence's estimate and both losses along training: of the best settings, mean and range over seeds."""
    names = ("estimate", "d_loss", "g_loss")
    figure = Figure(figsize=(13, 3.8), dpi=100, layout="constrained")
    for axes, name in zip(figure.subplots(1, 3), names, strict=True):
        for setting in order[:_CURVES]:
            members = [member for member in plan.members if member.setting == setting]
            histories = [metrics[member.number] for member in members]
            steps = sorted(set.intersection(*(set(history) for history in histories)))
            if steps:
                values = np.array([[history[step][name] for step in steps] for history in histories])
                (line,) = axes.plot(steps, values.mean(axis=0), label=plan.label(members[0]))
                axes.fill_between(
                    steps, values.min(axis=0), values.max(axis=0), color=line.get_color(), alpha=0.2, lw=0
                )
        axes.set(xlabel="step", title=name)
    if figure.axes[0].has_data():
        figure.axes[0].legend(fontsize=7)
    _save(figure, file)


def plot_scores(file: Path, plan: Plan, means: Mapping[int, float | None], score: str) -> None:
    """The mean score over the swept numbers: a map for every pair of them, or a line where there is but one."""
    numeric = [name for name in plan.swept if all(isinstance(m.values[name], int | float) for m in plan.members)]
    settings = {m.setting: m.values for m in plan.members}
    scored = [(settings[k], value) for k, value in means.items() if value is not None]
    pairs: list[tuple[str, ...]] = [*itertools.combinations(numeric, 2)] or [(name,) for name in numeric]
    if not pairs or not scored:
        return
    figure = Figure(figsize=(4.6 * len(pairs), 3.8), dpi=100, layout="constrained")
    for axes, pair in zip(np.atleast_1d(figure.subplots(1, len(pairs))), pairs, strict=True):
        x_name = pair[0]
        xs = [float(values[x_name]) for values, _ in scored]
        axes.set(xlabel=x_name, title=score)
        if max(xs) > 10 * min(xs) > 0:
            axes.set_xscale("log")
        if len(pair) == 1:
            axes.plot(*zip(*sorted(zip(xs, (value for _, value in scored), strict=True)), strict=True), "o-")
            continue
        ys = [float(values[pair[1]]) for values, _ in scored]
        if max(ys) > 10 * min(ys) > 0:
            axes.set_yscale("log")
        axes.set_ylabel(pair[1])
        shown = axes.scatter(xs, ys, c=[value for _, value in scored], s=500, marker="s", cmap="viridis")
        for x, y, (_, value) in zip(xs, ys, scored, strict=True):
            axes.annotate(f"{value:.3g}", (x, y), ha="center", va="center", fontsize=7, color="white")
        axes.margins(0.15)
        figure.colorbar(shown, ax=axes)
    _save(figure, file)


def shown_members(members: Sequence[Member]) -> list[Member]:
    """The members that get a row of samples: all, or as many as a picture holds, evenly."""
    if len(members) <= _ROWS:
        return list(members)
    return [members[round(i)] for i in np.linspace(0, len(members) - 1, _ROWS)]


def _save(figure: Figure, file: Path) -> None:
    with atomic(file) as partial:
        figure.savefig(partial, format="png")
