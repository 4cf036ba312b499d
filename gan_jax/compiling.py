"""How training is compiled: one `jax.jit` for all of the package's training functions."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax

_STATIC = frozenset({"gan", "make_gan", "net", "steps", "batch_size", "capacity", "norms_every", "mapping", "mesh"})


def jit_training(train: Callable[..., Any], *, donate: Sequence[str] = (), out_shardings: Any = None) -> Any:
    """Compiles a training function: `jax.jit` with `compiler_options`, and static and donated arguments.

    Args:
      train: a function such as `training.train`, `training.train_until`, `population.train_until`. Its arguments named
        gan, make_gan, net, steps, batch_size, capacity, norms_every, mapping and mesh are static.
      donate: names of arguments whose memory the result may reuse.
      out_shardings: how the results are laid out; None leaves that to the compiler.
    """
    static = [name for name in inspect.signature(train).parameters if name in _STATIC]
    return jax.jit(
        train,
        static_argnames=static,
        donate_argnames=donate,
        out_shardings=out_shardings,
        compiler_options=compiler_options(),
    )


@functools.cache
def compiler_options() -> dict[str, Any]:
    """Options for `jax.jit(..., compiler_options=...)` under which XLA compiles training best on this platform.

    On CPUs jaxlib 0.10 hands single convolutions to a library that is slower at them than XLA's own code (cdcgan trains
    1.4 times as fast without it) but faster at matrix products: so the library gets only those and reductions. Empty
    on accelerators, and where this version of XLA lacks the option.
    """
    kinds = ("INDIVIDUAL_DOT", "REDUCE")
    return _known({"xla_cpu_experimental_ynn_fusion_type": ",".join(f"LIBRARY_FUSION_TYPE_{kind}" for kind in kinds)})


@functools.cache
def quick_options() -> dict[str, Any]:
    """Options for `jax.jit(..., compiler_options=...)` of a program that runs a few times, such as one that samples.

    On CPUs the first level of LLVM's optimisation, where this version of XLA has them its emitters from before MLIR,
    and one module in place of many: XLA compiles `cdcgan`'s generator in a third of the CPU time, to a program that is
    as fast, and whose samples have the same bits. Empty on accelerators.
    """
    level = {"xla_backend_optimization_level": 1}
    emitters = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}
    return _known(level | emitters) or _known(level)


def _known(options: dict[str, Any]) -> dict[str, Any]:
    """The options, or none on accelerators, and where this version of XLA does not know them all."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=options)()
    except jax.errors.JaxRuntimeError:  # Another version may have dropped one.
        return {}
    return options
