"""What several test modules share."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jaxtyping
import numpy as np
import pytest
from PIL import Image

from gan_jax import compiling


def few(values: Iterable[Any], *quick: Any) -> list[Any]:
    """The values of a parameter, all slow but some, which show what the others repeat."""
    return few_rows([(value,) for value in values], *[(value,) for value in quick])


def few_rows(rows: Sequence[tuple[Any, ...]], *quick: tuple[Any, ...]) -> list[Any]:
    """Those of several parameters."""
    assert all(row in rows for row in quick), quick
    return [pytest.param(*row, marks=() if row in quick else pytest.mark.slow) for row in rows]


@functools.cache
def quick_options() -> dict[str, Any]:
    """Options that make XLA compile three times faster, and slower code, as far as this version of it knows them."""
    options = {
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_parallel_codegen_split_count": 1,
    }

    def known(option: str) -> bool:
        try:
            jax.jit(lambda: 0, compiler_options={option: options[option]})()
        except jax.errors.JaxRuntimeError:
            return False
        return True

    return {option: value for option, value in options.items() if known(option)}


def jit(f: Callable[..., Any], **kwargs: Any) -> Any:
    """`jax.jit` for programs that run once or twice: compiling them is nearly all of a test's time."""
    return jax.jit(f, compiler_options=quick_options(), **kwargs)


@contextlib.contextmanager
def optimised() -> Iterator[None]:
    """XLA optimises training, here and in the commands that are started: worth its time for hundreds of steps."""
    options = compiling.compiler_options() | compiling._known({"xla_backend_optimization_level": 1})
    flag = "--xla_backend_optimization_level={}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling, "compiler_options", lambda: options)
        patch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"].replace(flag.format(0), flag.format(1)))
        yield


def assert_same(actual: Any, expected: Any) -> None:
    """Two pytrees are equal bit for bit."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def assert_close(actual: Any, expected: Any, *, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """Two pytrees are equal up to rounding."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), actual, expected)


def differ(a: Any, b: Any) -> bool:
    """Some number somewhere is not the same."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return any(not np.array_equal(x, y) for x, y in pairs)


def stack(*trees: Any) -> Any:
    """Pytrees as one, with a leading axis. (In NumPy: JAX would compile something for every shape.)"""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def all_finite(tree: Any) -> bool:
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))


@contextlib.contextmanager
def untyped() -> Iterator[None]:
    """Without the type checker that tests run under, and users do not: what they meet with arrays of the wrong kind."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def read_png(path: str | Path) -> np.ndarray:
    """The pixels of a picture."""
    with Image.open(path) as image:
        return np.asarray(image)
