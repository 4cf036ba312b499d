import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from experiments.reproduce import __main__ as reproduce
from experiments.reproduce import convergence
from experiments.reproduce.convergence import METHODS, TARGETS, Consensus, Noisy
from experiments.reproduce.dirac import Position, Slope
from gan_jax import losses, priors
from gan_jax.gan import Batch
from gan_jax.typing import Data
from tests.experiments.helpers import call
from tests.helpers import jit


def _distance_to_target(name: str, x: np.ndarray) -> np.ndarray:
    """Of every point to the nearest of the target's support."""
    if name == "gaussian":
        return np.zeros(len(x))
    if name == "line":
        return np.abs(x[:, 1]) + np.maximum(np.abs(x[:, 0]) - 1, 0)
    if name == "circle":
        return np.abs(np.linalg.norm(x, axis=1) - 1)
    return np.abs(x[:, 1:] - np.array([-1, -1 / 3, 1 / 3, 1])).min(axis=1) + np.maximum(np.abs(x[:, 0]) - 1, 0)


# Standard deviations in x and y: of U(-1, 1) and of cos 1 / sqrt(3) and 1 / sqrt(2); (1 + 1 + 1/9 + 1/9) / 4 = 5/9.
@pytest.mark.parametrize(
    ("name", "deviations"),
    [
        ("gaussian", (1, 1)),
        ("line", (3**-0.5, 0)),
        ("circle", (2**-0.5, 2**-0.5)),
        ("four lines", (3**-0.5, 5**0.5 / 3)),
    ],
)
def test_targets(name: str, deviations: tuple[float, float]) -> None:
    x = TARGETS[name](np.random.default_rng(0), 20_000)
    assert (x.shape, x.dtype) == ((20_000, 2), np.float32)
    np.testing.assert_allclose(_distance_to_target(name, x), 0, atol=1e-6)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(x.std(axis=0), deviations, atol=0.03)


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_consensus_on_the_dirac_gan_is_its_closed_form(gamma: float) -> None:
    """L_d = psi theta and L_g = -psi theta, so v = (-psi, theta) and |v|^2 / 2 has the gradient (theta, psi)."""
    rate, theta, psi = 0.1, 0.7, -0.4
    gan = Consensus(
        generator=Position(),
        discriminator=Slope(),
        loss=losses.wasserstein(),
        g_optimizer=optax.sgd(rate),
        d_optimizer=optax.sgd(rate),
        prior=priors.normal(1),
        gamma=gamma,
    )
    batch = Batch(jnp.zeros((1, 3, 1)))
    state = jit(gan.init)(jax.random.key(0), batch)
    train_step = jit(gan.train_step)
    state = dataclasses.replace(
        state,
        generator=dataclasses.replace(state.generator, params={"theta": jnp.float32(theta)}),
        discriminator=dataclasses.replace(state.discriminator, params={"psi": jnp.float32(psi)}),
    )
    for number in range(1, 4):
        state, metrics = train_step(state, batch, jax.random.key(number))
        assert metrics["d_loss"] == pytest.approx(psi * theta, rel=1e-5)
        assert (metrics["g_grad"], metrics["d_grad"]) == pytest.approx((abs(psi), abs(theta)), rel=1e-5)
        theta, psi = theta - rate * (-psi + gamma * theta), psi - rate * (theta + gamma * psi)
        assert int(state.step) == number
        assert state.generator.params["theta"] == pytest.approx(theta, rel=1e-5)
        assert state.discriminator.params["psi"] == pytest.approx(psi, rel=1e-5)


class _Seen(nn.Module):
    """Returns the first coordinate of what it is shown."""

    @nn.compact
    def __call__(self, x: Data, y: None, train: bool) -> jax.Array:
        return x[:, 0]


def test_instance_noise_has_its_size_and_is_only_for_training() -> None:
    x = jnp.full((10_000, 2), 3.0)
    noisy = Noisy(_Seen(), 0.5)

    def seen(key: int) -> np.ndarray:
        return np.asarray(noisy.apply({}, x, None, True, rngs={"noise": jax.random.key(key)}))

    assert seen(0).mean() == pytest.approx(3, abs=0.03)
    assert seen(0).std() == pytest.approx(0.5, abs=0.02)
    assert not np.array_equal(seen(0), seen(1))
    np.testing.assert_array_equal(noisy.apply({}, x, None, False), 3.0)


def test_there_are_twelve_methods_with_the_optimizers_rates_and_strengths() -> None:
    assert len(METHODS) == 12
    counts = [len(convergence.settings(name)) for name in METHODS]
    assert counts == [6, 6] + [18] * 10
    for name in METHODS:
        tried = convergence.settings(name)
        assert len({tuple(one.values()) for one in tried}) == len(tried)


@pytest.mark.slow
def test_a_row_has_best_and_median_of_every_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = {name: TARGETS[name] for name in ("line", "four lines")}
    monkeypatch.setattr(convergence, "TARGETS", targets)
    monkeypatch.setattr(convergence, "METHODS", {"minimax": METHODS["minimax"]})
    assert call(reproduce.main, "convergence", "--budget", "small", "--out", tmp_path) == 0
    rows = json.loads((tmp_path / "convergence-small.json").read_text())["rows"]
    assert list(rows) == ["real points", "untrained", "minimax"]
    results = rows["minimax"]["results"]
    for result in results:
        for target in targets:
            # The curve of the best setting ends where the table's number is, and begins at the untrained generator.
            curve = result["curves"][target]
            untrained = rows["untrained"]["results"][result["seed"]]["numbers"][f"{target}_best"]
            assert curve[0] == pytest.approx(untrained, rel=1e-3)
            assert curve[-1] == pytest.approx(result["numbers"][f"{target}_best"], rel=1e-3)
            assert result["numbers"][f"{target}_median"] > 0
    assert results[0]["numbers"]["runs"] == 2 * 6 * 2  # Targets, settings, seeds of the search.
    assert "runs" not in results[1]["numbers"]
    scores = [score for target in targets for score in results[0]["curves"][f"{target}, search"]]
    assert len(scores) == pytest.approx(2 * 6 * (1 - results[0]["numbers"]["diverged"] / 100))
    assert (tmp_path / "convergence-small-minimax.png").is_file()
    assert (tmp_path / "convergence-small.png").is_file()
