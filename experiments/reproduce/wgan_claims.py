"""Does the critic's estimate say how good samples are? (Arjovsky et al. 2017, arXiv:1701.07875, section 4.2.)

The paper shows pictures: WGAN's estimate falls as samples improve, the Jensen-Shannon estimate of a GAN rises or stays.
Here each run is stopped every so often, the discriminator's estimate averaged over the steps since the last stop, and
2,500 samples compared with the test set by the Frechet distance of MNIST features; the number is Spearman's rank
correlation of the two along the run. An estimate that follows quality has +1, one that says nothing 0.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from experiments.reproduce import digits, members
from experiments.reproduce.study import Budget, Column, Outcome, Published, Record, Row, Table

_SOURCE = "Arjovsky et al. 2017, figures 3 and 4"


def table(budget: Budget) -> Table:
    """Rank correlations of estimate and Frechet distance along training."""
    full = budget == "full"
    seeds, stops, steps = (range(8), 16, 250) if full else (range(1), 3, 10)
    return Table(
        "Does the estimate follow the quality of samples?",
        "Spearman's rank correlation, along a run, of the discriminator's estimate of the divergence (the mean over "
        f"the {steps} steps before each of {stops} stops) and the Frechet distance of 2,500 samples to MNIST's test "
        "set in the features of the project's classifier. `wgan` estimates a multiple of the Wasserstein distance, "
        "`gan` the Jensen-Shannon divergence, which can't exceed log 2 = .693. Samples are those of the last weights, "
        "not of an average. Both estimates rise while D learns to tell anything apart and then fall as samples "
        "improve: after the first quarter that of `wgan` orders the samples almost without error, and that of `gan` "
        "does so on most seeds, though its samples stay far from the data here. That a GAN's estimate says nothing, as "
        "the paper's pictures of longer runs on larger images show, does not follow for this one.",
        {
            "spearman": Column("rank correlation", 3),
            "later": Column("without the first quarter", 3),
            "first": Column("first estimate", 3),
            "last": Column("last estimate", 3),
            "frechet_first": Column("first Frechet distance", 0),
            "frechet_last": Column("last Frechet distance", 1),
        },
        [
            Published("WGAN", _SOURCE, {"spearman": "falls as samples improve (picture)"}),
            Published("GAN", _SOURCE, {"spearman": "does not (picture)", "last": "near log 2"}),
        ],
        [
            _row("wgan", {"lr": 5e-4, "clip": 0.05, "width": 128, "depth": 2}, 64, stops, steps, seeds),
            _row("gan", {"lr": 2e-4, "b1": 0.5, "width": 256}, 128, stops, steps, seeds),
        ],
        _plot,
    )


def _row(name: str, settings: Mapping[str, Any], batch_size: int, stops: int, steps: int, seeds: Sequence[int]) -> Row:
    says = {**settings, "batch_size": batch_size, "stops": stops, "steps": steps, "samples": 2500}
    measure = functools.partial(_measure, name, settings, batch_size, stops, steps)
    return Row(name, says, measure, seeds, members.at_once())


def _measure(
    name: str, settings: Mapping[str, Any], batch_size: int, stops: int, steps: int, seeds: Sequence[int]
) -> list[Outcome]:
    reference = digits.reference(False)
    make, examples = digits.maker(name, reference, settings), digits.examples(reference)
    draw = digits.drawer(make({}), reference, 2500)
    estimates: list[list[float]] = [[] for _ in seeds]
    distances: list[list[float]] = [[] for _ in seeds]
    for states, metrics in members.train(make, [{}] * stops, steps, batch_size, examples, seeds):
        for k, seed in enumerate(seeds):
            estimates[k].append(float(metrics["estimate"][k].mean()))
            samples = draw(members.member(states, k), seed)
            distances[k].append(digits.numbers(reference, samples, ["frechet"])["frechet"])
    return [_outcome(*curves) for curves in zip(estimates, distances, strict=True)]


def _outcome(estimates: Sequence[float], distances: Sequence[float]) -> Outcome:
    later = len(estimates) // 4
    numbers = {
        "spearman": _spearman(estimates, distances),
        "later": _spearman(estimates[later:], distances[later:]),
        "first": estimates[0],
        "last": estimates[-1],
        "frechet_first": distances[0],
        "frechet_last": distances[-1],
    }
    return Outcome(numbers, {"estimate": estimates, "frechet": distances})


def _spearman(a: Sequence[float], b: Sequence[float]) -> float:
    return float(scipy.stats.spearmanr(a, b).statistic)


def _plot(rows: Mapping[str, Sequence[Record]], file: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    having = {name: results for name, results in rows.items() if results}
    figure = Figure(figsize=(4 * len(having), 3.4), dpi=80, layout="constrained")
    for axes, (name, results) in zip(figure.subplots(1, len(having), squeeze=False)[0], having.items(), strict=True):
        for result in results:
            axes.plot(result["curves"]["frechet"], result["curves"]["estimate"], ".-", linewidth=0.8, markersize=4)
        correlations = [result["numbers"]["spearman"] for result in results]
        axes.set(xlabel="Frechet distance of samples", xscale="log", ylabel="estimate")
        axes.set_title(f"{name}: rank correlation {np.mean(correlations):.2f}", fontsize=10)
    FigureCanvasAgg(figure).print_png(str(file))
