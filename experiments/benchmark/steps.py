"""Steps per second of the recipes, against the machine's matrix product and against PyTorch."""

import contextlib
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from experiments.benchmark import timing
from experiments.benchmark.cases import CASES, CLASSES, Case
from experiments.benchmark.timing import CLOCKS, Contender
from gan_jax import training
from gan_jax.compiling import jit_training
from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.lab import EXPERIMENTS
from gan_jax.training import Examples

# Assumed speed of the machine, from which the steps per turn are chosen.
GUESS_FLOPS_PER_S = 150e9


def examples_of(case: Case) -> Examples:
    """A case's data, on the device."""
    return Examples(*map(jnp.asarray, case.images()))


def build(case: Case, **numbers: Any) -> GAN:
    """A case's GAN, with some of its numbers replaced."""
    return EXPERIMENTS[case.name].recipe(case.shape, CLASSES, **{**case.recipe, **numbers})


def fresh_state(gan: GAN, examples: Examples) -> GANState:
    return jax.jit(lambda rng: training.initial_state(gan, rng, examples))(jax.random.key(0))


def step_flops(gan: GAN, state: GANState, examples: Examples, batch_size: int) -> float:
    """Floating-point operations of one train step, counted by XLA in its compiled parts.

    XLA counts a loop's body once, so the n_critic updates are counted one by one.
    """
    batch = training.as_batch(gan, jax.tree.map(lambda leaf: leaf[:batch_size], examples))
    rng = jax.random.key(0)
    d_flops, g_flops = (
        float((jax.jit(step).lower(state, batch, rng).compile().cost_analysis() or {})["flops"])
        for step in (gan.d_step, gan.g_step)
    )
    return gan.n_critic * d_flops + g_flops


def measure(name: str, *, peer: bool, turns: int, seconds: float, clock: str = "wall") -> dict[str, Any]:
    """One recipe's record: rates, ratios to the peer's two modes, share of the matrix product's peak, compile time.

    Args:
      name: of the case.
      peer: whether PyTorch is measured too.
      turns, seconds: as `timing.take_turns` and contenders have them.
      clock: a name of `timing.CLOCKS`, by which rates and the peak are taken.
    """
    now = CLOCKS[clock]
    case = CASES[name]
    examples = examples_of(case)
    gan = build(case)
    state = fresh_state(gan, examples)
    flops = step_flops(gan, state, examples, case.batch_size)
    steps = max(1, round(seconds * GUESS_FLOPS_PER_S / flops))
    train = jit_training(training.train)
    started = time.perf_counter()
    program = train.lower(gan, state, examples, jax.random.key(0), steps=steps, batch_size=case.batch_size).compile()
    compile_s = time.perf_counter() - started

    def ours() -> float:
        started = now()
        jax.block_until_ready(program(state, examples, jax.random.key(0)))
        return steps / (now() - started)

    with contextlib.ExitStack() as stack:
        contenders: dict[str, Contender] = {"gan_jax": ours, "matmul": matmul_peak(seconds / 4, now=now)}
        if peer:
            modes = ("resident", "loader")
            contenders |= {f"torch {mode}": stack.enter_context(_torch(name, mode, seconds, clock)) for mode in modes}
        rates = timing.take_turns(contenders, turns)
    peak = timing.rate(rates.pop("matmul"))
    rate = timing.rate(rates["gan_jax"])
    return {
        "case": name,
        "recipe": dict(case.recipe),
        "batch_size": case.batch_size,
        "clock": clock,
        "gflop_per_step": flops / 1e9,
        "steps_per_s": {name: timing.rate(values)._asdict() for name, values in rates.items()},
        "images_per_s": rate.median * case.batch_size * gan.n_critic,
        "peak_gflop_per_s": peak.median / 1e9,
        "share_of_peak": rate.median * flops / peak.median,
        "compile_s": compile_s,
        "ratio": {
            name: timing.ratio(rates["gan_jax"], values)._asdict()
            for name, values in rates.items()
            if name != "gan_jax"
        },
    }


def matmul_peak(seconds: float, size: int = 2048, now: Callable[[], float] = time.perf_counter) -> Contender:
    """FLOP/s of a float32 matrix product `[size, size] x [size, size]`, the machine's practical peak."""
    flops = 2 * size**3
    repeats = max(1, math.ceil(seconds * GUESS_FLOPS_PER_S / flops))
    a = jax.random.normal(jax.random.key(0), (size, size)) / math.sqrt(size)
    product = jax.jit(lambda a, b: a @ b)
    jax.block_until_ready(product(a, a))

    def run() -> float:
        started = now()
        b = a
        for _ in range(repeats):
            b = product(a, b)
        jax.block_until_ready(b)
        return repeats * flops / (now() - started)

    return run


@contextlib.contextmanager
def _torch(name: str, mode: str, seconds: float, clock: str) -> Iterator[Contender]:
    """PyTorch in a separate process, idle between its turns: two thread pools in one would compete for cores."""
    command = [sys.executable, "-m", "experiments.benchmark.torch_peer", name, mode, clock]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None and process.stdout is not None
        if not process.stdout.readline().startswith("ready"):
            raise InputError("the PyTorch process did not start: see its own error above")

        def run_steps(steps: int) -> float:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(f"{steps}\n")
            return float(process.stdout.readline())

        steps = max(1, round(3 * seconds / run_steps(3)))
        try:
            yield lambda: steps / run_steps(steps)
        finally:
            process.stdin.close()
