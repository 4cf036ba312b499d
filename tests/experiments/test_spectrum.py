import functools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.sparse.linalg
from jax.flatten_util import ravel_pytree

from experiments.reproduce import __main__ as reproduce
from experiments.reproduce import dirac, spectrum
from gan_jax import losses, penalties, priors, training
from gan_jax.gan import GAN, Batch, GANState
from gan_jax.nets import heads, mlp
from gan_jax.training import Examples
from tests.experiments.helpers import call
from tests.helpers import few, jit

KEY = jax.random.key(0)


def _of_dirac(name: str) -> tuple[GAN, float, float]:
    loss, slope, penalty, curvature = dirac._CASES[name]
    assert curvature is not None
    gan = GAN(
        generator=dirac.Position(),
        discriminator=dirac.Slope(),
        loss=loss,
        g_optimizer=optax.sgd(0.1),
        d_optimizer=optax.sgd(0.1),
        prior=priors.normal(1),
    )
    return gan if penalty is None else gan.replace(penalty=penalty), slope, curvature


_SMOOTH = [name for name, case in dirac._CASES.items() if case[3] is not None]


@pytest.mark.parametrize("name", few(_SMOOTH, "hinge", "non-saturating + R1"))
def test_the_spectrum_of_dirac_gan_is_its_closed_form(name: str) -> None:
    """J = [[c, f], [-f, 0]] in (psi, theta), so that l^2 - c l + f^2 = 0."""
    gan, slope, curvature = _of_dirac(name)
    state = jit(gan.init)(KEY, Batch(jnp.zeros((1, 1, 1))))
    product, size = spectrum.product(gan, state, Batch(jnp.zeros((4, 1))), KEY)
    assert size == 2
    dense = jit(jax.vmap(product))(jnp.eye(2)).T
    np.testing.assert_allclose(dense, [[curvature, slope], [-slope, 0]], atol=1e-6)
    values, residual = spectrum.leading(
        np.asarray(jit(lambda start: spectrum.arnoldi(product, start, 2))(jnp.array([1.0, 2.0]))), 2
    )
    root = np.sqrt(complex(curvature**2 / 4 - slope**2))
    theirs = [curvature / 2 + root, curvature / 2 - root]
    np.testing.assert_allclose(sorted(values, key=np.imag), sorted(theirs, key=np.imag), atol=2e-6)
    assert residual < 1e-5
    assert spectrum.summary(values)["largest"] == pytest.approx(curvature / 2, abs=2e-6)


def _small(penalty: Any, loss: Any) -> tuple[GAN, GANState, Batch]:
    gan = GAN(
        generator=mlp.Generator((2,), (8,), output=None),
        discriminator=mlp.Discriminator((8,), heads.Logit()),
        loss=loss,
        g_optimizer=optax.adam(1e-2),
        d_optimizer=optax.adam(1e-2),
        prior=priors.normal(2),
        penalty=penalty,
    )
    examples = Examples(np.random.default_rng(0).standard_normal((64, 2), np.float32))
    state = jit(training.initial_state, static_argnums=0)(gan, KEY, examples)
    return gan, state, Batch(jnp.asarray(examples.x))


@pytest.mark.parametrize(
    ("penalty", "loss"),
    [
        (penalties.r1(0.5), losses.non_saturating()),
        pytest.param(penalties.wgan_gp(1.0), losses.wasserstein(), marks=pytest.mark.slow),
    ],
)
def test_the_iteration_finds_the_eigenvalues_of_the_dense_jacobian_and_of_scipy(penalty: Any, loss: Any) -> None:
    gan, state, batch = _small(penalty, loss)
    product, size = spectrum.product(gan, state, batch, KEY)
    at, unravel = ravel_pytree((state.discriminator.params, state.generator.params))
    dense = jax.jit(jax.jacfwd(lambda flat: ravel_pytree(spectrum.field(gan, state, batch, KEY, unravel(flat)))[0]))(at)
    assert dense.shape == (size, size) == (8 * 4 + 1 + 8 * 5 + 2,) * 2
    exact = np.linalg.eigvals(np.asarray(dense, np.float64))
    exact = exact[np.argsort(-np.abs(exact))]
    matrix = jax.jit(lambda start: spectrum.arnoldi(product, start, 50))(jax.random.normal(KEY, (size,)))
    values, residual = spectrum.leading(np.asarray(matrix), 6)
    scale = abs(exact[0])
    assert residual < 1e-3
    np.testing.assert_allclose(np.abs(values), np.abs(exact[:6]), atol=1e-3 * scale)
    assert max(np.abs(exact - value).min() for value in values) < 1e-3 * scale
    operator = scipy.sparse.linalg.LinearOperator((size, size), matvec=jax.jit(product), dtype=np.float32)
    theirs = scipy.sparse.linalg.eigs(operator, 6, return_eigenvectors=False, v0=np.ones(size, np.float32))
    np.testing.assert_allclose(np.sort(np.abs(theirs)), np.sort(np.abs(values)), atol=1e-3 * scale)


def test_the_field_is_what_train_steps_descend() -> None:
    """One D step and one G step of plain gradient descent, each from the same state."""
    gan, _, batch = _small(penalties.r1(0.5), losses.non_saturating())
    sgd = gan.replace(g_optimizer=optax.sgd(1.0), d_optimizer=optax.sgd(1.0))
    fresh = jit(sgd.init)(KEY, jax.tree.map(lambda leaf: leaf[None], batch))
    field = jax.jit(functools.partial(spectrum.field, sgd))
    d, g = field(fresh, batch, KEY, (fresh.discriminator.params, fresh.generator.params))
    for step, of, gradient in ((sgd.d_step, "discriminator", d), (sgd.g_step, "generator", g)):
        after, _ = jax.jit(step)(fresh, batch, KEY)
        moved = jax.tree.map(jnp.subtract, getattr(fresh, of).params, getattr(after, of).params)
        for ours, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(moved), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_what_a_spectrum_says() -> None:
    found = spectrum.summary(np.array([3 + 4j, 3 - 4j, -2, 0]))
    assert found == {"imaginary": pytest.approx(100 * 8 / 12), "turning": 4, "largest": 3, "least": -2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "penalty"),
    [
        ("hinge", penalties.none),
        ("relativistic_pairing", penalties.dragan(0.1, 0.0)),
        ("minimax", penalties.total(penalties.r1(0.1), penalties.r2(0.1))),
    ],
)
def test_a_cell_is_the_game_of_its_loss_and_penalty(loss: str, penalty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without DRAGAN's noise, whose key is that of one of four penalties here and of the only one there."""
    monkeypatch.setitem(spectrum._TERMS, "dragan", lambda weight: penalties.dragan(weight, 0.0))
    name = {"hinge": "none", "relativistic_pairing": "dragan", "minimax": "R1 + R2"}[loss]
    protocol = spectrum._DATA["ring"]._replace(width=8)
    examples = Examples(np.random.default_rng(0).standard_normal((32, 2), np.float32))
    batch = Batch(jnp.asarray(examples.x))
    hyperparams = spectrum.hyperparams_of(protocol, [("wasserstein", "R1"), (loss, name)])
    gan = spectrum.game((2,), protocol, jax.tree.map(lambda leaf: leaf[1], hyperparams))
    plain = gan.replace(loss=losses.LOSSES[loss](), penalty=penalty)
    state = jit(training.initial_state, static_argnums=0)(gan, KEY, examples)
    players = state.discriminator.params, state.generator.params
    ours, theirs = (spectrum.field(each, state, batch, KEY, players) for each in (gan, plain))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), ours, theirs)


def test_changes_are_taken_seed_by_seed_where_both_are_finite() -> None:
    results = [
        {"numbers": {"hinge, R1: least": 3.0, "hinge, none: least": 1.0}},
        {"numbers": {"hinge, R1: least": 5.0, "hinge, none: least": None}},
    ]
    assert spectrum._changes(results, "hinge", "R1", "least") == [2.0, None]
    assert spectrum._text([2.0, None], 1) == "2.0 (1 of 2)"
    assert spectrum._text([None, None], 1) == "not finite"


@pytest.mark.slow
def test_the_small_table(tmp_path: Path) -> None:
    assert call(reproduce.main, "spectrum", "--budget", "small", "--seeds", 1, "--out", tmp_path) == 0
    rows = json.loads((tmp_path / "spectrum-small.json").read_text())["rows"]
    for name in ("ring", "mnist"):
        (result,) = rows[name]["results"]
        assert set(result["numbers"]) >= {spectrum.key(*cell, "imaginary") for cell in spectrum.CELLS}
        assert None not in result["numbers"].values()
    assert (tmp_path / "spectrum-small.png").is_file()
