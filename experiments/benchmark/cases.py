"""The recipes that the benchmark measures, at their papers' widths. Free of JAX and of PyTorch: both sides use it."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Case(NamedTuple):
    """One recipe at one setting: its name in `EXPERIMENTS` and in the peer, and keyword arguments of the recipe."""

    name: str
    recipe: Mapping[str, Any]
    batch_size: int
    tanh: bool = False


CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        Case("gan", {"width": 256, "lr": 2e-4, "b1": 0.9}, 128),
        Case("wgan", {"width": 128, "depth": 1, "lr": 5e-5, "clip": 0.01, "n_critic": 5}, 64),
        Case("wgan_4x512", {"width": 512, "depth": 4, "lr": 5e-5, "clip": 0.01, "n_critic": 5}, 64),
        Case("cgan", {"width": 128, "lr": 2e-4, "b1": 0.9}, 128),
        Case("cgan_embedding", {"width": 512, "lr": 2e-4, "b1": 0.5}, 64, tanh=True),
        Case("dcgan", {"width": 128, "lr": 2e-4, "b1": 0.5}, 100, tanh=True),
        Case("cdcgan", {"width": 128, "lr": 2e-4, "b1": 0.5}, 100, tanh=True),
        Case("wgan_dcgan", {"width": 64, "lr": 5e-5, "clip": 0.01, "n_critic": 5}, 64, tanh=True),
    )
}
