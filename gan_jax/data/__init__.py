"""Data: `load(spec)` returns a `Dataset`, arrays in memory, whatever the source."""

from gan_jax.data.dataset import Dataset
from gan_jax.data.sources import load

__all__ = ["Dataset", "load"]
