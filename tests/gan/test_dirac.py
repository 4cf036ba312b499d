"""A GAN of two numbers against its closed forms (Mescheder et al. 2018, arXiv:1801.04406)."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from jax import lax

from gan_jax import GAN, Batch, GANState, Loss, losses, penalties
from tests.gan.helpers import KEY, METRICS, dirac, positions, real
from tests.helpers import jit


def trajectory(gan: GAN, steps: int, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    def body(state: GANState, rng: jax.Array) -> tuple[GANState, Any]:
        state, _ = gan.train_step(state, batch, rng)
        return state, positions(state)

    _, path = jax.jit(lambda state, keys: lax.scan(body, state, keys))(
        gan.init(KEY, batch), jax.random.split(KEY, steps)
    )
    theta, psi = np.asarray(path, np.float64)
    return theta, psi


def sigmoid(t: float) -> float:
    return 1 / (1 + np.exp(-t))


# With data at 0 and t = psi theta: the derivatives of d_loss and g_loss in t.
DIRAC: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "minimax": (sigmoid, lambda t: -sigmoid(t)),
    "non_saturating": (sigmoid, lambda t: -sigmoid(-t)),
    "least_squares": (lambda t: t, lambda t: t - 1),
    "hinge": (lambda t: float(t > -1), lambda t: -1.0),
    "wasserstein": (lambda t: 1.0, lambda t: -1.0),
    "relativistic_pairing": (sigmoid, lambda t: -sigmoid(-t)),
}


# The derivative in psi of a penalty of weight 1/2: the gradient of psi x is psi everywhere.
PENALTIES: dict[str, Callable[[float], float]] = {
    "r1": lambda psi: psi / 2,
    "r2": lambda psi: psi / 2,
    "wgan_gp": lambda psi: (abs(psi) - 1) * np.sign(psi),
    "dragan": lambda psi: (abs(psi) - 1) * np.sign(psi),
}


@pytest.mark.parametrize(
    ("name", "penalty", "n_critic"),
    [(name, None, 1) for name in DIRAC] + [("non_saturating", penalty, 2) for penalty in PENALTIES],
)
def test_dirac_gan_follows_the_analytic_updates(name: str, penalty: str | None, n_critic: int) -> None:
    lr, theta, psi = 0.2, 0.9, -0.7
    fields = {} if penalty is None else {"penalty": getattr(penalties, penalty)(0.5)}
    gan = dirac(getattr(losses, name)(), theta=theta, psi=psi, lr=lr, n_critic=n_critic, **fields)
    d_slope, g_slope = DIRAC[name]
    expected = []
    for _ in range(20):
        for _ in range(n_critic):
            psi -= lr * (d_slope(psi * theta) * theta + (PENALTIES[penalty](psi) if penalty else 0.0))
        theta -= lr * g_slope(psi * theta) * psi
        expected.append((theta, psi))
    actual = np.stack(trajectory(gan, 20, real(0.0, 0.0, n_critic=n_critic)), axis=1)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_unpenalised_dirac_wasserstein_gan_circles_for_ever() -> None:
    lr = 0.1
    theta, psi = trajectory(dirac(losses.wasserstein(), theta=1.0, psi=0.0, lr=lr), 5000, real(0.0))
    # psi' = psi - h theta, theta' = theta + h psi' is symplectic: it conserves theta^2 + psi^2 - h theta psi.
    np.testing.assert_allclose(theta**2 + psi**2 - lr * theta * psi, 1.0, rtol=1e-4)
    # cos(angle) = 1 - h^2 / 2 a step: 5000 * .10004 / (2 pi) = 79.6 turns, each of which crosses psi = 0 twice.
    crossings = np.count_nonzero(np.diff(np.sign(psi[psi != 0])))
    assert crossings in (159, 160)


def test_unpenalised_dirac_minimax_gan_does_not_come_closer() -> None:
    theta, psi = trajectory(dirac(losses.minimax(), theta=1.0, psi=0.0, lr=0.1), 5000, real(0.0))
    assert np.hypot(theta, psi)[-200:].min() > 0.8
    assert theta[-200:].min() < -0.5
    assert theta[-200:].max() > 0.5


def test_unpenalised_dirac_non_saturating_gan_comes_closer_ever_more_slowly() -> None:
    lr, steps = 0.1, 5000
    theta, psi = trajectory(dirac(losses.non_saturating(), theta=1.0, psi=0.0, lr=lr), steps, real(0.0))
    # In continuous time (r^2)' = 2 t (sigmoid(-t) - sigmoid(t)) = -t^2 for a small t = psi theta; over a turn t^2 is
    # r^4 / 8 on average, so 1 / r^2 grows by 1/8 per unit of time, here to 1 + 500 / 8.
    last_turn = slice(-126, None)
    np.testing.assert_allclose((1 / (theta**2 + psi**2))[last_turn].mean(), 1 + lr * steps / 8, rtol=0.03)


def test_r1_makes_the_dirac_wasserstein_gan_converge_at_the_linear_rate() -> None:
    lr, gamma, steps = 0.1, 0.5, 200
    gan = dirac(losses.wasserstein(), theta=1.0, psi=0.5, lr=lr, penalty=penalties.r1(gamma))
    theta, psi = trajectory(gan, steps, real(0.0))
    # psi' = (1 - h gamma) psi - h theta; theta' = theta + h psi': determinant 1 - h gamma, so |lambda|^2 = .95.
    d_step = np.array([[1, 0], [-lr, 1 - lr * gamma]])
    g_step = np.array([[1, lr], [0, 1]])
    assert np.linalg.det(g_step @ d_step) == pytest.approx(0.95)
    expected = [np.linalg.matrix_power(g_step @ d_step, t) @ [1.0, 0.5] for t in range(1, steps + 1)]
    np.testing.assert_allclose(np.stack([theta, psi], axis=1), expected, atol=1e-5)
    # .95^100 = .0059.
    assert np.hypot(theta, psi)[-1] < 0.01


@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_r1_makes_the_dirac_gan_converge(name: str) -> None:
    gan = dirac(getattr(losses, name)(), theta=1.0, psi=0.0, lr=0.1, penalty=penalties.r1(1.0))
    theta, psi = trajectory(gan, 2000, real(0.0))
    assert np.hypot(theta, psi)[-1] < 1e-4


def test_metrics_by_hand() -> None:
    gan = dirac(losses.non_saturating(), theta=1.0, psi=np.log(3), lr=0.5, penalty=penalties.r1(2.0))
    state, metrics = jit(gan.train_step)(gan.init(KEY, real(0.0, 0.0)), real(0.0, 0.0), KEY)
    # D(x) = 1/2, D(G(z)) = sigmoid(log 3) = 3/4; d_loss = log 2 + log 4 = 3 log 2; R1 = 2/2 (log 3)^2.
    # psi' = log 3 - .5 (3/4 + 2 log 3) = -3/8; D(G(z)) afterwards sigmoid(-3/8); g_loss = log(1 + e^(3/8)).
    # The gradients are 3/4 + 2 log 3 and -3/8 sigmoid(3/8).
    expected = {
        "d_loss": 2.0794415,
        "penalty": 1.2069490,
        "estimate": -0.3465736,
        "d_real": 0.5,
        "d_fake": 0.75,
        "saturated": 0.0,
        "d_grad": 2.9472246,
        "g_loss": 0.8981233,
        "d_fake_after": 0.4073334,
        "g_grad": 0.2222500,
    }
    np.testing.assert_allclose(positions(state)[1], -0.375, rtol=1e-6)
    assert metrics.keys() == expected.keys() == METRICS
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("loss", "theta", "expected"),
    [
        # Probabilities .993, .982, .007 and 1/2 of the real examples, sigmoid(theta) of all generated ones.
        (losses.non_saturating(), 1.0, 1 / 8),
        (losses.non_saturating(), -5.0, 5 / 8),
        # Beyond the margin: 5 and 4 of the real ones.
        (losses.hinge(), 1.0, 2 / 8),
        (losses.hinge(), -1.5, 6 / 8),
        (losses.wasserstein(), -5.0, 0.0),
        # Each pair by itself: u = 5 - theta, 4 - theta, -5 - theta, -theta, and both derivatives are sigmoid(-u).
        (losses.relativistic_pairing(), -5.0, 3 / 4),
    ],
)
def test_outputs_on_which_d_s_loss_hardly_depends_are_saturated(loss: Loss, theta: float, expected: float) -> None:
    gan, batch = dirac(loss, theta=theta, psi=1.0), real(5.0, 4.0, -5.0, 0.0)
    for accumulate in (1, 2):
        _, metrics = jit(gan.replace(accumulate=accumulate).train_step)(gan.init(KEY, batch), batch, KEY)
        assert float(metrics["saturated"]) == expected
