"""What several test modules share."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def jit(f: Callable[..., Any], **kwargs: Any) -> Any:
    """`jax.jit` that compiles in half the time to slower code: nearly all of a test's time is compilation."""
    options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    return jax.jit(f, compiler_options=options, **kwargs)


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
