import functools
import inspect
import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import GAN, Batch, GANState, InputError, Loss, Player, losses, recipes, schedules, training
from gan_jax.lab.options import of_recipe
from gan_jax.nets.layers import Conv
from gan_jax.typing import Metrics
from tests.helpers import all_finite, assert_close, differ, few, jit, stack

KEY = jax.random.key(0)
CLASSES, BATCH = 10, 4
METRICS = {
    "d_loss", "penalty", "estimate", "d_real", "d_fake", "saturated", "d_grad", "g_loss", "d_fake_after", "g_grad"
}  # fmt: skip

RECIPES: dict[str, Callable[..., GAN]] = {name: getattr(recipes, name) for name in recipes.__all__}


def options(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(RECIPES[name]).parameters)


def tiny(name: str, shape: tuple[int, ...], num_classes: int = CLASSES, **kwargs: Any) -> GAN:
    """A small GAN of a recipe for examples of this shape; for pictures of it, where the recipe draws tags for them."""
    shape = (TAGS,) if name in TAGGED else shape
    small = {"width": 8, "hidden": 8, "latent": 4, "n_critic": 2}
    return RECIPES[name](shape, num_classes, **{k: v for k, v in small.items() if k in options(name)} | kwargs)


def numbers(name: str) -> set[str]:
    """The options that only scale numbers, and may be traced."""
    return {option for option, declared in of_recipe(RECIPES[name]).items() if declared.scales}


LABELLED = [name for name in RECIPES if options(name)["num_classes"].default is inspect.Parameter.empty]
OPTIONALLY_LABELLED = [name for name in RECIPES if "conditional" in options(name)]
# Every recipe, and once more with an option to use labels or other networks: (name, options).
CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in RECIPES),
    *((name, {"conditional": True}) for name in OPTIONALLY_LABELLED),
]
CONDITIONAL = [(name, {}) for name in LABELLED] + [(name, {"conditional": True}) for name in OPTIONALLY_LABELLED]
# Conditioned on pictures: they take images only.
PICTURED = ("completion", "translation", "tagger")
TAGGED, TAGS = {"tagger"}, 5
ON_POINTS = [(name, kwargs) for name, kwargs in CASES if name not in PICTURED]
CODED = {"infogan"}
CONVOLUTIONAL = RECIPES.keys() - {"gan", "gan_deep", "wgan", "cgan", "cgan_embedding", *TAGGED}

# A dense net with a clipped critic, one with labels, convolutions with BatchNorm: these are quick where a test compiles
# or traces a step. Of the protocol every recipe is.
KINDS = ("wgan", "cgan", "cdcgan")

every_recipe = pytest.mark.parametrize("name", RECIPES)
few_recipes = pytest.mark.parametrize("name", few(RECIPES, *KINDS))


def cases(which: list[tuple[str, dict[str, Any]]], quick: Sequence[tuple[str, dict[str, Any]]] | None = None) -> Any:
    """Parameters (name, kwargs), all slow but the quick ones; without `quick` none is slow."""
    assert quick is None or all(case in which for case in quick)
    return pytest.mark.parametrize(
        ("name", "kwargs"),
        [
            pytest.param(
                *case,
                id=" ".join([case[0], *case[1]]),
                marks=[pytest.mark.slow] if quick is not None and case not in quick else [],
            )
            for case in which
        ],
    )


# The papers' residual networks, where a recipe has them as an option; they are for images.
RESIDUAL: list[tuple[str, dict[str, Any]]] = [
    ("wgan_gp", {"net": "resnet"}),
    ("sngan", {"net": "resnet"}),
    ("sngan", {"net": "resnet", "conditional": True}),
]
FEW: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in KINDS]


def draw(gan: GAN, shape: tuple[int, ...], seed: int = 0) -> Batch:
    """A batch of random images or points with random labels, as the GAN sees it."""
    rng = np.random.default_rng(seed)
    size = (gan.n_critic, BATCH)
    x = rng.integers(0, 256, (*size, *shape)).astype(np.uint8) if len(shape) == 3 else rng.normal(size=(*size, *shape))
    labels = jnp.asarray(rng.integers(0, CLASSES, size), jnp.int32)
    if gan.conditioning.view is not None and gan.conditioning.view.tags:
        tags = jnp.asarray(rng.integers(0, 2, (*size, TAGS)), jnp.float32)
        return training.as_batch(gan, training.Examples(tags, jnp.asarray(x, jnp.uint8)))
    return training.as_batch(gan, training.Examples(jnp.asarray(x, None if len(shape) == 3 else jnp.float32), labels))


def test_every_public_function_of_the_families_is_a_recipe() -> None:
    functions = {
        name
        for family in (
            recipes.conv,
            recipes.mlp,
            recipes.pictures,
            recipes.tagging,
            sys.modules["gan_jax.recipes.infogan"],
        )
        for name, value in vars(family).items()
        if inspect.isfunction(value) and value.__module__ == family.__name__ and not name.startswith("_")
    }
    assert functions == RECIPES.keys()


def check_step(before: GANState, after: GANState, metrics: dict[str, jax.Array]) -> None:
    assert metrics.keys() == METRICS
    assert all(value.shape == () for value in metrics.values())
    assert jax.tree.map(jax.typeof, after) == jax.tree.map(jax.typeof, before)
    assert all_finite((after, metrics))
    assert (before.step, after.step) == (0, 1)
    assert differ(after.generator.params, before.generator.params)
    assert differ(after.discriminator.params, before.discriminator.params)


def on_labels(batch: Batch) -> bool:
    return isinstance(batch.y, jax.Array) and jnp.issubdtype(batch.y.dtype, jnp.integer)


@cases(CASES + RESIDUAL, quick=[(name, {}) for name in RECIPES])
def test_protocol(name: str, kwargs: dict[str, Any]) -> None:
    shape = (28, 28, 1)
    gan = tiny(name, shape, **kwargs)
    batch = draw(gan, shape)
    y = jnp.array([7, 7, 7, 3, 3, 3]) if on_labels(batch) else batch.y
    y = jnp.tile(y[0, :3], (2, 1, 1, 1)) if name in PICTURED else y
    y = gan.conditioning.draw(KEY, 6) if name in CODED else y

    @jit
    def run(batch: Batch, rng: jax.Array) -> Any:
        before = gan.init(rng, batch)
        after, metrics = gan.train_step(before, batch, rng)
        return before, after, metrics, gan.generate(after, jnp.tile(gan.prior(rng, 3), (2, 1)), y)

    before, after, metrics, samples = jax.device_get(run(batch, KEY))
    check_step(before, after, metrics)
    assert samples.shape == (6, *batch.x.shape[2:])
    assert samples.dtype == jnp.float32
    low, high = gan.data_range
    assert low <= samples.min() < samples.max() <= high
    if on_labels(batch):
        assert (samples[:3] != samples[3:]).any(axis=(1, 2, 3)).all()
    if "clip" in options(name):
        default = np.float32(options(name)["clip"].default)
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(after.discriminator.params)) == default


def filled(state: GANState) -> GANState:
    """Some state of the given shapes: initialisation takes longer to compile than a step."""
    rng = np.random.default_rng(0)

    def fill(player: Player) -> Player:
        return Player(
            jax.tree.map(lambda leaf: (0.1 * rng.normal(size=leaf.shape)).astype(leaf.dtype), player.params),
            jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), player.collections),
            jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), player.opt_state),
        )

    generator, discriminator = fill(state.generator), fill(state.discriminator)
    ema = None if state.ema is None else generator.variables
    return GANState(np.zeros((), np.int32), generator, discriminator, ema)


@few_recipes
def test_protocol_on_coloured_images_of_another_size(name: str) -> None:
    shape = (32, 32, 3)
    gan = tiny(name, shape)
    batch = draw(gan, shape)
    before = filled(jax.eval_shape(gan.init, KEY, batch))
    after, metrics = jax.device_get(jit(gan.train_step)(before, batch, KEY))
    check_step(before, after, metrics)
    y = batch.y[0] if name in PICTURED else None
    assert jax.eval_shape(lambda state: gan.sample(state, KEY, BATCH, y), after).shape == batch.x.shape[1:]


@cases(ON_POINTS, quick=[*FEW, ("sngan", {"conditional": True})])
def test_protocol_on_points(name: str, kwargs: dict[str, Any]) -> None:
    gan = tiny(name, (2,), **kwargs)
    batch = draw(gan, (2,))
    before = filled(jax.eval_shape(gan.init, KEY, batch))

    @jit
    def run(state: GANState, batch: Batch, rng: jax.Array) -> Any:
        after, metrics = gan.train_step(state, batch, rng)
        return after, metrics, gan.sample(after, rng, 3)

    after, metrics, samples = jax.device_get(run(before, batch, KEY))
    check_step(before, after, metrics)
    assert samples.shape == (3, 2)
    assert samples.dtype == jnp.float32
    assert (samples[0] != samples[1]).all()


class Spec(NamedTuple):
    """What the paper says.

    Attributes:
      loss: the game.
      penalty: its value with weight or gamma 2 on a critic whose gradient norm is 5 everywhere.
      b2: Adam's second beta, or None for RMSProp.
      low: lower end of the images' range, 1 is the upper.
    """

    loss: Loss = losses.non_saturating()
    penalty: float = 0.0
    b2: float | None = 0.999
    low: float = -1.0


SPECS = {
    "gan": Spec(low=0.0),
    "gan_deep": Spec(),
    "wgan": Spec(losses.wasserstein(), b2=None, low=0.0),
    "wgan_dcgan": Spec(losses.wasserstein(), b2=None),
    "cgan": Spec(low=0.0),
    "cgan_embedding": Spec(),
    "cdcgan": Spec(),
    "dcgan": Spec(),
    "lsgan": Spec(losses.least_squares()),
    "acgan": Spec(),
    "infogan": Spec(),
    # 2 (5 - 1)^2.
    "wgan_gp": Spec(losses.wasserstein(), 32.0, b2=0.9),
    "sngan": Spec(losses.hinge()),
    "dragan": Spec(penalty=32.0, b2=0.9),
    # 2 / 2 * 5^2 on real and on fake.
    "r3gan": Spec(losses.relativistic_pairing(), 50.0, b2=0.99),
    "completion": Spec(),
    "translation": Spec(),
    "tagger": Spec(losses.relativistic_pairing(), 25.0),  # 2 / 2 * 5^2.
}


def test_every_recipe_has_its_specification_here() -> None:
    assert SPECS.keys() == RECIPES.keys()


def specified(name: str) -> GAN:
    weights = {option: 2.0 for option in ("weight", "gamma") if option in options(name)}
    betas = {"b1": 0.3} if "b1" in options(name) else {"clip": 1e3}
    return tiny(name, (8, 8, 1), lr=0.01, d_lr=0.02, **weights, **betas)


@every_recipe
def test_loss_is_that_of_the_paper(name: str) -> None:
    actual, expected = specified(name).loss, SPECS[name].loss
    real, fake = jnp.array([0.3, -1.2, 2.0]), jnp.array([-0.4, 0.9, 0.1])
    assert (actual.d(real, fake), actual.g(real, fake)) == (expected.d(real, fake), expected.g(real, fake))
    assert specified(name).data_range == (SPECS[name].low, 1.0)


def test_original_gan_has_the_saturating_loss_as_an_option() -> None:
    fake = jnp.array([-0.4, 0.9])
    assert tiny("gan", (2,), saturating=True).loss.g(fake, fake) == losses.minimax().g(fake, fake)


@every_recipe
def test_penalty_is_that_of_the_paper(name: str) -> None:
    x = jax.random.normal(KEY, (3, 8, 8, 1))
    penalty = specified(name).penalty(lambda x: 5 / 8 * jnp.sum(x, axis=(1, 2, 3)), x, 2 * x, KEY, jnp.int32(0))
    np.testing.assert_allclose(penalty, SPECS[name].penalty, rtol=1e-5)


def adam(gradients: np.ndarray, lr: float, b1: float, b2: float) -> float:
    m = v = p = 0.0
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        p -= lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
    return p


def rmsprop(gradients: np.ndarray, lr: float) -> float:
    v = p = 0.0
    for g in gradients:
        v = 0.99 * v + 0.01 * g**2
        p -= lr * g / (np.sqrt(v) + 1e-8)
    return p


@every_recipe
def test_each_player_has_its_learning_rate_and_the_optimizer_of_the_paper(name: str) -> None:
    gan, b2 = specified(name), SPECS[name].b2
    gradients = np.array([1.0, -3.0, 0.5, 2.0])
    for optimizer, lr in ((gan.g_optimizer, 0.01), (gan.d_optimizer, 0.02)):
        params = jnp.zeros(())
        state = optimizer.init(params)
        for g in gradients:
            updates, state = optimizer.update(jnp.float32(g), state, params)
            params = optax.apply_updates(params, updates)
        expected = rmsprop(gradients, lr) if b2 is None else adam(gradients, lr, 0.3, b2)
        np.testing.assert_allclose(params, expected, rtol=1e-4)


@every_recipe
def test_players_share_a_learning_rate_unless_told(name: str) -> None:
    told = options(name)["d_lr"].default is not None  # The paper has two rates.
    own = {"d_lr": None} if told else {}
    assert told == (name == "infogan")
    gan = tiny(name, (8, 8, 1), lr=0.02, **own, **({"clip": 1e3} if "clip" in options(name) else {}))
    updates = [
        optimizer.update(jnp.ones(()), optimizer.init(jnp.zeros(())), jnp.zeros(()))[0]
        for optimizer in (gan.g_optimizer, gan.d_optimizer)
    ]
    np.testing.assert_allclose(*updates, rtol=1e-6)


def kernels(net: Any, *inputs: Any) -> list[tuple[int, ...]]:
    params = jax.eval_shape(lambda: net.init(KEY, *inputs, train=False))["params"]
    return [leaf.shape for path, leaf in jax.tree.leaves_with_path(params) if path[-1].key in ("kernel", "embedding")]


@pytest.mark.parametrize(
    ("make", "generator", "discriminator"),
    [
        (lambda: recipes.gan((28, 28, 1), width=256, latent=100), [(100, 256), (256, 784)], [(784, 256), (256, 1)]),
        (
            lambda: recipes.gan_deep((28, 28, 1), width=512, latent=100),
            [(100, 128), (128, 256), (256, 512), (512, 1024), (1024, 784)],
            [(784, 512), (512, 512), (512, 512), (512, 1)],
        ),
        (
            lambda: recipes.wgan((28, 28, 1), width=512, depth=4, latent=100),
            [(100, 512), (512, 512), (512, 512), (512, 512), (512, 784)],
            [(784, 512), (512, 512), (512, 512), (512, 512), (512, 1)],
        ),
        (
            lambda: recipes.wgan((28, 28, 1), width=256, depth=2, d_width=512, d_depth=1, latent=100),
            [(100, 256), (256, 256), (256, 784)],
            [(784, 512), (512, 1)],
        ),
        (
            lambda: recipes.cgan((28, 28, 1), 10, width=128, latent=100),
            [(110, 128), (128, 784)],
            [(794, 128), (128, 1)],
        ),
        (
            lambda: recipes.cgan_embedding((28, 28, 1), 10, width=512, latent=100),
            [(110, 128), (128, 256), (256, 512), (512, 1024), (1024, 784), (10, 10)],
            [(794, 512), (512, 512), (512, 512), (10, 10), (512, 1)],
        ),
        (
            lambda: recipes.cdcgan((28, 28, 1), 10, width=128, latent=100),
            [(5, 5, 128, 256), (5, 5, 1, 128), (110, 7 * 7 * 256)],
            [(5, 5, 11, 128), (5, 5, 128, 256), (7 * 7 * 256, 1)],
        ),
        (
            lambda: recipes.acgan((28, 28, 1), 10, width=128, latent=100),
            [(5, 5, 128, 256), (5, 5, 1, 128), (110, 7 * 7 * 256)],
            [(5, 5, 1, 128), (5, 5, 128, 256), (7 * 7 * 256, 10), (7 * 7 * 256, 1)],
        ),
    ],
    ids=["gan", "gan_deep", "wgan", "wgan, own critic", "cgan", "cgan_embedding", "cdcgan", "acgan"],
)
def test_networks_of_the_sources(make: Callable[[], GAN], generator: Any, discriminator: Any) -> None:
    gan, y = make(), jnp.zeros(1, jnp.int32)
    assert sorted(kernels(gan.generator, jnp.zeros((1, 100)), y)) == sorted(generator)
    assert sorted(kernels(gan.discriminator, jnp.zeros((1, 28, 28, 1)), y)) == sorted(discriminator)


def normalised(net: nn.Module, x: Any, y: Any) -> list[int]:
    """The channels of every BatchNorm."""
    variables = jax.eval_shape(lambda: net.init(KEY, x, y, False))
    paths = jax.tree.leaves_with_path(variables["batch_stats"])
    return sorted(leaf.shape[0] for path, leaf in paths if path[-1].key == "mean")


def test_networks_of_infogan() -> None:
    gan = recipes.infogan((28, 28, 1))
    y = gan.conditioning.draw(KEY, 1)
    assert sorted(kernels(gan.generator, jnp.zeros((1, 62)), y)) == sorted(
        [(74, 1024), (1024, 7 * 7 * 128), (5, 5, 64, 128), (5, 5, 1, 64)]
    )
    q = [(1024, 128), (128, 10), (128, 2), (128, 2)]
    body = [(5, 5, 1, 64), (5, 5, 64, 128), (7 * 7 * 128, 1024)]
    x = jnp.zeros((1, 28, 28, 1))
    assert sorted(kernels(gan.discriminator, x, y)) == sorted([*body, (1024, 1), *q])
    # BatchNorm where appendix C.1 has it: in all hidden layers but D's first.
    scales = [normalised(*net) for net in ((gan.generator, jnp.zeros((1, 62)), y), (gan.discriminator, x, y))]
    assert scales == [[64, 128, 1024], [128, 128, 1024]]


@pytest.mark.parametrize(
    ("name", "function"),
    [("relu", lambda h: np.maximum(h, 0)), ("leaky_relu", lambda h: np.where(h > 0, h, 0.2 * h)), ("abs", np.abs)],
)
def test_critic_of_wgan_has_the_activation_asked_for(name: Any, function: Callable[[Any], Any]) -> None:
    critic = recipes.wgan((2, 2, 1), width=8, d_activation=name).discriminator
    x = jax.random.normal(KEY, (BATCH, 2, 2, 1))
    params = jax.tree.map(np.asarray, critic.init(KEY, x, None, True)["params"])
    hidden, head = params["Dense_0"], params["head"]["Dense_0"]
    h = function(np.asarray(x).reshape(BATCH, 4) @ hidden["kernel"] + hidden["bias"])
    assert_close(critic.apply({"params": params}, x, None, True), (h @ head["kernel"] + head["bias"])[:, 0])


@cases(CONDITIONAL)
def test_unlabelled_data_is_refused_where_labels_are_needed(name: str, kwargs: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="conditioned on labels and the data has none"):
        tiny(name, (28, 28, 1), 0, **kwargs)


@pytest.mark.parametrize("name", sorted(CONVOLUTIONAL))
def test_sizes_that_do_not_fit_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"got 30 x 28 x 1: resize or pad (them|the images) to (28|32) x 28"):
        tiny(name, (30, 28, 1))


def test_both_players_of_infogan_minimise_what_the_codes_of_fakes_cost_to_read() -> None:
    """Both players get the mean of -log Q over fakes, weighted, and nothing of the real examples."""
    weighted = {"info": 0.7, "info_continuous": 0.3}
    gan, without = (tiny("infogan", (2,), **weights) for weights in (weighted, dict.fromkeys(weighted, 0.0)))
    batch = jax.tree.map(lambda leaf: leaf[0], draw(gan, (2,)))
    state = jit(gan.init)(KEY, draw(gan, (2,)))

    def losses_of(gan: GAN) -> Any:
        fakes = gan.fakes(state, batch, KEY)
        of_d = jax.value_and_grad(lambda p: gan.d_loss(p, state, batch, fakes, KEY)[0])(state.discriminator.params)
        of_g = jax.value_and_grad(lambda p: gan.g_loss(p, state, batch, KEY)[0])(state.generator.params)
        return of_d, of_g

    def terms(state: GANState) -> Any:
        fakes = gan.fakes(state, batch, KEY)
        sown = gan.discriminator.apply(state.discriminator.variables, *fakes, True, mutable=["losses"])[1]
        assert len(jax.tree.leaves(sown)) == 3
        return sum(jnp.mean(term) for term in jax.tree.leaves(sown))

    value, slope = jit(jax.value_and_grad(terms, allow_int=True))(state)
    with_terms, plain = jit(lambda: losses_of(gan))(), jit(lambda: losses_of(without))()
    for own, (found, gradient), (base, base_gradient) in zip(
        (slope.discriminator.params, slope.generator.params), with_terms, plain, strict=True
    ):
        np.testing.assert_allclose(found - base, value, rtol=1e-4)
        assert_close(jax.tree.map(jnp.subtract, gradient, base_gradient), own, rtol=1e-3, atol=1e-5)
        assert any((leaf != 0).any() for leaf in jax.tree.leaves(own))


SIZES = [(28, 28, 1), (32, 32, 3), (64, 64, 3), (64, 48, 3), (128, 128, 3)]
SIZED = [(*case, shape) for case in [*CASES, *RESIDUAL] if case[0] in CONVOLUTIONAL for shape in SIZES]
QUICK_SIZED = [("cdcgan", (64, 48, 3)), ("r3gan", (32, 32, 3))]


@pytest.mark.parametrize(
    ("name", "kwargs", "shape"),
    [
        pytest.param(
            *case,
            id=f"{' '.join([case[0], *case[1]])} {'x'.join(map(str, case[2]))}",
            marks=[] if not case[1] and (case[0], case[2]) in QUICK_SIZED else [pytest.mark.slow],
        )
        for case in SIZED
    ],
)
def test_convolutional_recipes_train_on_images_of_every_size(
    name: str, kwargs: dict[str, Any], shape: tuple[int, ...]
) -> None:
    """The shapes of a step, of which nothing is computed."""
    gan = tiny(name, shape, **kwargs, **({"width": 4} if name != "completion" else {}))
    batch = jax.eval_shape(lambda: draw(gan, shape))
    before = jax.eval_shape(gan.init, KEY, batch)
    after, metrics = jax.eval_shape(gan.train_step, before, batch, KEY)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), before
    )
    assert metrics.keys() == METRICS
    y = None if name not in PICTURED else jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:]), batch.y)
    assert jax.eval_shape(lambda state: gan.sample(state, KEY, BATCH, y), after).shape == (BATCH, *shape)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kwargs"), [("dcgan", {}), ("sngan", {"net": "resnet", "conditional": True})])
def test_a_step_on_images_that_are_no_squares(name: str, kwargs: dict[str, Any]) -> None:
    shape = (64, 48, 3)
    gan = tiny(name, shape, **kwargs)
    batch = draw(gan, shape)
    before = filled(jax.eval_shape(gan.init, KEY, batch))
    after, metrics = jax.device_get(jit(gan.train_step)(before, batch, KEY))
    check_step(before, after, metrics)


PAPERS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("dcgan", {"width": 128}, (64, 64, 3)),
    ("cdcgan", {"width": 128}, (64, 48, 3)),
    ("dcgan", {"width": 128}, (128, 128, 3)),
    ("acgan", {"width": 128}, (32, 32, 3)),
    ("lsgan", {"width": 128}, (64, 64, 3)),
    ("wgan_dcgan", {"width": 64}, (64, 64, 3)),
    ("dragan", {"width": 64}, (32, 32, 3)),
    ("wgan_gp", {"width": 128, "net": "resnet"}, (32, 32, 3)),
    ("wgan_gp", {"width": 64, "net": "resnet"}, (64, 64, 3)),
    ("sngan", {"width": 256, "net": "resnet", "conditional": True}, (32, 32, 3)),
    ("sngan", {"width": 64, "net": "resnet"}, (128, 128, 3)),
    ("r3gan", {"width": 64, "conditional": True}, (32, 32, 3)),
    ("r3gan", {"width": 64}, (64, 48, 3)),
]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "kwargs", "shape"),
    [
        pytest.param(
            *case,
            id=f"{case[0]} {'x'.join(map(str, case[2]))}",
            marks=[] if case[0] == "acgan" else [pytest.mark.slow],
        )
        for case in PAPERS
    ],
)
def test_steps_at_the_papers_width_lower_for_gpus_and_tpus(
    name: str, kwargs: dict[str, Any], shape: tuple[int, ...], dtype: str
) -> None:
    gan = RECIPES[name](shape, CLASSES, **kwargs, dtype=dtype)
    batch = jax.eval_shape(lambda: draw(gan, shape))
    state = jax.eval_shape(gan.init, KEY, batch)
    exported = jax.export.export(jax.jit(gan.train_step), platforms=["cuda", "tpu"])(
        state, batch, jax.eval_shape(lambda: KEY)
    )
    assert exported.platforms == ("cuda", "tpu")
    assert ("bf16" in exported.mlir_module()) == (dtype == "bfloat16")
    assert len(exported.out_avals) == len(jax.tree.leaves(state)) + len(Metrics.__annotations__)


def test_widths_take_the_place_of_width_and_decide_the_depth() -> None:
    shape, latents = (32, 32, 3), jnp.zeros((1, 100))
    x = jnp.zeros((1, *shape))
    gan = recipes.dcgan(shape, widths=(48, 20))
    assert sorted(kernels(gan.generator, latents, None)) == [(5, 5, 3, 20), (5, 5, 20, 48), (100, 8 * 8 * 48)]
    assert sorted(kernels(gan.discriminator, x, None)) == [(5, 5, 3, 20), (5, 5, 20, 48), (8 * 8 * 48, 1)]
    three = recipes.dcgan(shape, width=20)
    assert sorted(kernels(three.generator, latents, None))[:3] == [(5, 5, 3, 20), (5, 5, 20, 40), (5, 5, 40, 80)]
    assert recipes.dcgan(shape, width=20, widths=(80, 40, 20)).generator == three.generator
    r3gan = recipes.r3gan(shape, width=4)
    assert r3gan.generator.widths == r3gan.discriminator.widths[::-1] == (32, 16, 8, 4)
    assert recipes.r3gan(shape, widths=(5, 4)).discriminator.widths == (4, 5)
    for name in ("wgan_gp", "sngan"):
        pyramid = RECIPES[name](shape, net="resnet", widths=(12, 8, 4))
        assert pyramid.generator.widths == (12, 8, 4)
        assert pyramid.generator.base == 12
        assert pyramid.discriminator.widths[-1] == 12


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: recipes.dcgan((28, 28, 1), widths=(8, 4, 2)), "give 1 to 2 widths"),
        (lambda: recipes.r3gan((28, 28, 1), widths=(8,)), "give 2 to 3 widths"),
        (lambda: recipes.sngan((32, 32, 3), net="resnet", widths=(8,) * 5), "give 1 to 4 widths"),
        (lambda: recipes.dcgan((2,), widths=(8,)), "widths is an option of convolutional networks"),
        (lambda: recipes.r3gan((2,), widths=(8, 4)), "widths is an option of convolutional networks"),
        (lambda: recipes.wgan_gp((2,), net="resnet"), "net is an option of convolutional networks"),
        (lambda: recipes.sngan((32, 32, 3), net="resnet", apart=True), "apart is an option of dcgan's networks"),
    ],
)
def test_layers_that_can_not_be_are_refused(make: Callable[[], GAN], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()


def channels(net: Any, *inputs: Any) -> list[tuple[int, ...]]:
    """Channels in and out of the 3 x 3 convolutions, in the order in which they compute."""
    found: dict[tuple[str, ...], tuple[int, ...]] = {}  # A layer under spectral norm is called twice.

    def record(following: Any, args: Any, kwargs: Any, context: Any) -> Any:
        y = following(*args, **kwargs)
        if isinstance(context.module, Conv) and context.method_name == "__call__":
            found[context.module.path] = (args[0].shape[-1], y.shape[-1], y.shape[1])
        return y

    with nn.intercept_methods(record):
        jax.eval_shape(lambda: net.init(KEY, *inputs, False))
    return list(found.values())


# Channels in, channels out and rows of every 3 x 3 convolution: the tables of the papers' appendices, and for 64 x 64
# the authors' code.
@pytest.mark.parametrize(
    ("make", "generator", "discriminator"),
    [
        (
            lambda: recipes.sngan((32, 32, 3), net="resnet", width=256),
            [(256, 256, n) for n in (8, 8, 16, 16, 32, 32)] + [(256, 3, 32)],
            [(3, 128, 32), (128, 128, 32), (128, 128, 16), (128, 128, 16), *[(128, 128, 8)] * 4],
        ),
        (
            lambda: recipes.wgan_gp((32, 32, 3), net="resnet", width=128),
            [(128, 128, n) for n in (8, 8, 16, 16, 32, 32)] + [(128, 3, 32)],
            [(3, 128, 32), (128, 128, 32), (128, 128, 16), (128, 128, 16), *[(128, 128, 8)] * 4],
        ),
        (
            lambda: recipes.wgan_gp((64, 64, 3), net="resnet", width=64),
            [
                (512, 512, 8), (512, 512, 8), (512, 256, 16), (256, 256, 16), (256, 128, 32), (128, 128, 32),
                (128, 64, 64), (64, 64, 64), (64, 3, 64),
            ],
            [
                (3, 64, 64), (64, 64, 64), (64, 128, 64), (128, 128, 32), (128, 256, 32), (256, 256, 16),
                (256, 512, 16), (512, 512, 8), (512, 512, 8),
            ],
        ),
        (
            lambda: recipes.sngan((64, 64, 3), net="resnet", width=64),
            [
                (1024, 512, 8), (512, 512, 8), (512, 256, 16), (256, 256, 16), (256, 128, 32), (128, 128, 32),
                (128, 64, 64), (64, 64, 64), (64, 3, 64),
            ],
            [
                (3, 64, 64), (64, 64, 64), (64, 64, 32), (64, 128, 32), (128, 128, 16), (128, 256, 16), (256, 256, 8),
                (256, 512, 8), (512, 512, 4), (512, 1024, 4),
            ],
        ),
        (
            lambda: recipes.sngan((128, 128, 3), net="resnet", width=64),
            [
                (1024, 1024, 8), (1024, 1024, 8), (1024, 512, 16), (512, 512, 16), (512, 256, 32), (256, 256, 32),
                (256, 128, 64), (128, 128, 64), (128, 64, 128), (64, 64, 128), (64, 3, 128),
            ],
            [
                (3, 64, 128), (64, 64, 128), (64, 64, 64), (64, 128, 64), (128, 128, 32), (128, 256, 32),
                (256, 256, 16), (256, 512, 16), (512, 512, 8), (512, 1024, 8), (1024, 1024, 4), (1024, 1024, 4),
            ],
        ),
    ],
    ids=["sngan 32", "wgan_gp 32", "wgan_gp 64", "sngan 64", "sngan 128"],
)  # fmt: skip
def test_residual_networks_are_the_published_ones(make: Callable[[], GAN], generator: Any, discriminator: Any) -> None:
    gan = make()
    assert channels(gan.generator, jnp.zeros((1, 128)), None) == generator
    assert channels(gan.discriminator, jnp.zeros((1, *gan.generator.shape)), None) == discriminator
    assert gan.generator.base == generator[0][0]


@pytest.mark.parametrize("name", [name for name in PICTURED if name not in TAGGED])
def test_points_are_refused_where_pictures_are_needed(name: str) -> None:
    with pytest.raises(InputError, match="got 2"):
        tiny(name, (2,))


def test_translation_adds_the_distance_to_the_true_image() -> None:
    """Equation 4 of the paper, by hand: the loss over patches, and lambda times the mean absolute difference."""
    gan = tiny("translation", (8, 8, 1), l1=7.0, dropout=0.0, norm="instance")
    batch = jax.tree.map(lambda leaf: leaf[0], draw(gan, (8, 8, 1)))
    state = filled(jax.eval_shape(gan.init, KEY, jax.tree.map(lambda leaf: leaf[None], batch)))
    inputs = gan.inputs(batch, KEY)

    @jit
    def run(state: GANState) -> Any:
        fake = gan.fakes(state, batch, KEY).x
        logits = gan.discriminate(state, fake, batch.y)
        return gan.g_loss(state.generator.params, state, batch, KEY, inputs)[0], fake, logits

    found, fake, logits = run(state)
    assert logits.shape == (BATCH, 4, 4)
    expected = np.log1p(np.exp(-np.asarray(logits))).mean() + 7 * np.abs(batch.x - fake).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_translation_makes_depends_on_z_on_what_is_given_and_on_dropout() -> None:
    gan = tiny("translation", (16, 16, 1))
    batch = jax.tree.map(lambda leaf: leaf[0], draw(gan, (16, 16, 1)))
    state = filled(jax.eval_shape(gan.init, KEY, jax.tree.map(lambda leaf: leaf[None], batch)))
    z = gan.prior(KEY, BATCH)
    generate = jit(gan.generate)
    plain = generate(state, z, batch.y)
    assert not differ(plain, generate(state, z, batch.y))
    for other in (generate(state, -z, batch.y), generate(state, z, -batch.y), generate(state, z, batch.y, KEY)):
        assert differ(plain, other)


@pytest.mark.parametrize(
    ("condition", "channels"),
    [("grey", 1), ("outline", 1), ("masked", 4), ("upper_half", 3), ("blurred", 3), ("low_resolution:2", 3)],
)
def test_translation_takes_every_condition(condition: str, channels: int) -> None:
    gan = tiny("translation", (8, 8, 3), condition=condition)
    batch = jax.eval_shape(lambda: draw(gan, (8, 8, 3)))
    assert batch.y.shape[-1] == channels
    state = jax.eval_shape(gan.init, KEY, batch)
    assert jax.eval_shape(gan.train_step, state, batch, KEY)[0] == state


def test_tagger_draws_a_tag_where_its_probability_is_above_its_number_of_z() -> None:
    gan = tiny("tagger", (8, 8, 1))
    batch = jax.tree.map(lambda leaf: leaf[0], draw(gan, (8, 8, 1)))
    state = filled(jax.eval_shape(gan.init, KEY, jax.tree.map(lambda leaf: leaf[None], batch)))
    z = np.array(gan.prior(KEY, BATCH))
    assert z.shape == (BATCH, 4 + TAGS)
    levels = np.linspace(-1, 1, 101)

    @jit
    def drawn(level: jax.Array) -> jax.Array:
        return gan.generate(state, jnp.asarray(z).at[:, 4:].set(level), batch.y)

    tags = np.stack([drawn(level) for level in levels])
    assert set(np.unique(tags)) == {0.0, 1.0}
    assert (np.diff(tags, axis=0) <= 0).all()
    assert (tags[0] == 1).all() and (tags[-1] == 0).all()
    # The share of levels at which a tag is drawn is its probability, and its gradient is that of the draw.
    probability = tags.mean(axis=0)
    params = state.generator.params

    def total(params: Any) -> jax.Array:
        return jnp.sum(gan.generator.apply({"params": params}, jnp.asarray(z), batch.y, False), axis=0)[0]

    slope = jit(jax.grad(total))(params)["Dense_1"]["bias"]
    expected = np.zeros(TAGS)
    expected[0] = np.sum(probability * (1 - probability), axis=0)[0]
    np.testing.assert_allclose(slope, expected, atol=0.02)


def test_tagger_takes_tags_of_pictures_alone() -> None:
    with pytest.raises(InputError, match="this data is images: choose --data tags:SPEC"):
        recipes.tagger((8, 8, 1))
    gan = recipes.tagger((2,))
    with pytest.raises(InputError, match="no pictures with tags"):
        training.as_batch(gan, training.Examples(jnp.zeros((3, 2)), jnp.zeros(3, jnp.int32)))


def test_tagger_learns_which_tags_a_picture_has() -> None:
    pictures = stripes()
    tags = jnp.stack([pictures.labels == 0, pictures.labels == 1, pictures.labels >= 0], axis=1).astype(jnp.float32)
    gan = recipes.tagger((3,), width=4, hidden=16, latent=2, lr=3e-3, dropout=0.0)
    _, after = learn(
        gan, training.Examples(tags, pictures.x), 150, [training.from_uint8(pictures.x[:128], (-1.0, 1.0))]
    )
    assert (after[0] == tags[:128]).all(axis=1).mean() > 0.9


def test_completion_samples_below_the_half_that_is_given_and_asks_for_one() -> None:
    gan = tiny("completion", (8, 8, 1))
    batch = draw(gan, (8, 8, 1))
    np.testing.assert_array_equal(batch.y, batch.x[:, :, :4])
    state = jit(gan.init)(KEY, batch)
    samples = gan.sample(state, KEY, BATCH, batch.y[0])
    np.testing.assert_array_equal(samples[:, :4], batch.y[0])
    with pytest.raises(InputError, match=r"give them as y \[n, H // 2, W, C\]"):
        gan.sample(state, KEY, 3)


@cases(CONDITIONAL)
def test_every_class_is_drawn_and_none_beyond(name: str, kwargs: dict[str, Any]) -> None:
    gan = tiny(name, (8, 8, 1), **kwargs)
    y = gan.conditioning.draw(KEY, 1000)
    assert y.dtype == jnp.int32
    # The rarest of ten classes in a thousand draws: 100 less five standard deviations of 9.5.
    counts = np.bincount(y, minlength=CLASSES)
    assert len(counts) == CLASSES
    assert counts.min() > 50
    fresh = gan.conditioning.for_fakes(KEY, jnp.full(1000, 11, jnp.int32))
    if name in ("cgan_embedding", "acgan"):
        assert len(np.bincount(fresh)) == CLASSES
    else:
        np.testing.assert_array_equal(fresh, 11)


@cases(CASES + RESIDUAL, quick=FEW)
def test_bfloat16_keeps_parameters_statistics_and_samples_in_float32(name: str, kwargs: dict[str, Any]) -> None:
    gan = tiny(name, (8, 8, 1), dtype="bfloat16", **kwargs)
    batch = draw(gan, (8, 8, 1))

    def step(batch: Batch, rng: jax.Array) -> Any:
        state, metrics = gan.train_step(gan.init(rng, batch), batch, rng)
        return state, metrics, gan.sample(state, rng, BATCH, batch.y[0] if name in PICTURED else None)

    state, metrics, samples = jax.eval_shape(step, batch, KEY)
    floats = {leaf.dtype for leaf in jax.tree.leaves((state, metrics, samples)) if leaf.dtype != jnp.int32}
    assert floats == {np.dtype("float32")}
    x, y = jax.tree.map(lambda leaf: leaf[0], batch)
    for net, player, inputs in (
        (gan.generator, state.generator, gan.prior(KEY, BATCH)),
        (gan.discriminator, state.discriminator, x),
    ):
        computation = jax.make_jaxpr(functools.partial(net.apply, train=False))(player.variables, inputs, y)
        assert "bf16" in str(computation)


def step_of_member(name: str, kwargs: dict[str, Any], batch: Batch, state: GANState, values: Any) -> GANState:
    """A train step with the numbers of one member of a population."""
    shape = batch.x.shape[2:]
    return tiny(name, shape, **kwargs, **values).train_step(state, batch, KEY)[0]


@cases(CASES, quick=FEW)
def test_every_number_may_be_traced(name: str, kwargs: dict[str, Any]) -> None:
    shape = (8, 8, 1) if name in PICTURED else (2,)
    assert numbers(name) >= {"lr", "d_lr", "ema"}
    values = {option: jnp.array([0.1, 0.2]) for option in numbers(name)}
    batch = draw(tiny(name, shape, **kwargs), shape)

    def member(values: Any) -> GANState:
        state = tiny(name, shape, **kwargs, **values).init(KEY, batch)
        return step_of_member(name, kwargs, batch, state, values)

    population = jax.eval_shape(jax.vmap(member), values)
    assert all(leaf.shape[0] == 2 for leaf in jax.tree.leaves(population))


@few_recipes
def test_every_number_may_be_a_schedule(name: str) -> None:
    """A schedule that is constant gives the step of the constant, and of one that changes the value of that step."""
    shape = (8, 8, 1) if name in PICTURED else (2,)
    constants = {option: 0.05 for option in numbers(name)}
    batch = draw(tiny(name, shape), shape)
    state = filled(jax.eval_shape(tiny(name, shape, **constants).init, KEY, batch))
    changing = {option: schedules.linear(0.0, 0.1, 10) for option in numbers(name)}
    state = state.replace(step=np.int32(5))
    steps = [jit(tiny(name, shape, **values).train_step)(state, batch, KEY) for values in (constants, changing)]
    assert_close(*steps, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("wgan", {"lr": [1e-3, 1e-2], "clip": [0.1, 0.02]}),
        ("cgan", {"lr": [1e-3, 1e-2], "d_lr": [1e-2, 1e-3], "b1": [0.0, 0.9], "ema": [0.05, 0.0]}),
        ("wgan_gp", {"lr": [1e-3, 1e-2], "weight": [1.0, 10.0]}),
    ],
    ids=["wgan", "cgan", "wgan_gp"],
)
def test_members_of_a_population_are_what_they_are_alone(name: str, values: dict[str, list[float]]) -> None:
    gan = tiny(name, (2,), ema=0.5 if "ema" in values else None)
    batch = draw(gan, (2,))
    state = filled(jax.eval_shape(gan.init, KEY, batch))
    step = functools.partial(step_of_member, name, {}, batch, state)
    members = [{option: np.float32(value[i]) for option, value in values.items()} for i in range(2)]
    single = jit(step)
    alone = [single(member) for member in members]
    population = jit(jax.vmap(step))(stack(*members))
    assert_close(population, stack(*alone), rtol=1e-3, atol=1e-5)
    assert differ(*alone)


@few_recipes
def test_average_is_an_option(name: str) -> None:
    batch = jax.eval_shape(lambda: draw(tiny(name, (8, 8, 1)), (8, 8, 1)))
    states = {ema: jax.eval_shape(tiny(name, (8, 8, 1), ema=ema).init, KEY, batch) for ema in (None, 0.9)}
    assert states[None].ema is None
    assert states[0.9].ema == states[0.9].generator.variables


CENTRES = np.array([[1.5, -1.0], [-1.0, 0.5]])


def points(labelled: bool) -> training.Examples:
    """A round Gaussian, or two with a label each."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4096) if labelled else np.zeros(4096, np.int64)
    x = CENTRES[labels] + 0.4 * rng.normal(size=(4096, 2))
    return training.Examples(jnp.asarray(x, jnp.float32), jnp.asarray(labels, jnp.int32) if labelled else None)


Samples = list[jax.Array]
# Of key 0 the first generators happen to draw around the data already.
LEARNING = jax.random.key(1)


def learn(gan: GAN, data: training.Examples, steps: int, conditions: list[Any]) -> tuple[Samples, Samples]:
    """128 samples of each condition before and after training."""

    @jit
    def run(rng: jax.Array) -> Any:
        before = training.initial_state(gan, rng, data)
        after, _ = training.train(gan, before, data, rng, steps=steps, batch_size=32)
        return tuple([gan.sample(state, rng, 128, y) for y in conditions] for state in (before, after))

    before, after = run(LEARNING)
    return before, after


@pytest.mark.parametrize(
    "name",
    few(["gan", "wgan", "cgan", "lsgan", "acgan", "wgan_gp", "sngan", "dragan", "r3gan"], "wgan", "cgan", "r3gan"),
)
def test_learns_where_points_lie(name: str) -> None:
    labelled = name in LABELLED
    faster = {option: value for option, value in {"n_critic": 2, "clip": 0.1}.items() if option in options(name)}
    gan = RECIPES[name]((2,), 2 * labelled, width=32, latent=2, lr=1e-3, ema=0.99, **faster)
    conditions = [jnp.full(128, label, jnp.int32) for label in range(2)] if labelled else [None]

    def distance(samples: Samples) -> float:
        means = np.stack([x.mean(0) for x in samples])
        return float(np.linalg.norm(means - CENTRES[: len(samples)], axis=1).mean())

    before, after = learn(gan, points(labelled), 1000, conditions)
    assert distance(after) < distance(before) / 3


# Class 0 is bright on the left, class 1 on top.
STRIPES = np.full((2, 8, 8, 1), 40, np.uint8)
STRIPES[0, :, :4] = 215
STRIPES[1, :4] = 215


def stripes() -> training.Examples:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 512)
    x = np.clip(STRIPES[labels] + 20 * rng.normal(size=(512, 8, 8, 1)), 0, 255)
    return training.Examples(jnp.asarray(x.astype(np.uint8)), jnp.asarray(labels, jnp.int32))


@pytest.mark.parametrize(
    ("name", "width", "lr", "steps"),
    [
        ("cdcgan", 8, 2e-3, 50),
        ("completion", 64, 1e-3, 200),
        pytest.param("translation", 8, 2e-3, 50, marks=pytest.mark.slow),
    ],
    ids=["cdcgan", "completion", "translation"],
)
def test_learns_what_images_look_like(name: str, width: int, lr: float, steps: int) -> None:
    gan = RECIPES[name]((8, 8, 1), 2, width=width, latent=4, lr=lr)
    targets = training.from_uint8(jnp.asarray(STRIPES), gan.data_range)
    conditions = [jnp.full(128, label, jnp.int32) for label in range(2)]
    if name == "completion":
        conditions = [jnp.broadcast_to(target[:4], (128, 4, 8, 1)) for target in targets]
    if name == "translation":
        conditions = [jnp.broadcast_to(target[::4, ::4], (128, 2, 2, 1)) for target in targets]

    def distance(samples: Samples) -> float:
        return float(abs(np.stack([x.mean(0) for x in samples]) - targets).mean())

    before, after = learn(gan, stripes(), steps, conditions)
    assert distance(after) < distance(before) / 2


@cases(CASES, quick=FEW)
def test_gans_can_be_pickled(name: str, kwargs: dict[str, Any]) -> None:
    """With schedules, on images and on points; what comes back is the same computation."""
    changing = {option: schedules.stages([0.05, 0.1], 10) for option in numbers(name)}
    pickle.loads(pickle.dumps(tiny(name, (8, 8, 1), **changing, **kwargs)))
    shape = (8, 8, 1) if name in PICTURED else (2,)
    gan = tiny(name, shape, **changing, **kwargs)
    again = pickle.loads(pickle.dumps(gan))
    batch = draw(gan, shape)
    state = jax.eval_shape(gan.init, KEY, batch)
    assert jax.eval_shape(again.init, KEY, batch) == state
    steps = [str(jax.make_jaxpr(g.g_step)(state, jax.tree.map(lambda leaf: leaf[0], batch), KEY)) for g in (gan, again)]
    assert steps[0] == steps[1]


@cases(CASES + RESIDUAL, quick=FEW)
def test_everything_is_float32_where_jax_knows_float64(name: str, kwargs: dict[str, Any]) -> None:
    with jax.enable_x64(True):
        gan = tiny(name, (8, 8, 1), **kwargs)
        batch = draw(gan, (8, 8, 1))
        if on_labels(batch):
            batch = batch._replace(y=batch.y.astype(jnp.int64))
        state = jax.eval_shape(gan.init, KEY, batch)
        after, _ = jax.eval_shape(gan.train_step, state, batch, KEY)
        assert jax.tree.map(lambda leaf: leaf.dtype, after) == jax.tree.map(lambda leaf: leaf.dtype, state)
        floats = {leaf.dtype for leaf in jax.tree.leaves((after, gan.prior(KEY, 3))) if leaf.dtype != jnp.int32}
        assert floats == {np.dtype("float32")}
