"""Verdicts on curves by formula; tests/experiments/test_verdicts.py has runs that were made to have each fault."""

from typing import Any

import numpy as np
import pytest

from gan_jax import losses
from gan_jax.lab.report import verdict
from gan_jax.lab.report.verdict import Verdict

_T = np.linspace(0, 1, 60)
_NOISE = np.random.default_rng(0).normal(size=60)


def _rows(**columns: Any) -> dict[int, dict[str, float]]:
    """Sixty lines of a run: a healthy game of cross-entropy but for what is given; distances at every sixth."""
    healthy = {
        "d_loss": 0.9 + 0.05 * _NOISE,
        "g_loss": 1.5 + 0.1 * _NOISE,
        "d_grad": 2 + 0.3 * _NOISE,
        "g_grad": 3 + 0.3 * _NOISE,
        "estimate": 0.3 + 0.02 * _NOISE,
        "saturated": 0.1 + 0 * _T,
        "diversity": 0.9 + 0.02 * _NOISE,
        "nearest": 0.85 + 0.02 * _NOISE,
    }
    columns = {name: np.broadcast_to(values, _T.shape) for name, values in (healthy | columns).items()}
    lines = {10 * (k + 1): {name: float(values[k]) for name, values in columns.items()} for k in range(60)}
    for k, line in enumerate(lines.values()):
        if k % 6 != 5:
            del line["diversity"], line["nearest"]
    return lines


def _of(rows: Any, *, loss: losses.Loss | None = None, status: str = "finished", steps: int = 600) -> Verdict:
    return verdict.of(rows, status=status, step=600, steps=steps, loss=loss or losses.non_saturating())


# `run wgan --lr 5e-4 --clip 0.05 --n-critic 5` with a critic like its generator, 600 steps. The first lines are noise
# to one who looks for a trend in the last.
_OF_A_RUN = [
    88.4, 76.6, 30.4, 16.8, 8.8, 5.6, 5.2, 12.6, 20.5, 23.8, 23.4, 25.4, 26.4, 25.9, 25.9, 25.8, 26.2, 26.1,
    23.8, 24.4, 20.6, 22.2, 21.1, 20.6, 20.5, 19.0, 19.3, 20.3, 22.4, 22.8, 20.7, 18.8, 17.4, 14.5, 15.6, 14.0,
    15.4, 15.3, 13.3, 13.1, 13.3, 11.4, 11.0, 12.9, 13.8, 13.3, 14.1, 14.1, 15.6, 15.9,
]  # fmt: skip


# `run wgan --preset paper --steps 4000`: its samples are blots as bright as digits.
_OF_A_CRITIC_WITHOUT_STRENGTH = [
    1.68, 1.19, 0.723, 0.393, 0.213, 0.112, 0.0574, 0.0288, 0.0146, 0.00696, 0.00352, 0.00144,
    0.000827, -6.07e-05, 0.000128, 2.74e-05, -0.000419, -0.000334, 0.000181, -0.000196,
]  # fmt: skip


# `run dcgan --data robots:32`, means over tenths of it, and its samples were robots of all kinds.
_SURE_OF_MOST = [0.039, 0.05, 0.128, 0.303, 0.214, 0.507, 0.629, 0.682, 0.725, 0.763]
_OF_ROBOTS = [0.996, 1.02, 1.01, 1.02, 1.01, 1.02, 1.01, 1.02, 1.02, 1.02]


def _game(estimate: np.ndarray) -> dict[int, dict[str, float]]:
    return _rows(estimate=estimate, d_loss=-estimate, saturated=0.0)


def test_few_images_that_were_often_seen_are_to_be_augmented() -> None:
    def text(unaugmented: int, **columns: Any) -> str:
        rows = _rows(saturated=0.95, **columns)
        return verdict.of(
            rows, status="finished", step=600, steps=600, loss=losses.non_saturating(), unaugmented=unaugmented
        ).text

    seen = np.linspace(0, 1_280_000, 60)
    assert "each of 500 images 2,560 times and may know them by heart" in text(500, images_seen=seen)
    plain = text(0, images_seen=seen)
    assert "--augment" not in plain and "Slow D down" in plain
    assert text(60_000, images_seen=seen) == text(500) == plain


def test_a_healthy_game_is_done_and_nobody_says_that_it_is_good() -> None:
    found = _of(_rows())
    assert found.kind == "done"
    assert "Neither player has won" in found.text
    assert "evaluate" in found.text
    assert _of(_rows(), status="training", steps=1000).kind == "healthy"


@pytest.mark.parametrize(
    ("diversity", "words"),
    [(0.873, "differ 0.87 times as much as"), (1.02, "differ just as much as"), (1.5, "differ 1.5 times as")],
)
def test_how_much_samples_differ_is_said_in_words(diversity: float, words: str) -> None:
    assert words in _of(_rows(diversity=diversity)).text


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("d_wins", {"saturated": 0.95}),
        ("d_wins", {"saturated": np.minimum(1, 2 * _T)}),
        ("collapsed", {"diversity": np.maximum(0.2, 1 - 2 * _T)}),
        ("collapsed", {"diversity": 0.0}),
        # As `dcgan --latent 1` had them, two digits and nothing else; and as healthy runs have at a tenth of theirs.
        ("collapsed", {"diversity": 0.67, "nearest": 0.15}),
        ("done", {"nearest": 0.2 + 0.6 * _T}),
        ("collapsed", {"gap": 0.2}),
        ("collapsed", {"gap": np.maximum(0.15, 1 - 2 * _T)}),
        ("diverging", {"d_grad": np.exp(20 * _T)}),
        ("diverging", {"g_loss": np.exp(20 * _T)}),
        ("diverging", {"d_loss": -np.exp(20 * _T)}),
        ("flat", {"g_grad": np.where(_T < 0.2, 3.0, 0.0)}),
        # As one seed of ten of `wgan_4x512 --preset paper` soon has them, whose critic's units are all dead.
        ("flat", {"g_grad": np.where(_T < 0.2, 3.0, 0.0), "d_grad": np.where(_T < 0.2, 3.0, 0.0)}),
        ("done", {"g_grad": 0.0, "d_grad": 0.0}),
        # Strong at the start, or for a while, and not at the end.
        ("done", {"saturated": np.maximum(0.1, 1 - 2 * _T)}),
        ("done", {"diversity": 0.3 + 0.6 * _T}),
        ("done", {"gap": 1 - _T}),
        ("done", {"gap": np.where(_T > 0.95, 0.05, 0.3)}),
        ("done", {"d_grad": 2 + 1000 * (np.abs(_T - 0.5) < 0.1)}),
        # A loss of almost nothing that is a hundred times larger is still none.
        ("done", {"d_loss": 1e-4 * np.exp(6 * _T)}),
    ],
)
def test_each_fault_has_its_name(kind: str, columns: dict[str, Any]) -> None:
    assert _of(_rows(**columns)).kind == kind


@pytest.mark.parametrize(
    ("kind", "estimate"),
    [
        ("improving", 20 * np.exp(-2 * _T) + 0.3 * _NOISE),
        ("done", 20 * np.exp(-20 * _T) + 2 + 0.05 * _NOISE),
        ("flat", 0 * _T + 7 + 0.1 * _NOISE),
        ("flat", 1e-8 * (1 + 0.1 * _NOISE)),
        ("diverging", 3e3 * np.exp(4 * _T) * (1 + 0.3 * _NOISE)),
        # From the first third to the second it grew a hundredfold, or fivefold while D learnt, and stays there.
        ("diverging", np.where(_T < 0.4, 3e2, 3e4) * (1 + 0.1 * _NOISE)),
        ("flat", np.where(_T < 0.4, 2, 10) * (1 + 0.1 * _NOISE)),
        # Below 0, where three times as much is less.
        ("improving", np.where(_T < 0.7, -1, -2) * (1 + 0.1 * _NOISE)),
        # One leap half-way, as those of a critic without bounds, that is larger than all that follows.
        ("diverging", np.where(np.abs(_T - 0.55) < 0.01, 1e7, 3e3 * np.exp(4 * _T))),
        ("improving", np.interp(_T, np.linspace(0, 1, len(_OF_A_RUN)), _OF_A_RUN)),
    ],
)
def test_the_estimate_of_a_wasserstein_game_is_a_curve_to_follow(kind: str, estimate: np.ndarray) -> None:
    assert _of(_game(estimate), loss=losses.wasserstein()).kind == kind
    assert _of(_game(estimate), loss=losses.non_saturating()).kind == "done"


def test_who_no_longer_learns_is_said() -> None:
    gone = np.where(_T < 0.2, 3.0, 0.0)
    assert _of(_rows(g_grad=gone)).title == "G no longer learns"
    found = _of(_rows(g_grad=gone, d_grad=gone, estimate=gone), loss=losses.wasserstein())
    assert found.title == "Neither player learns"
    assert "a larger --clip" in found.text


def test_an_estimate_of_next_to_nothing_is_a_match_or_a_critic_without_strength() -> None:
    length = len(_OF_A_CRITIC_WITHOUT_STRENGTH)
    left = _game(np.interp(_T, np.linspace(0, 1, length), _OF_A_CRITIC_WITHOUT_STRENGTH))
    for status, steps, kind in (("finished", 600, "done"), ("training", 1000, "healthy")):
        found = _of(left, status=status, steps=steps, loss=losses.wasserstein())
        assert found.kind == kind
        assert "Either samples match the data, or D has lost its strength" in found.text
    # A fiftieth of what it was is what healthy runs end with.
    for share, said in ((0.001, True), (0.02, False)):
        found = _of(_game(10 * np.maximum(1 - 4 * _T, share)), loss=losses.wasserstein())
        assert ("next to nothing" in found.text) == said


def test_d_that_is_sure_of_most_has_not_won_where_samples_differ_as_real_examples_do() -> None:
    sure, of_robots = (np.interp(_T, np.linspace(0, 1, 10), values) for values in (_SURE_OF_MOST, _OF_ROBOTS))
    found = _of(_rows(saturated=sure, diversity=of_robots))
    assert found.kind == "done"
    assert found.text.startswith("D is sure of 7")
    assert "Neither" not in found.text
    assert _of(_rows(saturated=sure, diversity=0.65)).kind == "d_wins"
    assert _of({step: line | {"diversity": np.nan} for step, line in _rows(saturated=sure).items()}).kind == "d_wins"


def test_a_run_that_has_just_begun_has_no_fault_that_healthy_ones_have_at_first() -> None:
    """D is ahead, samples are alike, and an estimate rises first. What has left all bounds is said at once."""
    begun = {"status": "training", "steps": 6001}
    for name, value in (("saturated", 0.95), ("diversity", 0.1), ("nearest", 0.1), ("gap", 0.3)):
        assert _of(_rows(**{name: value}), **begun).kind == "early"
        later = _of(_rows(**{name: value}), status="training", steps=6000)
        assert later.kind == ("d_wins" if name == "saturated" else "collapsed")
    assert _of(_rows(d_grad=np.exp(20 * _T)), **begun).kind == "diverging"
    flat = _game(7 + 0.1 * _NOISE)
    assert _of(flat, status="training", steps=1201, loss=losses.wasserstein()).kind == "healthy"
    assert _of(flat, status="training", steps=1200, loss=losses.wasserstein()).kind == "flat"


def test_a_metric_that_is_tracked_is_followed_before_all_others() -> None:
    flat = 0 * _T + 7 + 0.1 * _NOISE
    rows = _game(flat)
    for (_step, line), value in zip(rows.items(), 50 * np.exp(-2 * _T), strict=True):
        line["frechet"] = value
    found = _of(rows, loss=losses.wasserstein())
    assert found.kind == "improving"
    assert found.text.startswith("Frechet went from")
    # Of coverage more is better.
    rows = _rows()
    for k, line in enumerate(rows.values()):
        line["coverage"] = 0.3 + 0.6 * _T[k]
    assert _of(rows).kind == "improving"
    for k, line in enumerate(rows.values()):
        line["coverage"] = 0.9 - 0.6 * _T[k]
    assert _of(rows).kind == "done"


def test_of_little_nothing_is_said() -> None:
    few = dict(list(_rows().items())[:5])
    assert _of(few).kind == "early"
    assert _of({}).kind == "early"
    assert _of(few, status="diverged").kind == "diverging"


def test_logs_of_earlier_versions_and_of_nan_have_a_verdict() -> None:
    old = {step: {"d_loss": line["d_loss"], "estimate": line["estimate"]} for step, line in _rows().items()}
    assert _of(old).kind == "done"
    for line in old.values():
        line["d_loss"] = float("nan")
    assert _of(old).kind == "done"
