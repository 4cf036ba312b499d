"""Figures of a sweep: scores by setting and over the options, and curves of its best settings. Loads Matplotlib."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gan_jax.lab import style, values
from gan_jax.lab.sweep.cohorts import Outcome
from gan_jax.lab.sweep.lines import Scores
from gan_jax.lab.sweep.plan import Plan

_CURVES = 12
_RANKED = 24
_PANELS = 3
_TICKS = 5


def plot_curves(
    file: Path,
    plan: Plan,
    outcomes: Mapping[int, Outcome],
    metrics: Sequence[Mapping[int, Mapping[str, float]]],
    scores: Scores,
    order: Sequence[int],
    score: str,
    better: str,
) -> None:
    """Along training: the score where there are several, the divergence's estimate (D's loss, mirrored), G's loss.

    Of the best settings the mean, and the range over seeds.
    """
    histories: dict[str, list[Mapping[int, float]]] = {
        name: [{step: record[name] for step, record in history.items()} for history in metrics]
        for name in ("estimate", "g_loss")
    }
    titles = {"estimate": "estimate of the divergence", "g_loss": "loss of the generator"}
    if len(plan.rungs) > 1:
        measured: list[Mapping[int, float]] = [
            {step: value for step in plan.rungs if (value := scores.get((member.number, step))) is not None}
            for member in plan.members
        ]
        histories, titles = {score: measured} | histories, {score: f"{score} ({better})"} | titles
    shown = order[:_CURVES]
    figure = style.figure(4.5 * len(histories) + 3.5, 4.2)
    for axes, (name, of_members) in zip(figure.subplots(1, len(histories)), histories.items(), strict=True):
        for number, setting in enumerate(shown):
            members = [member for member in plan.members if member.setting == setting]
            own = [of_members[member.number] for member in members]
            if steps := sorted(set.intersection(*(set(history) for history in own))):
                found = np.array([[history[step] for step in steps] for history in own])
                look = style.line(number)
                axes.plot(steps, found.mean(axis=0), marker="o" if name == score else "", **look)
                axes.fill_between(steps, found.min(axis=0), found.max(axis=0), color=look["color"], alpha=0.12, lw=0)
        axes.set(xlabel="step", title=titles[name])
    names = [_ranked_label(plan, outcomes, setting, place) for place, setting in enumerate(shown, 1)]
    lines = [Line2D([], [], **style.line(number)) for number in range(len(shown))]
    figure.legend(lines, names, loc="outside right upper")
    style.save(figure, file)


def plot_scores(
    file: Path, plan: Plan, outcomes: Mapping[int, Outcome], order: Sequence[int], score: str, better: str
) -> None:
    """The best settings by name, a dot for each seed and a line at their mean; and the score over what was swept."""
    ranked = order[:_RANKED]
    pairs = _pairs(plan)
    height = max(3.8, 0.27 * len(ranked) + 1.3)
    figure = style.figure(6.5 + 4.4 * len(pairs), height)
    widths = [1.35, *[1.0] * len(pairs)]
    panels = np.atleast_1d(figure.subplots(1, len(widths), width_ratios=widths))
    top = panels[0]
    for row, setting in enumerate(ranked):
        found = _scores(plan, outcomes, setting)
        color = style.COLORS[0] if _ended(plan, outcomes, setting) else style.PALE
        top.plot(found, [row] * len(found), "o", color=color, ms=5, alpha=0.7)
        if found:
            top.plot([np.mean(found)], [row], "|", color=color, ms=14, mew=2)
    names = [_ranked_label(plan, outcomes, setting, place) for place, setting in enumerate(ranked, 1)]
    top.set_yticks(range(len(ranked)), names)
    top.set_ylim(len(ranked) - 0.5, -0.5)
    top.grid(axis="x", alpha=0.3)
    shown = [score for setting in ranked for score in _scores(plan, outcomes, setting)]
    if _far_apart(shown):
        style.set_logarithmic(top, "x", shown)
    left_out = "" if len(ranked) == len(order) else f", the best {len(ranked)} of {len(order)} settings"
    top.set(xlabel=f"{score} ({better})", title=f"dots are seeds, the bar is their mean{left_out}")
    for axes, pair in zip(panels[1:], pairs, strict=True):
        _plot_over(axes, figure, plan, outcomes, order, pair, score, better)
    style.save(figure, file)


def _plot_over(
    axes: Axes,
    figure: Figure,
    plan: Plan,
    outcomes: Mapping[int, Outcome],
    order: Sequence[int],
    pair: Sequence[str],
    score: str,
    better: str,
) -> None:
    """The mean score of settings over one number as height, or over two as colour."""
    numbers = [_numbers(plan, name) for name in pair]
    scored = [(k, found) for k in order if (found := _scores(plan, outcomes, k))]
    means = [float(np.mean(found)) for _, found in scored]
    ended = [_ended(plan, outcomes, setting) for setting, _ in scored]
    places = [[of[setting] for setting, _ in scored] for of in numbers]
    axes.set(xlabel=pair[0], title=f"{score} ({better})")
    _set_scale(axes, "x", plan, pair[0], places[0])
    if len(pair) == 1:
        for x, y, done in zip(places[0], means, ended, strict=True):
            axes.plot([x], [y], "o", color=style.COLORS[0] if done else style.PALE)
        if _far_apart(means):
            style.set_logarithmic(axes, "y", means)
    else:
        axes.set_ylabel(pair[1])
        _set_scale(axes, "y", plan, pair[1], places[1])
        sizes = [150 if done else 40 for done in ended]
        dots = axes.scatter(places[0], places[1], c=means, s=sizes, cmap=style.SEQUENTIAL, edgecolors="0.3")
        figure.colorbar(dots, ax=axes)
        for x, y, mean in zip(*places, means, strict=True):
            axes.annotate(f"{mean:.3g}", (x, y), (0, 9), textcoords="offset points", ha="center", fontsize="x-small")
    axes.margins(0.15)
    if not all(ended):
        axes.set_xlabel(f"{pair[0]} ({'grey' if len(pair) == 1 else 'small'}: stopped early)")


def _set_scale(axes: Axes, axis: str, plan: Plan, name: str, numbers: Sequence[float]) -> None:
    """Logarithmic where the option's values are; else a tick at each, where they are few and not close together."""
    ticks = np.unique(numbers)
    if name in plan.logarithmic:
        style.set_logarithmic(axes, axis, numbers)
    elif 2 <= len(ticks) <= _TICKS and np.diff(ticks).min() >= np.ptp(ticks) / 8:
        axes.set(**{f"{axis}ticks": ticks})
        (axes.xaxis if axis == "x" else axes.yaxis).set_major_formatter("{x:.3g}")


def _pairs(plan: Plan) -> list[tuple[str, ...]]:
    """What scores are drawn over: pairs of the swept numbers, or each on its own where there would be many pairs."""
    numeric = [name for name in plan.swept if _numbers(plan, name)]
    pairs: list[tuple[str, ...]] = [*itertools.combinations(numeric, 2)]
    return pairs if 0 < len(pairs) <= _PANELS else [(name,) for name in numeric[: 2 * _PANELS]]


def _numbers(plan: Plan, name: str) -> dict[int, float]:
    """By setting the number that differs in an option's values; empty where it is none, or more than one."""
    found = {member.setting: member.values[name] for member in plan.members}
    if all(type(value) in (int, float) for value in found.values()):
        return {setting: float(value) for setting, value in found.items()}
    if not plan.base.experiment.options[name].scales or len({values.code_of(one) for one in found.values()}) > 1:
        return {}
    numbers = np.array([values.numbers_of(value) for value in found.values()], float).reshape(len(found), -1)
    differing = [column for column in numbers.T if len(set(column)) > 1]
    return dict(zip(found, differing[0].tolist(), strict=True)) if len(differing) == 1 else {}


def _far_apart(scores: Sequence[float]) -> bool:
    return bool(scores) and max(scores) >= 30 * min(scores)


def _scores(plan: Plan, outcomes: Mapping[int, Outcome], setting: int) -> list[float]:
    """The scores of a setting's seeds, none unless all have one: means of the others would be luck."""
    found = [outcomes[member.number].score for member in plan.members if member.setting == setting]
    return [] if None in found else [score for score in found if score is not None]


def _ended(plan: Plan, outcomes: Mapping[int, Outcome], setting: int) -> bool:
    return any(outcomes[m.number].step == plan.rungs[-1] for m in plan.members if m.setting == setting)


def _ranked_label(plan: Plan, outcomes: Mapping[int, Outcome], setting: int, place: int) -> str:
    """A setting's place, what it is, its mean score, and whether it was stopped early."""
    members = [member for member in plan.members if member.setting == setting]
    found = _scores(plan, outcomes, setting)
    step = max(outcomes[member.number].step for member in members)
    score = f"{np.mean(found):.4g}" if found else "not finite"
    early = "" if not found or step == plan.rungs[-1] else f" at step {step}"
    return f"{place}. {plan.label(members[0]) or plan.base.name}: {score}{early}"
