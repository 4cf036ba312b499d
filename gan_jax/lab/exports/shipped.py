"""The trained generators that come with the package, made by `python -m experiments.shipped`."""

import importlib.resources
from pathlib import Path


def models() -> Path:
    """Where they lie."""
    return Path(str(importlib.resources.files("gan_jax.lab.exports"))) / "models"


def names() -> list[str]:
    """What they are called."""
    return sorted(path.name for path in models().iterdir() if path.is_dir())
