import csv
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from gan_jax.lab import EXPERIMENTS
from gan_jax.lab import experiment as experiments
from gan_jax.lab.sweep import cohorts, report
from gan_jax.lab.sweep import plan as planning
from gan_jax.lab.sweep.cohorts import Outcome
from gan_jax.lab.sweep.plan import Plan
from tests.helpers import read_png


def planned(typed: Mapping[str, str], *, name: str = "wgan", rungs: tuple[int, ...] = (100,), **of: Any) -> Plan:
    options = EXPERIMENTS[name].options
    axes = {option: planning.axis(options[option], text) for option, text in typed.items()}
    members = planning.members(axes, of.pop("draws", None), of.pop("seeds", 1), 0)
    base = experiments.config(EXPERIMENTS, name, {"steps": rungs[-1], **of})
    return Plan(base, members, rungs, planning.logarithmic(axes))


def scored(plan: Plan, scores: list[float | None], steps: list[int] | None = None) -> dict[int, Outcome]:
    steps = steps or [plan.rungs[-1]] * len(scores)
    return {k: Outcome(step, score, None) for k, (step, score) in enumerate(zip(steps, scores, strict=True))}


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_tables_hold_every_option_as_it_is_typed(tmp_path: Path) -> None:
    """So that those of two sweeps, that differ in other options, can be put together."""
    found = []
    for typed in ({"lr": "1e-4,cosine:1e-3:0"}, {"width": "8,16", "ema": "none,0.9"}):
        plan = planned(typed, seeds=2, data="ring")
        outcomes = scored(plan, [1.0] * len(plan.members))
        report.write_tables(tmp_path, plan, outcomes, [{100: {"penalty": 0.5}}] * len(plan.members), "frechet")
        members, settings = read(tmp_path / "members.csv"), read(tmp_path / "settings.csv")
        for member, row in zip(plan.members, members, strict=True):
            config = plan.config(member)
            for option in config.options.keys() - {"sample_every", "stream", "track", "track_every"}:
                assert row[option] == config.spelled(option)
                assert option == "seed" or settings[member.setting][option] == row[option]
            assert (row["experiment"], row["status"], row["penalty_value"]) == ("wgan", "done", "0.5")
        found.append((set(members[0]), set(settings[0])))
    assert found[0] == found[1]


def test_a_score_that_is_not_finite_is_said(tmp_path: Path) -> None:
    plan = planned({"lr": "1e-4,1e-3,1e-2,1e-1"}, rungs=(50, 100))
    outcomes = scored(plan, [1.0, None, 2.0, None], [100, 100, 50, 100])
    outcomes[3] = Outcome(7, None, ("d_loss", 8))
    report.write_tables(tmp_path, plan, outcomes, [{}] * 4, "frechet")
    statuses = ["done", "score not finite", "halved", "d_loss not finite at step 8"]
    assert [row["status"] for row in read(tmp_path / "members.csv")] == statuses
    titles = [report.title(plan, member, outcomes[member.number], "frechet") for member in plan.members]
    assert titles == [
        ("lr 0.0001", "seed 0: frechet 1"), ("lr 0.001", "seed 0: score not finite"),
        ("lr 0.01", "seed 0: frechet 2 at step 50"), ("lr 0.1", "seed 0: d_loss not finite at step 8"),
    ]  # fmt: skip


@pytest.mark.parametrize(("lower", "expected"), [(True, [1, 0, 3, 2, 4]), (False, [0, 1, 3, 2, 4])])
def test_who_came_furthest_stands_first(lower: bool, expected: list[int]) -> None:
    """A mean of few steps is no better than one of many; and one seed without a score leaves no mean."""
    plan = planned({"lr": "1e-4,2e-4,3e-4,4e-4,5e-4"}, rungs=(25, 50, 100), seeds=2)
    scores = [4.0, 2.0, 1.0, 1.5, 0.5, 9.0, 0.1, 9.9, 0.2, None]
    steps = [100, 100, 100, 100, 25, 25, 50, 50, 100, 7]
    assert cohorts.ranked(plan.members, scored(plan, scores, steps), lower_is_better=lower) == expected


def drawn(monkeypatch: pytest.MonkeyPatch, plan: Plan, outcomes: Mapping[int, Outcome]) -> Figure:
    """The figure of scores."""
    figures: list[Figure] = []
    monkeypatch.setattr(report, "_save", lambda figure, file: figures.append(figure))
    order = cohorts.ranked(plan.members, outcomes, lower_is_better=True)
    report.plot_scores(Path("scores.png"), plan, outcomes, order, "frechet", "lower is better")
    return figures[0]


def test_scores_are_drawn_by_name_and_say_which_way_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned({"lr": "1e-4,1e-3", "loss": "recipe,hinge"}, seeds=2)
    figure = drawn(monkeypatch, plan, scored(plan, [3.0, 4.0, 1.0, 2.0, 5.0, 6.0, None, 8.0]))
    top, over_lr = figure.axes
    assert [label.get_text() for label in top.get_yticklabels()] == [
        "1. lr 0.0001, loss hinge: 1.5", "2. lr 0.0001, loss recipe: 3.5", "3. lr 0.001, loss recipe: 5.5",
        "4. lr 0.001, loss hinge: not finite",
    ]  # fmt: skip
    assert "frechet (lower is better)" in (top.get_xlabel(), over_lr.get_title())
    assert over_lr.get_xlabel() == "lr"


@pytest.mark.parametrize(
    ("typed", "draws", "scales"),
    [
        # Drawn in the logarithm, however narrow; drawn uniformly, however wide; listed, as they lie.
        ({"lr": "log:1e-4:4e-4"}, 4, {"lr": "log"}),
        ({"lr": "uniform:1e-5:9e-4"}, 4, {"lr": "linear"}),
        ({"lr": "1e-4,2e-4,3e-4"}, None, {"lr": "linear"}),
        ({"lr": "1e-5,1e-4,1e-3"}, None, {"lr": "log"}),
        ({"ema": "0.0,0.5,0.9"}, None, {"ema": "linear"}),
        ({"lr": "cosine:log(1e-5,1e-3):0"}, 4, {"lr": "log"}),
        ({"lr": "log:1e-4:4e-4", "clip": "uniform:0.01:0.02"}, 4, {"lr": "log", "clip": "linear"}),
        # Nothing to draw over: names, two numbers in one option, no number at all.
        ({"loss": "hinge,recipe"}, None, {}),
        ({"lr": "linear:log(1e-5,1e-3):uniform(0,1e-4)"}, 4, {}),
        ({"penalty": "none,r1:1"}, None, {}),
        ({}, None, {}),
    ],
)
def test_axes_are_drawn_as_their_numbers_were(
    typed: dict[str, str], draws: int | None, scales: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(typed, name="wgan", draws=draws)
    axes = drawn(monkeypatch, plan, scored(plan, [1.0 + k for k in range(len(plan.members))])).axes
    found = {}
    for one in axes[1:]:
        found |= {one.get_xlabel(): one.get_xscale(), one.get_ylabel(): one.get_yscale()}
    assert {name: scale for name, scale in found.items() if name in plan.swept} == scales


@pytest.mark.parametrize("scores", [[1.0, 2.0], [None, None], [1.0, None]])
@pytest.mark.parametrize("typed", [{}, {"lr": "1e-4,1e-3"}])
@pytest.mark.parametrize("logged", [True, False])
def test_pictures_of_any_outcome_warn_of_nothing(
    typed: dict[str, str], scores: list[float | None], logged: bool, tmp_path: Path
) -> None:
    plan = planned(typed, rungs=(50, 100), seeds=1 if typed else 2)
    outcomes = scored(plan, scores)
    metrics = [{step: {"estimate": 1.0, "g_loss": 2.0} for step in ((50, 100) if logged else ())}] * 2
    known = {(k, 100): score for k, score in enumerate(scores)}
    order = cohorts.ranked(plan.members, outcomes, lower_is_better=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report.plot_scores(tmp_path / "scores.png", plan, outcomes, order, "frechet", "lower is better")
        report.plot_curves(tmp_path / "curves.png", plan, outcomes, metrics, known, order, "frechet", "lower is better")
    for name in ("scores", "curves"):
        assert read_png(tmp_path / f"{name}.png").std() > 0


@pytest.mark.parametrize(("height", "scale"), [(8, 4), (28, 2), (30, 1), (64, 1)])
def test_rows_of_samples_have_their_titles_beside_them(height: int, scale: int) -> None:
    rows = [np.full((height, 50, 3), shade, np.uint8) for shade in (0, 100, 200)]
    titles = [("lr 0.1", "seed 0: frechet 1"), ("lr 0.01, a long one", "seed 0: frechet 2"), ("", "seed 1")]
    sheet = report.labelled(rows, titles)
    assert sheet.shape[0] == 3 * scale * height
    margin = sheet.shape[1] - scale * 50
    for k, row in enumerate(rows):
        band = sheet[k * scale * height : (k + 1) * scale * height]
        np.testing.assert_array_equal(band[:, margin:], row.repeat(scale, 0).repeat(scale, 1))
        # Its text is dark on white, whole, and in its own band.
        assert band[:, :margin].min() < 100 and (band[[0, -1], :margin] == 255).all()
        assert (band[:, margin - 4 : margin] == 255).all()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (6, 6), (7, 6)])
def test_pictures_of_points_stand_below_their_titles(count: int, columns: int) -> None:
    sheet = report.tiled([np.full((240, 240, 3), 7, np.uint8)] * count, [("lr 0.1", "seed 0")] * count)
    assert sheet.shape[1] == columns * 240
    assert sheet.shape[0] == math.ceil(count / columns) * (240 + 36)
    assert (sheet[36:276, :240] == 7).all() and sheet[:36, :240].min() < 100
