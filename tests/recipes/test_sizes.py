"""Recipes on images of every size, and at the papers' widths."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from gan_jax.typing import Metrics
from tests.helpers import jit
from tests.recipes.helpers import (
    BATCH,
    CASES,
    CLASSES,
    CONVOLUTIONAL,
    KEY,
    METRICS,
    PICTURED,
    RECIPES,
    RESIDUAL,
    check_step,
    draw,
    filled,
    tiny,
)

# On MNIST's size every one of them takes its step in test_protocol, and 64 by 48 is halved as often as 64 by 64.
SIZES = [(32, 32, 3), (64, 48, 3), (128, 128, 3)]


# Whether labels are used does not depend on the size.
SIZED = [
    (*case, shape)
    for case in [*CASES, *RESIDUAL]
    if case[0] in CONVOLUTIONAL
    for shape in (SIZES[:1] if "conditional" in case[1] else SIZES)
]


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


@pytest.mark.parametrize(
    ("name", "kwargs", "shape", "dtype"),
    [
        pytest.param(
            *case,
            dtype,
            id=f"{case[0]} {'x'.join(map(str, case[2]))} {dtype}",
            marks=[] if case[0] == "acgan" and dtype == "bfloat16" else [pytest.mark.slow],
        )
        for case in PAPERS
        # The operations of all of them, in float32, are in these.
        for dtype in (["float32", "bfloat16"] if case[0] in ("acgan", "dragan", "r3gan") else ["bfloat16"])
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
