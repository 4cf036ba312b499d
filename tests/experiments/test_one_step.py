import json
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.reproduce import __main__ as reproduce
from experiments.reproduce import one_step
from experiments.reproduce.one_step import METHODS, MIXTURES, TARGETS
from tests.experiments.helpers import call


@pytest.mark.parametrize("name", MIXTURES)
def test_targets_have_a_standard_deviation_of_one(name: str) -> None:
    x = TARGETS[name](np.random.default_rng(0), 50_000)
    assert np.sqrt(x.var(axis=0).mean()) == pytest.approx(1, abs=0.01)


def test_the_hundred_are_a_grid_of_distance_two() -> None:
    centres = MIXTURES["100 Gaussians"].centres
    assert len(np.unique(centres, axis=0)) == 100
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1) + 100 * np.eye(100)
    np.testing.assert_allclose(distances.min(axis=1), 2)
    assert np.abs(centres).max() == 9


def test_the_spiral_is_a_curve_of_equal_arcs() -> None:
    """Its length is that of r = a / 4 pi, the integral of sqrt(1 + a^2) / 4 pi up to 4 pi."""
    centres, sigma = MIXTURES["spiral"].centres, MIXTURES["spiral"].sigma
    end = 4 * np.pi
    length = (end * np.hypot(1, end) + np.arcsinh(end)) / 2 / end
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    np.testing.assert_allclose(steps[20:], length / 200, rtol=0.01)  # Near the middle chords are shorter than arcs.
    assert steps.max() < 2 * sigma
    radii, angles = np.linalg.norm(centres, axis=1), np.arctan2(centres[:, 1], centres[:, 0])
    np.testing.assert_allclose((radii * end - angles + np.pi) % (2 * np.pi), np.pi, atol=1e-4)


def test_the_prior_in_clusters_lies_in_them() -> None:
    z = np.asarray(one_step.clusters(5, 1e-3)(jax.random.key(1), 1000))
    assert z.shape == (1000, 2)
    assert len(np.unique(z.round(1), axis=0)) < 20
    again = np.asarray(one_step.clusters(5, 0.0)(jax.random.key(2), 1000))
    assert len(np.unique(again, axis=0)) == 5  # The same places for every key.
    assert np.linalg.norm(z[:, None] - np.unique(again, axis=0)[None], axis=-1).min(axis=1).max() < 0.01


def _measured(name: str, targets: list[str], out: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text of the small table of one method."""
    monkeypatch.setattr(one_step, "METHODS", {name: METHODS[name]})
    monkeypatch.setattr(one_step, "_FEW", (name,))
    # As many runs search as are measured, so that one program trains both.
    two = one_step.settings(name)[:2]
    monkeypatch.setattr(one_step, "settings", lambda _: two)
    monkeypatch.setattr(one_step, "MIXTURES", {target: MIXTURES[target] for target in targets})
    assert call(reproduce.main, "one_step", "--budget", "small", "--out", out) == 0
    rows = json.loads((out / "one_step-small.json").read_text())["rows"]
    assert list(rows) == [f"{target}: {row}" for row in ("real points", name) for target in targets]
    for row in rows.values():
        for result in row["results"]:
            assert {"modes", "high_quality", "kl", "sigma_ratio", "distance", "coverage"} == set(result["numbers"])
            assert result["numbers"]["distance"] > 0
    return (out / "one_step-small.md").read_text()


@pytest.mark.slow
def test_a_method_is_measured_on_every_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _measured("GAN", ["ring", "100 Gaussians"], tmp_path, monkeypatch)
    # The published rows of the ring, and ours of both.
    assert [text.count(part) for part in ("## Ring", "## 100 Gaussians", "Lin et al. 2018, table 1", "**GAN**")] == [
        1, 1, 2, 2,
    ]  # fmt: skip
    assert (tmp_path / "one_step-small-100_gaussians_gan.png").is_file()


# The others have another of JAX's distributions as their prior.
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in METHODS if "of 32" not in name and "uniform" not in name])
def test_methods_of_every_kind_train(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _measured(name, ["grid"], tmp_path, monkeypatch)


@pytest.mark.slow
def test_real_points_reach_the_ceilings() -> None:
    chosen = one_step._BUDGETS["full"]
    for target, mixture in MIXTURES.items():
        numbers = one_step._measure_real(chosen, target, [0])[0].numbers
        assert numbers["modes"] >= 0.99 * len(mixture.centres)
        assert numbers["coverage"] == pytest.approx(0.969, abs=0.03)
        if target != "spiral":
            assert numbers["high_quality"] == pytest.approx(98.9, abs=0.7)
            assert numbers["sigma_ratio"] == pytest.approx(1, abs=0.05)
