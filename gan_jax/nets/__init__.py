"""Flax Linen modules: the only place that knows flax.linen."""
