import inspect
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from gan_jax import Loss, losses

LOSSES = {
    name: make()
    for name, make in vars(losses).items()
    if inspect.isfunction(make) and make.__module__ == losses.__name__ and not name.startswith("_")
}
CROSS_ENTROPIES = ["minimax", "non_saturating"]
LOG_2, LOG_3 = math.log(2), math.log(3)

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())

quick = settings(deadline=None, max_examples=40)

ATOMS = 4
BATCH = 24
# A batch of 24 in which each of four atoms occurs at least once: a distribution with full support.
atoms = st.lists(st.integers(0, ATOMS - 1), min_size=BATCH - ATOMS, max_size=BATCH - ATOMS).map(
    lambda rest: np.array([*range(ATOMS), *rest])
)
logits_of_atoms = st.lists(st.floats(-6, 6, width=32), min_size=ATOMS, max_size=ATOMS).map(np.array)
batch_of_logits = st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3).map(
    lambda values: jnp.array(values, jnp.float32)
)


def frequencies(atoms: np.ndarray) -> np.ndarray:
    return np.bincount(atoms, minlength=ATOMS) / BATCH


def estimate(loss: Loss, critic: np.ndarray, real: np.ndarray, fake: np.ndarray) -> float:
    """The divergence that a discriminator, given by its logit on each atom, reads off two batches of atoms."""
    logits = jnp.asarray(critic, jnp.float32)
    return float(loss.estimate(loss.d(logits[real], logits[fake])))


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    return jensenshannon(p, q) ** 2


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    return np.abs(p - q).sum() / 2


def le_cam(p: np.ndarray, q: np.ndarray) -> float:
    return ((p - q) ** 2 / (p + q)).sum() / 2


def test_every_loss_is_covered_here() -> None:
    assert set(LOSSES) == {
        "minimax",
        "non_saturating",
        "least_squares",
        "hinge",
        "wasserstein",
        "relativistic_pairing",
    }


@pytest.mark.parametrize("name", CROSS_ENTROPIES)
def test_cross_entropy_of_the_discriminator(name: str) -> None:
    # D(x) = sigmoid(0), sigmoid(log 3) = 1/2, 3/4; D(G(z)) = 1/2, 3/4.
    # -E log D(x) = (log 2 + log 4/3) / 2; -E log(1 - D(G(z))) = (log 2 + log 4) / 2.
    # Sum: log(2 * 4/3 * 2 * 4) / 2 = log(64 / 3) / 2.
    d_loss = LOSSES[name].d(jnp.array([0.0, LOG_3]), jnp.array([0.0, LOG_3]))
    np.testing.assert_allclose(d_loss, 1.5301353, rtol=1e-6)
    np.testing.assert_allclose(d_loss, math.log(64 / 3) / 2, rtol=1e-6)


def test_generator_of_the_minimax_game() -> None:
    # E log(1 - D(G(z))) = (log 1/2 + log 1/4) / 2 = -1.5 log 2.
    g_loss = losses.minimax().g(jnp.zeros(2), jnp.array([0.0, LOG_3]))
    np.testing.assert_allclose(g_loss, -1.0397208, rtol=1e-6)


def test_generator_of_the_non_saturating_game() -> None:
    # -E log D(G(z)) = (log 2 + log 4/3) / 2 = log(8/3) / 2.
    g_loss = losses.non_saturating().g(jnp.zeros(2), jnp.array([0.0, LOG_3]))
    np.testing.assert_allclose(g_loss, 0.4904146, rtol=1e-6)


def test_least_squares() -> None:
    loss = losses.least_squares()
    # (.5^2 + 2^2) / 2 / 2 + (0^2 + (-2)^2) / 2 / 2 = 1.0625 + 1.
    np.testing.assert_allclose(loss.d(jnp.array([1.5, 3.0]), jnp.array([0.0, -2.0])), 2.0625)
    # ((-1)^2 + (-3)^2) / 2 / 2.
    np.testing.assert_allclose(loss.g(jnp.array([1.5, 3.0]), jnp.array([0.0, -2.0])), 2.5)


def test_hinge() -> None:
    loss = losses.hinge()
    # (max(0, -1) + max(0, .5)) / 2 + (max(0, -2) + max(0, 1.25)) / 2 = .25 + .625.
    np.testing.assert_allclose(loss.d(jnp.array([2.0, 0.5]), jnp.array([-3.0, 0.25])), 0.875)
    # -(-3 + .25) / 2.
    np.testing.assert_allclose(loss.g(jnp.array([2.0, 0.5]), jnp.array([-3.0, 0.25])), 1.375)


def test_wasserstein() -> None:
    loss = losses.wasserstein()
    # (-3 + .25) / 2 - (2 + .5) / 2 = -1.375 - 1.25.
    d_loss = loss.d(jnp.array([2.0, 0.5]), jnp.array([-3.0, 0.25]))
    np.testing.assert_allclose(d_loss, -2.625)
    np.testing.assert_allclose(loss.estimate(d_loss), 2.625)
    np.testing.assert_allclose(loss.g(jnp.array([2.0, 0.5]), jnp.array([-3.0, 0.25])), 1.375)


def test_relativistic_pairing() -> None:
    loss = losses.relativistic_pairing()
    real, fake = jnp.array([LOG_3, LOG_3]), jnp.array([0.0, LOG_3])
    # u = log 3, 0. E softplus(-u) = (log 4/3 + log 2) / 2; E softplus(u) = (log 4 + log 2) / 2.
    np.testing.assert_allclose(loss.d(real, fake), 0.4904146, rtol=1e-6)
    np.testing.assert_allclose(loss.g(real, fake), 1.0397208, rtol=1e-6)


def test_relativistic_pairing_compares_pairs_and_not_means() -> None:
    loss = losses.relativistic_pairing()
    real = jnp.array([LOG_3, -LOG_3])
    # u = 0, 0: log 2. Swapped, u = 2 log 3, -2 log 3: (log(1 + 1/9) + log(1 + 9)) / 2 = log(100 / 9) / 2.
    np.testing.assert_allclose(loss.d(real, real), LOG_2, rtol=1e-6)
    np.testing.assert_allclose(loss.d(real, real[::-1]), 1.2039728, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "d_loss"),
    [
        ("minimax", 2 * LOG_2),
        ("non_saturating", 2 * LOG_2),
        ("least_squares", 0.5),
        ("hinge", 2.0),
        ("wasserstein", 0.0),
        ("relativistic_pairing", LOG_2),
    ],
)
def test_discriminator_loss_at_zero_logits(name: str, d_loss: float) -> None:
    np.testing.assert_allclose(LOSSES[name].d(jnp.zeros(3), jnp.zeros(3)), d_loss, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "indifferent_logit"),
    [(name, 0.5 if name == "least_squares" else 0.0) for name in LOSSES],
)
def test_estimate_is_zero_where_the_discriminator_cannot_tell(name: str, indifferent_logit: float) -> None:
    logits = jnp.full(3, indifferent_logit)
    np.testing.assert_allclose(LOSSES[name].estimate(LOSSES[name].d(logits, logits)), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("minimax", LOG_2),
        ("non_saturating", LOG_2),
        ("least_squares", 1.0),
        ("hinge", 1.0),
        ("relativistic_pairing", LOG_2),
    ],
)
@given(real=batch_of_logits, fake=batch_of_logits)
@quick
def test_estimate_never_exceeds_its_divergence_maximum(
    name: str, bound: float, real: jax.Array, fake: jax.Array
) -> None:
    loss = LOSSES[name]
    assert loss.estimate(loss.d(real, fake)) <= bound * (1 + 1e-6)


@pytest.mark.parametrize("name", ["wasserstein", "relativistic_pairing"])
@given(real=batch_of_logits, fake=batch_of_logits, shift=st.floats(-1e3, 1e3, width=32))
@quick
def test_discriminator_loss_ignores_a_shift_of_all_logits(
    name: str, real: jax.Array, fake: jax.Array, shift: float
) -> None:
    d = LOSSES[name].d
    # Rounding of a sum of size 1e4 + 1e3: a few times 2^-24 of it.
    np.testing.assert_allclose(d(real + shift, fake + shift), d(real, fake), rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("name", ["minimax", "non_saturating", "hinge"])
@given(real=batch_of_logits, fake=batch_of_logits)
@quick
def test_real_and_fake_play_mirrored_parts(name: str, real: jax.Array, fake: jax.Array) -> None:
    d = LOSSES[name].d
    np.testing.assert_allclose(d(-fake, -real), d(real, fake), rtol=1e-6)


@given(real=batch_of_logits, fake=batch_of_logits)
@quick
def test_minimax_is_a_zero_sum_game(real: jax.Array, fake: jax.Array) -> None:
    loss = losses.minimax()
    np.testing.assert_array_equal(jax.grad(loss.g, argnums=1)(real, fake), -jax.grad(loss.d, argnums=1)(real, fake))


@every_loss
def test_discriminator_raises_real_and_lowers_fake_logits(loss: Loss) -> None:
    undecided = jnp.full(3, 0.5)
    real_gradient, fake_gradient = jax.grad(loss.d, argnums=(0, 1))(undecided, undecided)
    assert (real_gradient < 0).all()
    assert (fake_gradient > 0).all()


@every_loss
def test_generator_raises_fake_logits(loss: Loss) -> None:
    undecided = jnp.full(3, 0.5)
    assert (jax.grad(loss.g, argnums=1)(undecided, undecided) < 0).all()


def test_only_the_minimax_generator_stalls_before_a_confident_discriminator() -> None:
    real, fake = jnp.full(2, 10.0), jnp.full(2, -10.0)
    # d/da log(1 - sigmoid(a)) = -sigmoid(-10) = -4.5398e-5, d/da -log sigmoid(a) = -sigmoid(10) = -.9999546; B = 2.
    np.testing.assert_allclose(jax.grad(losses.minimax().g, argnums=1)(real, fake), -2.2699e-5 * np.ones(2), rtol=1e-4)
    np.testing.assert_allclose(
        jax.grad(losses.non_saturating().g, argnums=1)(real, fake), -0.4999773 * np.ones(2), rtol=1e-6
    )


@every_loss
def test_values_and_gradients_are_finite_at_extreme_logits(loss: Loss) -> None:
    real = jnp.array([1e4, 1e4, -1e4, -1e4])
    fake = jnp.array([1e4, -1e4, 1e4, -1e4])
    for player in (loss.d, loss.g):
        value, gradients = jax.value_and_grad(player, argnums=(0, 1))(real, fake)
        assert value.shape == ()
        assert jnp.isfinite(value)
        assert jnp.isfinite(jnp.stack(gradients)).all()
    assert jnp.isfinite(loss.score(real)).all()
    assert jnp.isfinite(loss.estimate(loss.d(real, fake)))


def test_cross_entropies_are_exact_where_a_probability_would_underflow() -> None:
    loss = losses.non_saturating()
    wrong = (jnp.full(2, -1e4), jnp.full(2, 1e4))
    # softplus(1e4) = 1e4 to float precision: -log D(x) = -log(1 - D(G(z))) = 1e4.
    np.testing.assert_allclose(loss.d(*wrong), 2e4)
    np.testing.assert_allclose(loss.g(jnp.zeros(2), jnp.full(2, -1e4)), 1e4)
    np.testing.assert_array_equal(jax.grad(loss.g, argnums=1)(jnp.zeros(2), jnp.full(2, -1e4)), [-0.5, -0.5])


def test_scores_are_probabilities_where_the_discriminator_models_one() -> None:
    logits = jnp.array([-LOG_3, 0.0, LOG_3])
    for name, loss in LOSSES.items():
        expected = [0.25, 0.5, 0.75] if name in CROSS_ENTROPIES else logits
        np.testing.assert_allclose(loss.score(logits), expected, rtol=1e-6)


@given(real=atoms, fake=atoms, other=logits_of_atoms)
@quick
def test_cross_entropies_estimate_the_jensen_shannon_divergence(
    real: np.ndarray, fake: np.ndarray, other: np.ndarray
) -> None:
    p, q = frequencies(real), frequencies(fake)
    for name in CROSS_ENTROPIES:
        loss = LOSSES[name]
        np.testing.assert_allclose(estimate(loss, np.log(p / q), real, fake), jensen_shannon(p, q), atol=1e-6)
        assert estimate(loss, other, real, fake) <= jensen_shannon(p, q) + 1e-6


@given(real=atoms, fake=atoms, other=logits_of_atoms)
@quick
def test_hinge_estimates_the_total_variation(real: np.ndarray, fake: np.ndarray, other: np.ndarray) -> None:
    p, q = frequencies(real), frequencies(fake)
    loss = losses.hinge()
    np.testing.assert_allclose(estimate(loss, np.sign(p - q), real, fake), total_variation(p, q), atol=1e-6)
    assert estimate(loss, other, real, fake) <= total_variation(p, q) + 1e-6


@given(real=atoms, fake=atoms, other=logits_of_atoms)
@quick
def test_least_squares_estimates_the_le_cam_divergence(real: np.ndarray, fake: np.ndarray, other: np.ndarray) -> None:
    p, q = frequencies(real), frequencies(fake)
    loss = losses.least_squares()
    np.testing.assert_allclose(estimate(loss, p / (p + q), real, fake), le_cam(p, q), atol=1e-6)
    assert estimate(loss, other, real, fake) <= le_cam(p, q) + 1e-6


@given(real=atoms, fake=atoms, places=st.permutations([-3.0, -1.0, 0.5, 4.0]))
@quick
def test_wasserstein_estimates_the_earth_movers_distance(
    real: np.ndarray, fake: np.ndarray, places: list[float]
) -> None:
    p, q = frequencies(real), frequencies(fake)
    order = np.argsort(places)
    # On a line the best 1-Lipschitz critic climbs wherever the fakes' distribution function is above that of the data.
    slopes = np.sign(np.cumsum(q[order]) - np.cumsum(p[order]))[:-1]
    critic = np.empty(ATOMS)
    critic[order] = np.concatenate([[0], np.cumsum(slopes * np.diff(np.sort(places)))])
    distance = wasserstein_distance(places, places, p, q)
    np.testing.assert_allclose(estimate(losses.wasserstein(), critic, real, fake), distance, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_can_be_pickled(name: str) -> None:
    assert pickle.loads(pickle.dumps(LOSSES[name])) == LOSSES[name]


@every_loss
def test_values_and_gradients_are_finite_up_to_the_bound_of_the_docstring(loss: Loss) -> None:
    real, fake = jnp.full(10_000, -1e17), jnp.full(10_000, 1e17)
    for f in (loss.d, loss.g):
        value, gradients = jax.value_and_grad(f, (0, 1))(real, fake)
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in gradients)
