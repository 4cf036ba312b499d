"""Does training end where the game turns? Eigenvalues of the game's Jacobian under every loss and penalty.

After Mescheder et al. 2017 (arXiv:1705.10461) and Berard et al. 2020 (arXiv:1906.04848). The vector field is v = (grad
of D's loss in D's parameters, grad of G's loss in G's), which gradient descent follows downwards: near an equilibrium
it converges, with a small enough rate, where every eigenvalue of v's Jacobian has a positive real part. Imaginary
parts turn it; a negative real part drives it away.

The eigenvalues of largest modulus are those of the Hessenberg matrix of Arnoldi's iteration (1951) on products of the
Jacobian with vectors, exact to rounding in forward over reverse mode, on a fixed minibatch.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Complex, Float

from experiments.reproduce import intervals, seeds, transport
from experiments.reproduce.members import Members
from experiments.reproduce.table import Budget, Column, Outcome, Published, Record, Row, Table
from gan_jax import data, losses, penalties, priors, training
from gan_jax.examples import Examples
from gan_jax.gan import GAN, Batch, GANState
from gan_jax.lab import style
from gan_jax.losses import Loss
from gan_jax.nets import heads, mlp
from gan_jax.population import Hyperparams
from gan_jax.recipes.builders import are_points
from gan_jax.training import from_uint8
from gan_jax.typing import Key, Logits, Params, Scalar, Shape

_STOPS = (0.04, 0.2, 1.0)
_KEPT = 10
_CHUNK = 60
_BATCH, _B1 = 64, 0.5
_LOSSES = tuple(losses.LOSSES)
_TERMS = {"wgan_gp": penalties.wgan_gp, "dragan": penalties.dragan, "R1": penalties.r1, "R2": penalties.r2}
_PENALTIES = {name: tuple(name.split(" + ")) for name in ("none", *_TERMS, "R1 + R2")}
CELLS = tuple((loss, penalty) for loss in _LOSSES for penalty in _PENALTIES)


class Protocol(NamedTuple):
    """How one kind of data is learned.

    Attributes:
      steps: of training.
      lr: Adam's rate for both players, with b1 .5.
      width: of the hidden layers, two in each player for points and one for images.
      latent: length of z.
      norm: weight of the penalties that push norms of gradients towards 1.
      square: gamma of those that push them towards 0.
      products: of Arnoldi's iteration.
      points: examples on which the field is taken, and samples whose distance is measured.
    """

    steps: int
    lr: float
    width: int
    latent: int
    norm: float
    square: float
    products: int = 80
    points: int = 512


_DATA = {
    "ring": Protocol(5000, 5e-4, 64, 2, 0.1, 0.1),
    "mnist": Protocol(5000, 5e-4, 64, 32, 10.0, 1.0),
}


def field(gan: GAN, state: GANState, batch: Batch, rng: Key, players: tuple[Params, Params]) -> tuple[Params, Params]:
    """The game's vector field at (D's parameters, G's): the gradient of each player's loss in its own.

    Args:
      gan: the game.
      state: everything but parameters.
      batch: real examples, leaves `[B, ...]`.
      rng: decides latents and the penalty's noise, the same for both players.
      players: where.
    """
    d_params, g_params = players
    discriminator = dataclasses.replace(state.discriminator, params=d_params)
    generator = dataclasses.replace(state.generator, params=g_params)
    state = dataclasses.replace(state, discriminator=discriminator, generator=generator)
    fakes = gan.fakes(state, batch, rng)
    d = jax.grad(lambda params: gan.d_loss(params, state, batch, fakes, rng)[0])(d_params)
    g = jax.grad(lambda params: gan.g_loss(params, state, batch, rng)[0])(g_params)
    return d, g


def product(gan: GAN, state: GANState, batch: Batch, rng: Key) -> tuple[Callable[[Array], Array], int]:
    """`vector [P] -> J vector [P]` with the Jacobian J of `field` at the state's parameters, D's first; and P."""
    at, unravel = ravel_pytree((state.discriminator.params, state.generator.params))

    def flat(parameters: Array) -> Array:
        return ravel_pytree(field(gan, state, batch, rng, unravel(parameters)))[0]

    return lambda vector: jax.jvp(flat, (at,), (vector,))[1], at.size


def arnoldi(
    product: Callable[[Array], Array], start: Float[Array, " p"], steps: int
) -> Float[Array, "{steps}+1 {steps}"]:
    """The Hessenberg matrix of Arnoldi's iteration, orthogonalised twice (Daniel et al. 1976), without restarts.

    Written for arrays on the device, so that thousands of Jacobians are one program under `vmap`.

    Args:
      product: `vector [P] -> matrix vector [P]`.
      start: the first vector.
      steps: how many products; at most P.
    """
    basis = jnp.zeros((steps + 1, start.size)).at[0].set(start / jnp.linalg.norm(start))

    def body(basis: Array, k: Array) -> tuple[Array, Array]:
        vector = product(basis[k])
        column = jnp.zeros(steps + 1)
        for _ in range(2):
            part = basis @ vector  # Rows beyond the k-th are 0.
            vector, column = vector - part @ basis, column + part
        size = jnp.linalg.norm(vector)
        return basis.at[k + 1].set(vector / jnp.where(size > 0, size, 1.0)), column.at[k + 1].set(size)

    return lax.scan(body, basis, jnp.arange(steps))[1].T


def leading(hessenberg: Float[np.ndarray, "m+1 m"], count: int) -> tuple[Complex[np.ndarray, " count"], float]:
    """The eigenvalues of largest modulus, and the largest of their residuals, as a share of the largest modulus.

    The residual of a Ritz pair is the last subdiagonal entry times the last entry of its vector (Saad 2011, proposition
    6.8).
    """
    square = np.asarray(hessenberg[:-1], np.float64)
    values, vectors = np.linalg.eig(square)
    order = np.argsort(-np.abs(values), kind="stable")[:count]
    residuals = abs(float(hessenberg[-1, -1])) * np.abs(vectors[-1, order])
    return values[order], float(residuals.max() / max(np.abs(values[order]).max(), 1e-30))


def summary(values: Complex[np.ndarray, " k"]) -> dict[str, float]:
    """What a spectrum says: its share of imaginary part, per cent, its largest one, and the ends of its real parts."""
    return {
        "imaginary": 100 * float(np.abs(values.imag).sum() / max(float(np.abs(values).sum()), 1e-30)),
        "turning": float(np.abs(values.imag).max()),
        "largest": float(values.real.max()),
        "least": float(values.real.min()),
    }


def table(budget: Budget) -> Table:
    """A spectrum for every loss and penalty, on the ring and on MNIST."""
    rows = []
    for name, protocol in _DATA.items():
        count = 2 if budget == "small" else 5
        if budget == "small":
            protocol = protocol._replace(steps=5, width=4, products=12, points=32)
        record = protocol._asdict() | {"batch_size": _BATCH, "stops": _STOPS, "kept": _KEPT, "b1": _B1}
        rows.append(Row(name, record, functools.partial(_measure, name, protocol), range(count), seeds.at_once()))
    return Table("The game's spectrum", _NOTE, {}, [], rows, _plot, _body)


_PUBLISHED = [
    Published(
        "non-saturating, WGAN-GP on MNIST and CIFAR-10",
        "Berard et al. 2020, arXiv:1906.04848",
        {"what": "training ends with large imaginary parts, at a point that is no local Nash equilibrium"},
    ),
    Published(
        "minimax near an equilibrium",
        "Mescheder et al. 2017, arXiv:1705.10461",
        {"what": "eigenvalues with a real part of zero and a large imaginary part stop convergence"},
    ),
]
_NOTE = (
    "The vector field is v = (gradient of D's loss with its penalty in D's parameters, gradient of G's loss in G's), "
    "so simultaneous gradient descent is w <- w - h v(w). Near an equilibrium it converges, for a small enough h, if "
    "every eigenvalue of v's Jacobian has a positive real part, and it needs the smaller an h the more imaginary "
    f"they are. For every cell the {_KEPT} eigenvalues of largest modulus are taken, from Arnoldi's iteration with "
    f"{_DATA['ring'].products} products of the Jacobian with vectors, float32, on {_DATA['ring'].points} examples and "
    "as many latents. `imaginary` is the sum of their |imaginary parts| as a share of the sum of their moduli: 0 "
    "where nothing turns, 100 % where everything does. `early` is after 4 % of the steps. Changes are taken seed by "
    "seed against the same loss without a penalty: the cells of a seed start with the same weights and see the same "
    "minibatches.\n\nRing: two hidden layers of 64 in each net, z a normal in the plane. MNIST: one "
    f"hidden layer of 64, z of 32. Adam(5e-4, b1 .5) for both players, {_DATA['ring'].steps:,} steps, one update "
    "of D per update of G, minibatches of 64. Penalties towards norm 1 (`wgan_gp`, `dragan`) have weight .1 on the "
    "ring and 10 on MNIST, `R1` and `R2` gamma .1 and 1. Brackets are 95 % bootstrap intervals of the interquartile "
    "mean over seeds (Agarwal et al. 2021, arXiv:2108.13264). The exact distance is that of the table `distance`, by "
    "which two samples of the data itself are .07 (ring) and 6.3 (MNIST) apart. A cell whose training became "
    "non-finite on some seeds says on how many it did not.\n\nThe Jacobian is that of plain gradient descent, "
    "without Adam's scaling, at points that are no equilibria, and the eigenvalues are only those of largest "
    "modulus: the bulk near 0, where slow turning and slow escape hide, is not seen. The iteration is checked "
    "against the Dirac-GAN's closed form for every smooth loss and penalty, against the dense Jacobian of a small "
    "net, and against SciPy's ARPACK."
)


def hyperparams_of(protocol: Protocol, cells: Sequence[tuple[str, str]]) -> Hyperparams:
    """What `game` takes for cells of loss and penalty: leaves `[cells, ...]`."""
    weights = [protocol.norm if term in ("wgan_gp", "dragan") else protocol.square for term in _TERMS]
    own = [
        [weight * (term in _PENALTIES[penalty]) for term, weight in zip(_TERMS, weights, strict=True)]
        for _, penalty in cells
    ]
    places = [_LOSSES.index(loss) for loss, _ in cells]
    return {"loss": jnp.asarray(places, jnp.int32), "weights": jnp.asarray(own, jnp.float32)}


def game(shape: Shape, protocol: Protocol, hyperparams: Hyperparams) -> GAN:
    """One cell's GAN: of all of them one program is compiled, for which loss and penalties are numbers.

    Args:
      shape: of the data.
      protocol: how it is learned.
      hyperparams: "loss", an index of `losses.LOSSES`, and "weights" `[4]` of all penalties, most of them 0.
    """
    chosen = [make() for make in losses.LOSSES.values()]

    def switched(player: str) -> Callable[[Logits, Logits], Scalar]:
        return lambda *logits: lax.switch(hyperparams["loss"], [getattr(loss, player) for loss in chosen], *logits)

    terms = [make(weight) for make, weight in zip(_TERMS.values(), hyperparams["weights"], strict=True)]
    points = are_points(shape)
    hidden = (protocol.width,) * (2 if points else 1)
    output: dict[str, Any] = {"output": None} if points else {}
    adam = optax.adam(protocol.lr, _B1, 0.999)
    return GAN(
        generator=mlp.Generator(shape, hidden, **output),
        discriminator=mlp.Discriminator(hidden, heads.Logit()),
        loss=Loss(d=switched("d"), g=switched("g")),
        g_optimizer=adam,
        d_optimizer=adam,
        prior=priors.normal(protocol.latent),
        penalty=penalties.total(*terms),
        data_range=(0.0, 1.0),
    )


def _measure(name: str, protocol: Protocol, numbers: Sequence[int]) -> list[Outcome]:
    """Trains every cell with every seed, all as one population, and takes its spectra at the stops."""
    train, test = data.load(name), data.load(name, "test")
    examples = jax.tree.map(jnp.asarray, train.examples)
    make_gan = functools.partial(game, train.shape, protocol)
    members = [(seed, *cell) for seed in numbers for cell in CELLS]
    hyperparams = hyperparams_of(protocol, [(loss, penalty) for _, loss, penalty in members])
    # The cells of a seed start with the same weights and see the same minibatches.
    keys = [jax.random.key(seed) for seed, *_ in members]
    trained = Members(make_gan, hyperparams, keys, examples, places=len(members), batch_size=_BATCH)
    everyone = np.ones(len(members), bool)
    looks = jax.jit(functools.partial(_looks, make_gan, protocol))
    look_rngs = jnp.stack([jax.random.split(key, 3)[2] for key in keys])
    stops = sorted({max(1, round(share * protocol.steps)) for share in _STOPS})
    spectra: list[list[Complex[np.ndarray, " k"]]] = [[] for _ in members]
    residuals: list[list[float]] = [[] for _ in members]
    for stop in stops:
        trained.advance(everyone, stop)
        matrices, samples = jax.device_get(looks(hyperparams, trained.states, look_rngs, examples))
        for k, matrix in enumerate(matrices):
            usable = trained.finite[k] and np.isfinite(matrix).all()
            values, residual = leading(matrix, _KEPT) if usable else (np.full(_KEPT, np.nan + 0j), np.nan)
            spectra[k].append(values)
            residuals[k].append(residual)
    real = np.asarray(from_uint8(jnp.asarray(test.x[: protocol.points]), (0.0, 1.0)))
    distances = [
        transport.pool().submit(transport.exact, real, each) if ok else None
        for each, ok in zip(samples, trained.finite, strict=True)
    ]
    outcomes = []
    for first in range(0, len(members), len(CELLS)):
        found: dict[str, float] = {}
        curves: dict[str, Sequence[float]] = {}
        for k, cell in enumerate(CELLS, first):
            name_of = functools.partial(key, *cell)
            shares = [summary(values)["imaginary"] for values in spectra[k]]
            ends = summary(spectra[k][-1]) | {"early": shares[0], "residual": residuals[k][-1]}
            waiting = distances[k]
            ends["distance"] = np.nan if waiting is None else waiting.result()
            found |= {name_of(what): value for what, value in ends.items()}
            if trained.finite[k]:
                last = spectra[k][-1]
                curves |= {name_of("imaginary"): shares, name_of("re"): [*last.real], name_of("im"): [*last.imag]}
        outcomes.append(Outcome(found, curves))
    return outcomes


def key(loss: str, penalty: str, what: str) -> str:
    """The name of a cell's number."""
    return f"{loss}, {penalty}: {what}"


def _looks(
    make_gan: Callable[[Hyperparams], GAN],
    protocol: Protocol,
    hyperparams: Hyperparams,
    states: GANState,
    rngs: Array,
    examples: Examples,
) -> tuple[Array, Array]:
    """Every member's Hessenberg matrix, and samples."""

    def one(inputs: tuple[Hyperparams, GANState, Array]) -> tuple[Array, Array]:
        hyperparams, state, rng = inputs
        return look(make_gan(hyperparams), state, rng, examples, protocol)

    # All members at once would need tens of gigabytes for images.
    return lax.map(one, (hyperparams, states, rngs), batch_size=None if jax.default_backend() == "cpu" else _CHUNK)


def look(gan: GAN, state: GANState, rng: Key, examples: Examples, protocol: Protocol) -> tuple[Array, Array]:
    """The Hessenberg matrix of the Jacobian on a large minibatch, and as many samples."""
    start_rng, batch_rng, noise_rng, sample_rng = jax.random.split(rng, 4)
    chosen = training.draw_indices(batch_rng, 0, 1, protocol.points, len(examples.x))[0]
    batch = training.as_batch(gan, jax.tree.map(lambda leaf: leaf[chosen], examples))
    with jax.default_matmul_precision("highest"):  # Not TF32, whose three digits are no spectrum's.
        times, size = product(gan, state, batch, noise_rng)
        matrix = arnoldi(times, jax.random.normal(start_rng, (size,)), protocol.products)
    return matrix, gan.sample(state, sample_rng, protocol.points)


_SHOWN = {
    "early": Column("imaginary, % (early)", 0),
    "imaginary": Column("imaginary, % (end)", 0),
    "turning": Column("largest imaginary part", 1),
    "largest": Column("largest real part", 2),
    "least": Column("least real part", 2),
    "distance": Column("exact distance of samples", 3),
}
_CHANGES = {
    "imaginary": "change by the penalty: imaginary, points",
    "largest": "largest real part",
    "least": "least real part",
}


def _body(rows: Mapping[str, Record]) -> str:
    """One table for each kind of data: every cell's spectrum, and what its penalty changes, seed by seed."""
    parts = ["\n".join(f"- {row.name}: {row.numbers['what']} ({row.source})" for row in _PUBLISHED)]
    for name, row in rows.items():
        results = row["results"]
        if not results:
            continue
        head = ["loss", "penalty", *(column.heading for column in _SHOWN.values()), *_CHANGES.values()]
        lines = [head, ["---"] * len(head)]
        for loss, penalty in CELLS:
            ends = [
                _text([own["numbers"][key(loss, penalty, what)] for own in results], column.decimals)
                for what, column in _SHOWN.items()
            ]
            changes = [
                "" if penalty == "none" else _text(_changes(results, loss, penalty, what), _SHOWN[what].decimals)
                for what in _CHANGES
            ]
            lines.append([loss if penalty == "none" else "", penalty, *ends, *changes])
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"## {name}, {len(results)} seeds\n\n{table}")
    return "\n\n".join(parts)


def _changes(results: Sequence[Record], loss: str, penalty: str, what: str) -> list[float | None]:
    """The number under a penalty less that without, for every seed that has both."""
    pairs = [[own["numbers"][key(loss, each, what)] for each in (penalty, "none")] for own in results]
    return [None if None in pair else pair[0] - pair[1] for pair in pairs]


def _text(values: Sequence[float | None], decimals: int) -> str:
    """Interquartile mean and interval of the finite ones, and how many those are if not all."""
    finite = [value for value in values if value is not None]
    if not finite:
        return "not finite"
    of = f" ({len(finite)} of {len(values)})" if len(finite) < len(values) else ""
    return intervals.shown(finite, decimals) + of


def _plot(rows: Mapping[str, Sequence[Record]], file: Path) -> None:
    """All seeds' spectra at the end in the complex plane: a panel for each loss, a colour for each penalty."""
    measured = {name: results for name, results in rows.items() if results}
    columns = 3
    deep = len(_LOSSES) // columns
    ticks = [sign * 10**power for power in range(5) for sign in (1, -1)]
    with style.applied("readme"):
        figure = style.figure(12.0, 3.2 * deep * len(measured))
        panels = figure.subplots(deep * len(measured), columns, squeeze=False)
        for block, (name, results) in enumerate(measured.items()):
            for place, loss in enumerate(_LOSSES):
                axes = panels[block * deep + place // columns][place % columns]
                for number, penalty in enumerate(_PENALTIES):
                    curves = [own["curves"] for own in results if key(loss, penalty, "re") in own["curves"]]
                    real, imaginary = (
                        [value for own in curves for value in own[key(loss, penalty, part)]] for part in ("re", "im")
                    )
                    color = style.COLORS[number]
                    axes.plot(real, imaginary, "o", color=color, label=penalty, alpha=0.5, markeredgewidth=0)
                for axis in ("x", "y"):
                    low, high = getattr(axes, f"get_{axis}lim")()
                    axes.set(**{f"{axis}scale": "symlog"})
                    shown = [tick for tick in ticks if low <= tick <= high]
                    axes.set(**{f"{axis}ticks": [0, *shown], f"{axis}ticklabels": ["0", *(f"{t:g}" for t in shown)]})
                axes.minorticks_off()
                axes.axvline(0, color=style.PALE, linewidth=0.8)
                axes.axhline(0, color=style.PALE, linewidth=0.8)
                axes.set_title(f"{name}: {loss.replace('_', ' ')}")
        figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(_PENALTIES))
        for axes in panels[-1]:
            axes.set_xlabel("real part")
        figure.supylabel("imaginary part")
        style.save(figure, file)
