"""What can be run: every option with its meaning, and one table, name -> recipe, paper, defaults, the paper's settings.

Nothing here imports JAX, so that `--help` and a mistyped option answer at once.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Option(NamedTuple):
    """One command-line option.

    Attributes:
      parse: how its text is read; ValueError says what was expected.
      help: what it means.
      scales: whether it only scales numbers, so that members of one population may differ in it; any other value
        changes shapes or code, and needs a program of its own.
    """

    parse: Callable[[str], Any]
    help: str
    scales: bool = False


def whole(low: int, high: int = 2**31 - 1) -> Callable[[str], int]:
    """A parser of integers in [low, high]; steps are counted in 32 bits."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"expected a whole number, at least {low} and at most {high}, got {text!r}")
        return value

    return parse


def number(low: float = -math.inf, high: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """A parser of finite numbers in [low, high), or in (low, high) if `above`."""
    bracket = "(" if above else "["

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value < high and (value > low or not above)):
            raise ValueError(f"expected a number in {bracket}{low:g}, {high:g}), got {text!r}")
        return value

    return parse


def choice(*names: str) -> Callable[[str], str]:
    """A parser of one of a few names."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"expected one of {', '.join(names)}, got {text!r}")
        return text

    return parse


def names(*known: str) -> Callable[[str], tuple[str, ...]]:
    """A parser of some of a few names, with commas between them."""
    one = choice(*known)
    return lambda text: tuple(dict.fromkeys(one(name) for name in text.split(",")))


def switch(text: str) -> bool:
    """A parser of yes and no."""
    if text not in ("yes", "no"):
        raise ValueError(f"expected yes or no, got {text!r}")
    return text == "yes"


def optional(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser of what `parse` takes, or the word none."""
    return lambda text: None if text == "none" else parse(text)


_rate = number(0, 10, above=True)
_decay = number(0, 1)

# Names in `experiments.measures.MEASURES`, for options: that module starts JAX.
METRICS = (
    "frechet", "kernel", "prdc", "gan_test", "gan_train", "parzen", "parzen_blurred", "parzen_kmeans", "modes",
    "stacked", "sliced",
)  # fmt: skip

# Options of the run, which every recipe has.
RUN_OPTIONS: Mapping[str, Option] = {
    "steps": Option(whole(1), "generator updates"),
    "batch_size": Option(whole(1, 2**16), "examples per minibatch"),
    "seed": Option(whole(0, 2**32 - 1), "seed of parameters, noise, minibatches and sample grids"),
    "data": Option(str, "mnist, stacked, ring, grid, idx:DIR, npz:FILE, folder:DIR or tfds:NAME"),
    "track": Option(
        optional(lambda text: ",".join(names(*METRICS)(text))),
        "metrics of 2,500 samples, against the test set, to measure while training, A,B; the best checkpoint by the "
        "first is kept (prdc chooses by coverage, modes and stacked by kl)",
    ),
    "every": Option(whole(1), "steps between measurements of --track"),
    "log_every": Option(whole(1), "steps per compiled dispatch, and per line of metrics"),
    "sample_every": Option(whole(1), "steps between sample grids"),
    "save_every": Option(whole(1), "steps between checkpoints"),
    "warmup_steps": Option(whole(0), "first generator updates with warmup_critic critic updates each, 0 for none"),
    "warmup_critic": Option(whole(1, 10_000), "critic updates per generator update during the warm-up"),
    "stream": Option(switch, "yes to keep the data on the host and send minibatches, no to put it on the device"),
    "invert": Option(switch, "yes for dark digits on white in sample grids"),
}

# Options of recipes: keyword arguments of the functions in gan_jax.recipes.
RECIPE_OPTIONS: Mapping[str, Option] = {
    "lr": Option(_rate, "learning rate of both players, per step", scales=True),
    "d_lr": Option(optional(_rate), "learning rate of the discriminator; none for the same as lr", scales=True),
    "b1": Option(_decay, "Adam's decay of the first moment, per step", scales=True),
    "clip": Option(number(0, above=True), "bound of every critic parameter, absolute value", scales=True),
    "n_critic": Option(whole(1, 10_000), "critic updates per generator update"),
    "weight": Option(number(0), "weight of the gradient penalty (lambda)", scales=True),
    "gamma": Option(number(0), "weight of the R1 and R2 penalties", scales=True),
    "width": Option(whole(4, 2**16), "hidden units, or channels of the widest-resolution layer"),
    "depth": Option(whole(1, 100), "hidden layers of each player"),
    "latent": Option(whole(1, 2**16), "dimensions of z"),
    "dropout": Option(number(0, 1), "dropout rate in the discriminator"),
    "saturating": Option(switch, "yes for the original minimax loss of the generator"),
    "deep": Option(switch, "yes for four and three hidden layers, those of cgan_embedding"),
    "conditional": Option(switch, "yes to condition on labels"),
    "apart": Option(switch, "yes to treat the channels alike, as images of one each (the digits of stacked)"),
    "ema": Option(
        optional(_decay),
        "decay of the generator's running average, per step; none to sample the last weights",
        scales=True,
    ),
    "dtype": Option(choice("float32", "bfloat16"), "compute type of the networks; parameters stay float32"),
}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A runnable recipe.

    Attributes:
      recipe: the function in `gan_jax.recipes`.
      paper: citation.
      summary: one line.
      defaults: settings for two CPU cores and a few minutes, both kinds of options.
      paper_settings: what `--preset paper` changes: the paper's own settings and length.
    """

    recipe: str
    paper: str
    summary: str
    defaults: Mapping[str, Any]
    paper_settings: Mapping[str, Any]

    @property
    def run_options(self) -> dict[str, Option]:
        return {name: option for name, option in RUN_OPTIONS.items() if name in self.defaults}

    @property
    def recipe_options(self) -> dict[str, Option]:
        return {name: option for name, option in RECIPE_OPTIONS.items() if name in self.defaults}


@dataclasses.dataclass(frozen=True)
class Config:
    """One run, as its config.json records it.

    Attributes:
      experiment: a name in `EXPERIMENTS`.
      run: values of `RUN_OPTIONS`.
      recipe: keyword arguments of the recipe.
    """

    experiment: str
    run: Mapping[str, Any]
    recipe: Mapping[str, Any]


def _experiment(
    recipe: str, paper: str, summary: str, defaults: dict[str, Any], paper_settings: dict[str, Any]
) -> Experiment:
    run = {"seed": 0, "data": "mnist", "track": None, "every": 500, "stream": False, "invert": False}
    nets = {"d_lr": None, "ema": None, "dtype": "float32"}
    return Experiment(recipe, paper, summary, run | nets | defaults, {"ema": None} | paper_settings)


def _wgan(summary: str, defaults: dict[str, Any], paper_settings: dict[str, Any], recipe: str = "wgan") -> Experiment:
    shared = {"n_critic": 5, "latent": 100, "batch_size": 64, "warmup_steps": 0, "warmup_critic": 100}
    paper = {"lr": 5e-5, "clip": 0.01, "steps": 200_000, "warmup_steps": 25, "sample_every": 5000, "save_every": 5000}
    citation = "Arjovsky et al. 2017, arXiv:1701.07875"
    return _experiment(recipe, citation, summary, shared | defaults, paper | paper_settings)


EXPERIMENTS: Mapping[str, Experiment] = {
    "gan": _experiment(
        "gan",
        "Goodfellow et al. 2014, arXiv:1406.2661",
        "the original GAN, an MLP with the non-saturating loss",
        {"steps": 30_000, "batch_size": 128, "log_every": 250, "sample_every": 2500, "save_every": 5000,
         "lr": 2e-4, "b1": 0.5, "width": 256, "latent": 100, "saturating": False, "deep": False,
         "ema": 0.999},
        {"steps": 94_000, "b1": 0.9},
    ),
    "wgan": _wgan(
        "Wasserstein GAN, MLPs, weight clipping",
        {"steps": 10_000, "log_every": 100, "sample_every": 1000, "save_every": 2000,
         "lr": 5e-4, "clip": 0.05, "width": 256, "depth": 3, "ema": 0.999},
        {"width": 128, "depth": 1},
    ),
    "wgan_4x512": _wgan(
        "Wasserstein GAN, MLPs of four hidden layers with 512 units",
        {"steps": 4000, "log_every": 25, "sample_every": 500, "save_every": 1000,
         "lr": 2e-4, "clip": 0.03, "width": 512, "depth": 4, "ema": 0.99},
        {},
    ),
    "wgan_dcgan": _wgan(
        "Wasserstein GAN, convolutional",
        {"steps": 3000, "log_every": 20, "sample_every": 500, "save_every": 500,
         "lr": 5e-4, "clip": 0.05, "width": 16, "ema": 0.99},
        {"width": 64},
        recipe="wgan_dcgan",
    ),
    "cgan": _experiment(
        "cgan",
        "Mirza & Osindero 2014, arXiv:1411.1784",
        "conditional GAN, MLP, labels concatenated one-hot",
        {"steps": 40_000, "batch_size": 128, "log_every": 250, "sample_every": 2500, "save_every": 5000,
         "lr": 2e-4, "b1": 0.5, "width": 128, "latent": 100, "ema": 0.999},
        {"steps": 94_000, "b1": 0.9},
    ),
    "cgan_embedding": _experiment(
        "cgan_embedding",
        "Mirza & Osindero 2014, arXiv:1411.1784",
        "conditional GAN, MLP, learned label embeddings",
        {"steps": 8000, "batch_size": 64, "log_every": 50, "sample_every": 1000, "save_every": 1000,
         "lr": 2e-4, "b1": 0.5, "width": 512, "latent": 100, "dropout": 0.4, "ema": 0.999},
        {"steps": 187_600},
    ),
    "dcgan": _experiment(
        "dcgan",
        "Radford et al. 2015, arXiv:1511.06434",
        "deep convolutional GAN",
        {"steps": 3000, "batch_size": 64, "log_every": 20, "sample_every": 250, "save_every": 500,
         "lr": 2e-4, "b1": 0.5, "width": 32, "latent": 100, "ema": 0.99},
        {"steps": 12_000, "batch_size": 100, "width": 128},
    ),
    "cdcgan": _experiment(
        "cdcgan",
        "Mirza & Osindero 2014, arXiv:1411.1784; Radford et al. 2015, arXiv:1511.06434",
        "conditional DCGAN, labels as maps",
        {"steps": 3000, "batch_size": 64, "log_every": 20, "sample_every": 250, "save_every": 500,
         "lr": 2e-4, "b1": 0.5, "width": 32, "latent": 100, "ema": 0.99},
        {"steps": 18_000, "batch_size": 100, "width": 128},
    ),
    "lsgan": _experiment(
        "lsgan",
        "Mao et al. 2017, arXiv:1611.04076",
        "least-squares GAN, convolutional",
        {"steps": 3000, "batch_size": 64, "log_every": 20, "sample_every": 250, "save_every": 500,
         "lr": 2e-4, "b1": 0.5, "width": 32, "latent": 100, "ema": 0.99},
        {"steps": 12_000, "batch_size": 64, "width": 128},
    ),
    "acgan": _experiment(
        "acgan",
        "Odena et al. 2017, arXiv:1610.09585",
        "auxiliary classifier GAN, convolutional",
        {"steps": 3000, "batch_size": 64, "log_every": 20, "sample_every": 250, "save_every": 500,
         "lr": 2e-4, "b1": 0.5, "width": 32, "latent": 100, "ema": 0.99},
        {"steps": 30_000, "batch_size": 100, "width": 128},
    ),
    "wgan_gp": _experiment(
        "wgan_gp",
        "Gulrajani et al. 2017, arXiv:1704.00028",
        "Wasserstein GAN with gradient penalty, convolutional",
        {"steps": 2000, "batch_size": 64, "log_every": 10, "sample_every": 250, "save_every": 250,
         "lr": 3e-4, "b1": 0.5, "weight": 10.0, "n_critic": 3, "width": 16, "latent": 128, "ema": 0.99},
        {"steps": 200_000, "lr": 1e-4, "n_critic": 5, "batch_size": 50, "width": 64, "sample_every": 5000,
         "save_every": 5000},
    ),
    "sngan": _experiment(
        "sngan",
        "Miyato et al. 2018, arXiv:1802.05957",
        "spectral normalisation and hinge loss; projection discriminator with --conditional yes",
        {"steps": 3000, "batch_size": 64, "log_every": 20, "sample_every": 250, "save_every": 500,
         "lr": 2e-4, "b1": 0.5, "n_critic": 1, "width": 32, "latent": 128, "conditional": False, "apart": False,
         "ema": 0.99},
        {"steps": 100_000, "n_critic": 5, "width": 64, "sample_every": 5000, "save_every": 5000},
    ),
    "dragan": _experiment(
        "dragan",
        "Kodali et al. 2017, arXiv:1705.07215",
        "gradient penalty around the data, convolutional",
        {"steps": 2500, "batch_size": 64, "log_every": 20, "sample_every": 250, "save_every": 500,
         "lr": 3e-4, "b1": 0.5, "weight": 10.0, "width": 32, "latent": 100, "ema": 0.99},
        {"steps": 40_000, "lr": 1e-4, "width": 64},
    ),
    "r3gan": _experiment(
        "r3gan",
        "Huang et al. 2024, arXiv:2501.05441",
        "relativistic pairing loss with R1 and R2, residual nets without normalisation",
        {"steps": 1500, "batch_size": 64, "log_every": 5, "sample_every": 100, "save_every": 100,
         "lr": 5e-4, "b1": 0.0, "gamma": 1.0, "width": 8, "latent": 64, "conditional": False, "ema": 0.99},
        {"steps": 100_000, "lr": 2e-4, "width": 64, "ema": 0.999, "sample_every": 1000, "save_every": 1000},
    ),
    "completion": _experiment(
        "completion",
        "Mirza & Osindero 2014, arXiv:1411.1784 (any condition: here half an image)",
        "paints the lower half of an image below a given upper half",
        {"steps": 4000, "batch_size": 64, "log_every": 25, "sample_every": 500, "save_every": 500,
         "lr": 2e-4, "b1": 0.5, "width": 512, "latent": 32, "ema": 0.99},
        {"steps": 40_000},
    ),
}  # fmt: skip
