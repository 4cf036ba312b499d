"""Populations: total steps per second against the same members one after the other, and over 1, 2, ... devices."""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from experiments.benchmark import timing
from experiments.benchmark.cases import CASES
from experiments.benchmark.steps import GUESS_FLOPS_PER_S, build, examples_of, fresh_state, step_flops
from experiments.benchmark.timing import Contender
from gan_jax import population, training
from gan_jax.compiling import compiler_options, jit_training
from gan_jax.gan import GAN, GANState


def measure(name: str, *, width: int, turns: int, seconds: float, members: int = 16) -> dict[str, Any]:
    """Total steps/s of `members` GANs: one after the other, mapped or vmapped on one device, over 1, 2, ... devices.

    "strong" keeps the number of members; "weak" keeps the members per device.
    """
    case = CASES[name]
    examples = examples_of(case)
    devices = jax.devices()

    def make_gan(hyperparams: population.Hyperparams) -> GAN:
        return build(case, lr=hyperparams["lr"], width=width)

    hyperparams = {"lr": jnp.geomspace(0.5, 2, members) * case.recipe["lr"]}
    rngs = jax.random.split(jax.random.key(0), members)
    states = jax.jit(population.initial_states, static_argnums=0)(make_gan, hyperparams, rngs, examples)
    one = build(case, width=width)
    flops = step_flops(one, fresh_state(one, examples), examples, case.batch_size)
    steps = max(1, round(seconds * GUESS_FLOPS_PER_S / flops / members))

    @functools.partial(jax.jit, compiler_options=compiler_options())
    def alone(hyperparams: population.Hyperparams, state: GANState, rng: jax.Array) -> Any:
        gan = make_gan(hyperparams)
        return training.train(gan, state, examples, rng, steps=steps, batch_size=case.batch_size)

    member = [jax.tree.map(lambda leaf: leaf[k], (hyperparams, states, rngs)) for k in range(members)]  # noqa: B023

    def one_by_one() -> float:
        started = time.perf_counter()
        for inputs in member:
            jax.block_until_ready(alone(*inputs))
        return members * steps / (time.perf_counter() - started)

    def together(count: int, mapping: population.Mapping, n_devices: int | None) -> Contender:
        mesh = None if n_devices is None else Mesh(np.array(devices[:n_devices]), (population.AXIS,))
        own = jax.tree.map(lambda leaf: leaf[:count], (hyperparams, states, jnp.ones(members, bool), rngs))
        shared = examples, jnp.int32(steps)
        if mesh is not None:
            own = jax.device_put(own, NamedSharding(mesh, P(population.AXIS)))
            shared = jax.device_put(shared, NamedSharding(mesh, P()))
        (numbers, start, alive, keys), (data, stop) = own, shared
        inputs = {"alive": alive, "rngs": keys, "stop": stop}
        static: dict[str, Any] = {"batch_size": case.batch_size, "capacity": steps, "mapping": mapping, "mesh": mesh}
        train = jit_training(population.train_until)
        program = train.lower(make_gan, numbers, start, data, **inputs, **static).compile()

        def run() -> float:
            started = time.perf_counter()
            jax.block_until_ready(program(numbers, start, data, **inputs))
            return count * steps / (time.perf_counter() - started)

        return run

    counts = [n for n in (1, 2, 4, 8, 16, len(devices)) if n <= len(devices) and members % n == 0]
    contenders: dict[str, Contender] = {
        "one after the other": one_by_one,
        "map, one device": together(members, "map", None),
        "vmap, one device": together(members, "vmap", None),
    }
    for n in sorted(set(counts)):
        contenders[f"strong, {n} devices"] = together(members, "map", n)
        contenders[f"weak, {n} devices"] = together(members // max(counts) * n, "map", n)
    rates = timing.take_turns(contenders, turns)
    first = rates["one after the other"]
    return {
        "case": name,
        "width": width,
        "members": members,
        "devices": len(devices),
        "total_steps_per_s": {key: timing.rate(values)._asdict() for key, values in rates.items()},
        "ratio_to_one_after_the_other": {key: timing.ratio(values, first)._asdict() for key, values in rates.items()},
    }
