"""Which values a function can return at most, read off its last operation."""

import math
from collections.abc import Callable
from typing import Any

import jax

_REACH = {"logistic": (0.0, 1.0), "tanh": (-1.0, 1.0)}
_SAME_VALUES = frozenset({"reshape", "convert_element_type", "transpose", "squeeze", "broadcast_in_dim", "copy"})


def reach(f: Callable[..., Any], *args: Any) -> tuple[float, float]:
    """The bounds of f(*args), an array, in its dtype: [0, 1] if it ends in a sigmoid, [-1, 1] in tanh, else infinite.

    f is traced and not computed.
    """
    jaxpr = jax.make_jaxpr(f)(*args).jaxpr
    out: Any  # A variable, or a constant, which is no equation's.
    (out,) = jaxpr.outvars
    while (eqn := next((eqn for eqn in jaxpr.eqns if out in eqn.outvars), None)) is not None:
        inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
        if eqn.primitive.name in _SAME_VALUES:
            out = eqn.invars[0]
        elif inner is not None and eqn.primitive.name not in ("scan", "while"):
            jaxpr = getattr(inner, "jaxpr", inner)
            out = jaxpr.outvars[eqn.outvars.index(out)]
        else:
            return _REACH.get(eqn.primitive.name, (-math.inf, math.inf))
    return -math.inf, math.inf
