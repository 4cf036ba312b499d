"""Stacked MNIST: the triples of digits, of a thousand, in samples (Lin et al. 2018, arXiv:1712.04086, section 4.2).

26,000 samples, each channel read by the project's MNIST classifier, KL(p || uniform) of the histogram of triples.
The settings are ones that two cores can train.
"""

import functools
from collections.abc import Sequence

from experiments.reproduce import images
from experiments.reproduce.seeds import at_once, configured, settings
from experiments.reproduce.table import Budget, Column, Outcome, Published, Row, Table
from gan_jax.lab import Config
from gan_jax.lab.measuring.reference import Reference

_SOURCE = "Lin et al. 2018, table 2"
_SAMPLES = 26_000
_SNGAN = configured("sngan", lr="steps:4e-4,4e-4,2e-4,2e-4,5e-5", steps=5 * 1300, ema=0.995)
_APART = configured("sngan", lr="steps:4e-4,4e-4,4e-4,2e-4,1e-4", steps=5 * 1500, ema=0.998, batch_size=32, apart=True)
_ROWS = {
    "dcgan": (configured("dcgan", lr=2e-4, steps=3000, ema=0.99), range(2)),
    "sngan": (_SNGAN, range(2)),
    "sngan, colours apart": (_APART, range(4)),
}


def table(budget: Budget) -> Table:
    """Modes and KL of a short `dcgan`, of `sngan` with and without colours apart, and of real images."""
    full = budget == "full"
    n = _SAMPLES if full else 100
    rows = [Row("real images", {"n": n}, functools.partial(_measure_real, n), range(2 if full else 1), 1)]
    for name, (chosen, seeds) in _ROWS.items():
        chosen, seeds = (chosen, seeds) if full else (images.small(chosen), range(1))
        measure = functools.partial(_measure, chosen, n)
        rows.append(Row(name, settings(chosen) | {"n": n}, measure, seeds, at_once()))
    return Table(
        "Stacked MNIST",
        f"{n} samples of the averaged generator, each colour read by the project's MNIST classifier. The published "
        "nets are wider and were trained for longer, on GPUs; KL of as many fair draws of 1000 classes is .0195 at "
        "best. `dcgan` has 3,000 steps at 2e-4. `sngan` has nearly every mode, but unequally often: threes almost "
        "three times too often, ones a quarter as often as they should. In the last row both players treat the three "
        "colours alike, as images of one digit each, which a dense layer mixes (G) and joins (D): a prior that this "
        "data earns and photographs would not. Its masses even out as long as the learning rate is high: KL .50 after "
        "800 steps, .22 after 1,600, and .060 after stages of 1,200 in place of 1,500. Tried on the way, one seed "
        "each: packs of four (PacGAN), 946 modes and .82 after 1,000 steps of 128; a generator alone that paints the "
        "colours one by one, 986 and .56; `wgan_gp`, 944 and .83 after 800 steps; rejection by a density ratio, which "
        "tells these images from real ones by their grain and does not even the masses out.",
        {"modes": Column("modes", 1), "kl": Column("KL", 3)},
        [
            Published("DCGAN", _SOURCE, {"modes": "99", "kl": "3.40"}),
            Published("Unrolled GAN", _SOURCE, {"modes": "48.7", "kl": "4.32"}),
            Published("VEEGAN", _SOURCE, {"modes": "150", "kl": "2.95"}),
            Published("PacDCGAN2", _SOURCE, {"modes": "1000", "kl": ".06 ± .003"}),
        ],
        rows,
    )


def _measure(chosen: Config, n: int, seeds: Sequence[int]) -> list[Outcome]:
    return images.measured(chosen, _reference(), {"stacked": n}, seeds)


def _measure_real(n: int, seeds: Sequence[int]) -> list[Outcome]:
    return images.measured_real(_reference(), {"stacked": n}, seeds)


def _reference() -> Reference:
    return images.reference(False, "stacked")
