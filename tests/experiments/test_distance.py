import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.reproduce import __main__ as reproduce
from experiments.reproduce import distance, transport
from gan_jax.gan import Batch
from tests.experiments.helpers import call, trace_training

KEY = jax.random.key(0)
X = np.random.default_rng(0).standard_normal((128, 2)).astype(np.float32)


def _outputs(values: Any, x: np.ndarray) -> jax.Array:
    return jnp.concatenate([jnp.asarray(values)[:, None], x], axis=1)[:, None]


def test_the_c_transform_of_the_optimal_critic_has_the_distance() -> None:
    """On the line, all generated points right of all real ones: f(x) = -x is optimal, and its c-transform is y."""
    x, y = np.array([[0.0], [1.0], [2.5]], np.float32), np.array([[3.0], [5.0], [4.0]], np.float32)
    loss = distance.c_transform()
    real, fake = _outputs(-x[:, 0], x), _outputs(np.zeros(3), y)
    exact = 4 - 3.5 / 3
    assert transport.exact(x, y) == pytest.approx(exact)
    assert loss.estimate(loss.d(real, fake)) == pytest.approx(exact, rel=1e-6)
    assert loss.g(real, fake) == pytest.approx(4)
    # G goes where it is nearer: every coordinate falls at the rate 1 / N.
    gradient = jax.grad(loss.g, argnums=1)(real, fake)
    np.testing.assert_allclose(gradient[:, 0, 1], 1 / 3, rtol=1e-6)
    np.testing.assert_array_equal(gradient[:, 0, 0], 0)


def test_a_point_on_another_has_a_finite_gradient() -> None:
    loss, x = distance.c_transform(), X[:4]
    gradient = jax.grad(loss.g, argnums=1)(_outputs(np.zeros(4), x), _outputs(np.zeros(4), x))
    assert np.isfinite(gradient).all()


@pytest.mark.slow
def test_no_critic_overestimates_by_the_c_transform() -> None:
    """Weak duality, on the engine's own batch: whatever the critic, the estimate is at most the distance."""
    gan = distance.transform((2,), width=8)
    one = Batch(jnp.asarray(X[:64]))
    state = gan.init(KEY, Batch(jnp.broadcast_to(X[:64], (gan.n_critic, 64, 2))))
    fakes = gan.fakes(state, one, KEY)
    _, (_, metrics) = gan.d_loss(state.discriminator.params, state, one, fakes, KEY)
    assert float(metrics["estimate"]) <= transport.exact(X[:64], np.asarray(fakes.x)) + 1e-5
    fewer = distance.compared(X, X + 3, 9 * X[:, 0], np.zeros(128), transformed=True)
    assert fewer["estimate"] <= fewer["distance"]


@pytest.mark.parametrize("transformed", [False, True])
def test_estimate_and_distance_of_a_shift(transformed: bool) -> None:
    """Points shifted by 7 along an axis are 7 apart, and minus that coordinate is the optimal critic."""
    other = X + np.array([7, 0], np.float32)
    found = distance.compared(X, other, -X[:, 0], -other[:, 0], transformed)
    if transformed:  # The c-transform uses every real point: it is exact for points along a line only.
        assert found.pop("estimate") <= 7 + 1e-5
        assert found.pop("part_estimate") <= 7 + 1e-5
    assert list(found.values()) == pytest.approx([7] * len(found), rel=1e-5)


def test_a_run_in_numbers() -> None:
    curves = {
        "estimate": [8.0, 6, 4, 3, 2, 1, 1.5, 3.0],
        "distance": [4.0, 3, 2, 1.5, 1, 0.5, 1.0, 2.0],
        "part_estimate": [1.0] * 8,
        "part_distance": [2.0] * 8,
    }
    found = distance.summary(curves)
    assert found["spearman"] == pytest.approx(0.97, abs=0.03)
    assert found["slope"] == pytest.approx(1.95, abs=0.1)
    assert found["bias"] == pytest.approx(50)  # 1.5 / 1 and 3 / 2.
    assert found["part_bias"] == pytest.approx(-50)
    assert found["error"] == pytest.approx(100 * (4 + 0.5 + 0.5) / 6)
    assert (found["distance_first"], found["distance"], found["part_distance"]) == (4, 1.5, 2)


def test_errors_and_samples_are_ranked_within_seeds() -> None:
    errors = dict(zip(distance._METHODS, [1.0, 2, 3, 4, 5, 6, 7], strict=True))
    rows = {
        f"ring: {method}": {
            "results": [
                {"seed": 0, "numbers": {"error": error, "distance": error, "high_quality": error}},
                {"seed": 1, "numbers": {"error": error, "distance": -error, "high_quality": error}},
            ]
        }
        for method, error in errors.items()
    }
    # Distances rise with the error on one seed, and fall on the other; high quality rises, so low quality falls.
    assert distance._together("ring", rows) == ["7", "2", "0.00 [-1.00, 1.00]", "-1.00 [-1.00, -1.00]", ""]


def test_the_penalty_has_the_weight_of_its_authors_or_the_other() -> None:
    weights = {
        (name, method): distance.configured(name, method).options["weight"]
        for name in ("ring", "mnist")
        for method in ("penalty", "penalty, other weight", "penalty, 20 updates")
    }
    assert [*weights.values()] == [0.1, 10, 0.1, 10, 0.1, 10]


@pytest.mark.slow
def test_the_small_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace_training(monkeypatch)
    # What is left out repeats other rows, in programs of its own.
    monkeypatch.delitem(distance._SEEDS, "grid")
    few = ("clip", "penalty", "c-transform", "spectral norm")
    monkeypatch.setattr(distance, "_METHODS", {name: distance._METHODS[name] for name in few})
    assert call(reproduce.main, "distance", "--budget", "small", "--seeds", 1, "--out", tmp_path) == 0
    rows = json.loads((tmp_path / "distance-small.json").read_text())["rows"]
    numbers = {name: row["results"][0]["numbers"] for name, row in rows.items()}
    # Two samples of the data are nearer to each other than an untrained generator's is.
    for name in ("ring", "mnist"):
        assert numbers[f"{name}: real"]["distance"] < numbers[f"{name}: clip"]["distance"]
    # Means of clusters are nearer than images of the data itself.
    assert numbers["mnist: k-means"]["distance"] < numbers["mnist: real"]["distance"]
