"""What a GAN is made of and what a step of it costs, before any is taken: layers, parameters, operations."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from gan_jax import training
from gan_jax.gan import GAN, STREAMS
from gan_jax.lab.job import Job
from gan_jax.typing import Shape


class Layer(NamedTuple):
    """A Flax module within a net.

    Attributes:
      name: its place in the net, and its class.
      shape: of its output for one example; () where it returns no array.
      parameters: how many it has itself, those of its parts left out.
    """

    name: str
    shape: Shape
    parameters: int


def networks(gan: GAN, job: Job) -> dict[str, list[Layer]]:
    """The layers of both nets, in the order in which they compute; those without parts or with parameters.

    Of modules that are not Flax's, only one layer is known: all of them. Nothing is computed.
    """
    found: dict[str, list[Layer]] = {}

    def build() -> None:
        batch = training.as_batch(gan, jax.tree.map(jnp.asarray, job.example))
        z = gan.prior(jax.random.key(0), 1)
        for name, module, inputs in (("generator", gan.generator, z), ("discriminator", gan.discriminator, batch.x)):
            rngs = dict(zip(STREAMS, jax.random.split(jax.random.key(0), len(STREAMS)), strict=True))
            found[name] = _layers(lambda: module.init_with_output(rngs, inputs, batch.y, False))  # noqa: B023

    jax.eval_shape(build)
    return found


def parameters(layers: Sequence[Layer]) -> int:
    """How many they have."""
    return sum(layer.parameters for layer in layers)


def step_flops(gan: GAN, job: Job) -> float:
    """Floating-point operations of one train step, on all devices together, as XLA counts them before it compiles.

    XLA counts a loop's body once, so the n_critic updates are counted one by one.
    """
    size = job.options["batch_size"]
    examples = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype), job.example)
    # Of micro-batches, one after the other in a loop, only one would be counted.
    gan = gan.replace(accumulate=1)
    batch = jax.eval_shape(lambda examples: training.as_batch(gan, examples), examples)
    state, rng = job.abstract_state(), jax.eval_shape(lambda: jax.random.key(0))

    def flops(step: Callable[..., Any]) -> float:
        return float((jax.jit(step).lower(state, batch, rng).cost_analysis() or {}).get("flops", math.nan))

    return gan.n_critic * flops(gan.d_step) + flops(gan.g_step)


def summary(gan: GAN, job: Job) -> str:
    """Parameters and operations, in a phrase."""
    nets = networks(gan, job)
    total = sum(map(parameters, nets.values()))
    return (
        f"{total:,} parameters, of which {parameters(nets['generator']):,} in the generator, and takes "
        f"{step_flops(gan, job) / 1e9:.3g} GFLOP per step"
    )


def table(layers: Sequence[Layer]) -> list[str]:
    """Lines of layer, shape of its output for one example, parameters."""
    rows = [("layer", "output", "parameters")]
    rows += [(own.name, shown_shape(own.shape), f"{own.parameters:,}" if own.parameters else "-") for own in layers]
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    return [f"  {name:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}" for name, shape, count in rows]


def shown_shape(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "1"


def _layers(init: Callable[[], tuple[Any, Any]]) -> list[Layer]:
    calls: dict[tuple[str, ...], tuple[str, Shape]] = {}

    def record(following: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        output = following(*args, **kwargs)
        if context.method_name == "__call__":
            shape = tuple(output.shape[1:]) if isinstance(output, jax.Array) else ()
            calls.setdefault(context.module.path, (type(context.module).__name__, shape))
        return output

    with nn.intercept_methods(record):
        output, variables = init()
    params, layers = variables.get("params", {}), []
    for path, (kind, shape) in calls.items():
        own = _own(params, path)
        parts = any(len(other) > len(path) and other[: len(path)] == path for other in calls)
        if own or not parts:
            name = "/".join(path)
            layers.append(Layer(f"{name} ({kind})" if name and kind not in name else name or kind, shape, own))
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    if rest := total - parameters(layers):
        layers.append(Layer("all else" if layers else "the net", tuple(output.shape[1:]), rest))
    return layers


def _own(params: Mapping[str, Any], path: Sequence[str]) -> int:
    """The parameters that lie in this place itself."""
    place: Any = params
    for key in path:
        place = place.get(key, {}) if isinstance(place, Mapping) else {}
    leaves = place.values() if isinstance(place, Mapping) else ()
    return sum(leaf.size for leaf in leaves if not isinstance(leaf, Mapping))
