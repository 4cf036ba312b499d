"""Layers with or without spectral normalisation."""

import functools
from collections.abc import Callable
from typing import Any

from flax import linen as nn


def maybe_spectral(layer: Any, spectral_norm: bool, train: bool) -> Callable[..., Any]:
    """`layer`, or with `spectral_norm` the layer with its weight divided by an estimate of its largest singular value.

    The estimate is kept in "batch_stats"; every call with `train` improves it by one power iteration (Miyato et al.
    2018, arXiv:1802.05957).
    """
    return functools.partial(nn.SpectralNorm(layer), update_stats=train) if spectral_norm else layer
