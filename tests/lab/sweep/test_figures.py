import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from gan_jax.lab.sweep import cohorts, figures
from gan_jax.lab.sweep.cohorts import Outcome
from gan_jax.lab.sweep.plan import Plan
from tests.helpers import few, read_png
from tests.lab.sweep.helpers import planned, scored


def drawn(monkeypatch: pytest.MonkeyPatch, plan: Plan, outcomes: Mapping[int, Outcome]) -> Figure:
    """The figure of scores."""
    made: list[Figure] = []
    monkeypatch.setattr(figures.style, "save", lambda figure, file: made.append(figure))
    order = cohorts.ranked(plan.members, outcomes, lower_is_better=True)
    figures.plot_scores(Path("scores.png"), plan, outcomes, order, "frechet", "lower is better")
    return made[0]


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


def test_a_few_listed_values_have_a_tick_each(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned({"lr": "cosine:5e-4:0,cosine:1e-3:0,cosine:2e-3:0", "clip": "0.01,0.02,0.04"}, name="wgan")
    (_, axes, _) = drawn(monkeypatch, plan, scored(plan, [1.0 + k for k in range(9)])).axes
    axes.figure.draw_without_rendering()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.0005", "0.001", "0.002"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.01", "0.02", "0.04"]


@pytest.mark.parametrize("scores", few([[1.0, 2.0], [None, None], [1.0, None]], [None, None], [1.0, None]))
@pytest.mark.parametrize("typed", [{}, {"lr": "1e-4,1e-3"}])
@pytest.mark.parametrize("logged", few([True, False], False))
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
        figures.plot_scores(tmp_path / "scores.png", plan, outcomes, order, "frechet", "lower is better")
        figures.plot_curves(
            tmp_path / "curves.png", plan, outcomes, metrics, known, order, "frechet", "lower is better"
        )
    for name in ("scores", "curves"):
        assert read_png(tmp_path / f"{name}.png").std() > 0
