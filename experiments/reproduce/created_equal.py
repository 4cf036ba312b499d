"""Are GANs created equal? Eight objectives on the same networks and data (Lucic et al. 2018, arXiv:1711.10337).

The paper's protocol: of every objective a wide random search, then the best setting with fresh seeds. Here the search
is by successive halving, and the networks of the full budget are small MLPs, so that everything fits four core-hours;
`--budget paper` has the networks of the paper (InfoGAN's), its length and its numbers of settings and seeds.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments.reproduce import intervals, objectives
from experiments.reproduce import table as tables
from experiments.reproduce.members import Members, distances
from experiments.reproduce.table import Budget, Column, Outcome, Published, Record, Row, Table
from gan_jax.lab import style
from gan_jax.lab.measuring import reference as real_data
from gan_jax.lab.measuring.reference import Reference

FASHION_MNIST = "idx:/usr/share/datasets/fashion-mnist"
"""Where Debian's package dataset-fashion-mnist puts it."""

_BATCH = 64
_SOURCE = "Lucic et al. 2018"
_SHOWN_COUNTS = (1, 4, 16, 64)


class Protocol(NamedTuple):
    """How much is spent.

    Attributes:
      settings: of an objective's search.
      rungs: after so many minibatches of D the better half of the settings goes on; the last is the whole length.
      seeds: of the best setting.
      search_samples: of a score of the search.
      samples: of a score of a seed.
      width: units of a hidden layer of the MLPs; 0 for the paper's convolutional networks.
    """

    settings: int
    rungs: tuple[int, ...]
    seeds: int
    search_samples: int
    samples: int
    width: int


PROTOCOLS: Mapping[Budget, Protocol] = {
    "small": Protocol(4, (10, 20), 2, 100, 200, 8),
    "full": Protocol(64, (500, 1000, 2000, 4000), 30, 2000, 10_000, 128),
    "paper": Protocol(100, (18_750,), 50, 10_000, 10_000, 0),
}


def mnist(budget: Budget) -> Table:
    """The table of MNIST."""
    return _table("MNIST", "mnist", 0, PROTOCOLS[budget])


def fashion_mnist(budget: Budget) -> Table:
    """The table of Fashion-MNIST, from where Debian's package puts it."""
    return _table("Fashion-MNIST", FASHION_MNIST, 1, PROTOCOLS[budget])


def _table(title: str, spec: str, which: int, protocol: Protocol) -> Table:
    settings = {key: value for key, value in protocol._asdict().items() if key != "seeds"}
    settings |= {"data": spec, "space": objectives.SPACE, "n_critic": objectives.CRITICS}
    settings |= {"latent": objectives.LATENT, "batch_size": _BATCH}
    few = range(min(3, protocol.seeds))
    rows = [
        Row("real images", settings, functools.partial(_measure_real, spec, protocol), few, 1),
        Row("untrained", settings, functools.partial(_measure_untrained, spec, protocol), few, len(few)),
    ]
    for names in dict.fromkeys(map(together, objectives.OBJECTIVES)):
        own = {name: settings | {"weights": objectives.OBJECTIVES[name].weights} for name in names}
        for name in names:
            search = functools.partial(_measure_search, spec, protocol, name)
            rows.append(Row(searched(name), own[name], search, range(protocol.settings), protocol.settings))
        searches = list(map(searched, names))
        for name in names:
            seeds = functools.partial(_measure_seeds, spec, protocol, name)
            rows.append(Row(name, own[name], seeds, range(protocol.seeds), 10, searches))
    return Table(
        f"Are GANs created equal? {title}",
        _note(protocol),
        {"frechet": Column("Frechet distance", 1)},
        _published(which),
        rows,
        _plot,
        functools.partial(_body, which),
    )


def searched(objective: str) -> str:
    """The name of the row of an objective's search."""
    return f"{objective}, search"


def _published(which: int) -> list[Published]:
    return [
        Published(name, f"{_SOURCE}, FID of Inception's features", {"frechet": str(objective.published[which])})
        for name, objective in objectives.OBJECTIVES.items()
        if objective.published is not None
    ]


def together(name: str) -> tuple[str, ...]:
    """The objectives that are trained at once: where members are, all that are alike, else it alone."""
    return (name,) if jax.default_backend() == "cpu" else objectives.alike(name)


@functools.cache
def _reference(spec: str) -> Reference:
    return real_data.load(spec, conditional=False)


Own = tuple[str, Mapping[str, float], Array]
"""A member: its objective, its setting and its key."""


class _Groups:
    """Members of several objectives that are alike, in a program for each n_critic."""

    def __init__(self, spec: str, protocol: Protocol, members: Sequence[Own]) -> None:
        examples = jax.tree.map(jnp.asarray, _reference(spec).train.examples)
        names = {name for name, _, _ in members}
        most = max(-(-protocol.settings // len(objectives.CRITICS)), protocol.seeds)
        self._reference, program = _reference(spec), objectives.alike(members[0][0])
        self._groups = {}
        for n in objectives.CRITICS:
            chosen = np.array([own["n_critic"] == n for _, own, _ in members])
            if chosen.any():
                some = [member for member, taken in zip(members, chosen, strict=True) if taken]
                numbers = [objectives.numbers_of(program, name, own) for name, own, _ in some]
                self._groups[n] = (
                    chosen,
                    Members(
                        objectives.maker(program, n, protocol.width),
                        {key: [own[key] for own in numbers] for key in numbers[0]},
                        [key for _, _, key in some],
                        examples,
                        places=most * len(names),
                        batch_size=_BATCH,
                    ),
                )

    def scores(self, alive: np.ndarray, minibatches: int, n: int) -> np.ndarray:
        """The Frechet distances after so many minibatches of D; infinite where not finite, NaN where not alive."""
        assert self._reference.classifier is not None
        found = np.full(len(alive), np.nan)
        for n_critic, (chosen, members) in self._groups.items():
            living = alive[chosen]
            if living.any():
                members.advance(living, minibatches // n_critic)
                features = members.sampled(living, n, self._reference.classifier.features)
                own = distances(features, self._reference.moments)
                found[np.flatnonzero(chosen)[living]] = np.where(members.finite[living], own, np.inf)
        return found


def _measure_search(spec: str, protocol: Protocol, name: str, numbers: Sequence[int]) -> list[Outcome]:
    return _search(spec, protocol, together(name), tuple(numbers))[name]


@functools.cache
def _search(
    spec: str, protocol: Protocol, names: tuple[str, ...], numbers: tuple[int, ...]
) -> dict[str, list[Outcome]]:
    """Successive halving within each objective: what each setting scored last, and when."""
    own = [
        (name, objectives.setting(name, k), jax.random.fold_in(jax.random.key(2018), k))
        for name in names
        for k in numbers
    ]
    groups, of = _Groups(spec, protocol, own), np.array([name for name, _, _ in own])
    alive = np.ones(len(own), bool)
    curves: list[list[float]] = [[] for _ in own]
    for left, rung in enumerate(protocol.rungs, 1 - len(protocol.rungs)):
        scores = groups.scores(alive, rung, protocol.search_samples)
        for k in np.flatnonzero(alive):
            curves[k].append(float(scores[k]))
        if left:
            alive = functools.reduce(np.logical_or, [better_half(scores, alive & (of == name)) for name in names])
    found: dict[str, list[Outcome]] = {name: [] for name in names}
    for (name, each, _), curve in zip(own, curves, strict=True):
        numbers_found = {"frechet": curve[-1], "minibatches": protocol.rungs[len(curve) - 1], **each}
        found[name].append(Outcome(numbers_found, {"frechet": curve}))
    return found


def better_half(scores: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Which of the living members go on: half of them, rounded up, and none that is not finite."""
    order = np.argsort(np.where(alive, scores, np.inf), kind="stable")
    chosen = np.zeros(len(alive), bool)
    chosen[order[: math.ceil(alive.sum() / 2)]] = True
    return chosen & alive & np.isfinite(scores)


def best(search: Sequence[Record]) -> Record:
    """The setting with the lowest distance of those that were trained to the end, as TABLE.json holds it."""
    longest = max(result["numbers"]["minibatches"] for result in search)
    ended = [result for result in search if result["numbers"]["minibatches"] == longest]
    return min(ended, key=lambda result: _number(result))


def _measure_seeds(
    spec: str, protocol: Protocol, name: str, seeds: Sequence[int], *searches: Sequence[Record]
) -> list[Outcome]:
    names = together(name)
    chosen = tuple(best(search)["seed"] for search in searches)
    return _seeds(spec, protocol, names, chosen, tuple(seeds))[name]


@functools.cache
def _seeds(
    spec: str, protocol: Protocol, names: tuple[str, ...], chosen: tuple[int, ...], seeds: tuple[int, ...]
) -> dict[str, list[Outcome]]:
    """Seeds of the chosen setting of each objective."""
    own = [(name, objectives.setting(name, k), jax.random.key(seed)) for name, k in zip(names, chosen, strict=True)
           for seed in seeds]  # fmt: skip
    scores = _Groups(spec, protocol, own).scores(np.ones(len(own), bool), protocol.rungs[-1], protocol.samples)
    each = scores.reshape(len(names), len(seeds))
    return {
        name: [Outcome({"frechet": float(score), "setting": k}) for score in row]
        for name, k, row in zip(names, chosen, each, strict=True)
    }


def _measure_real(spec: str, protocol: Protocol, numbers: Sequence[int]) -> list[Outcome]:
    reference = _reference(spec)
    features = [reference.features_of(reference.real(protocol.samples, jax.random.key(k)).x) for k in numbers]
    return [Outcome({"frechet": float(found)}) for found in distances(np.stack(features), reference.moments)]


def _measure_untrained(spec: str, protocol: Protocol, seeds: Sequence[int]) -> list[Outcome]:
    name = next(iter(objectives.OBJECTIVES))  # Untrained, all are the same.
    own = [(name, objectives.setting(name, 0), jax.random.key(seed)) for seed in seeds]
    scores = _Groups(spec, protocol, own).scores(np.ones(len(own), bool), 0, protocol.samples)
    return [Outcome({"frechet": float(score)}) for score in scores]


def _number(result: Record) -> float:
    value = result["numbers"]["frechet"]
    return math.inf if value is None else value


def _all(results: Sequence[Record]) -> list[float]:
    return [_number(result) for result in results]


def failed(results: Sequence[Record]) -> int:
    """How many seeds have more than twice the median distance, or none that is finite."""
    found = _all(results)
    return sum(bool(value > 2 * np.median(found)) or math.isinf(value) for value in found)


def _ranked(rows: Mapping[str, Sequence[Record]]) -> list[str]:
    """Objectives that have seeds, the best first."""
    having = [name for name in objectives.OBJECTIVES if rows.get(name)]
    return sorted(having, key=lambda name: float(np.median(_all(rows[name]))))


def _body(which: int, rows: Mapping[str, Record]) -> str:
    found = {name: row["results"] for name, row in rows.items()}
    return "\n\n".join(filter(None, [_distances(which, found), _settings(found), _counts(found), _matrix(found)]))


def _distances(which: int, rows: Mapping[str, Sequence[Record]]) -> str:
    head = ["", "seeds", "Frechet distance, mean [interval]", "median (worst)", "failed", "best of the search",
            "Inception's, published"]  # fmt: skip
    lines = []
    for name in ("real images", *_ranked(rows), "untrained"):
        if not (own := rows.get(name, [])):
            continue
        line = [name, str(len(own)), tables.spread(own, "frechet", 1)]
        line.append(tables.median_and_worst(own, "frechet", 1, "lower"))
        if name in objectives.OBJECTIVES:
            search, published = rows.get(searched(name), []), objectives.OBJECTIVES[name].published
            line[0] = f"**{name}**"
            line += [str(failed(own)), f"{_number(best(search)):.1f}" if search else ""]
            line.append("" if published is None else f"{published[which]:g}")
        lines.append(line + [""] * (len(head) - len(line)))
    return tables.grid(head, lines)


def _settings(rows: Mapping[str, Sequence[Record]]) -> str:
    head = ["the best setting", "rate of G", "rate of D", "b1", "b2", "weight or clip", "n_critic"]
    lines = []
    for name in _ranked(rows):
        if search := rows.get(searched(name), []):
            own = best(search)["numbers"]
            weight = "" if objectives.OBJECTIVES[name].weights is None else f"{own['weight']:.2g}"
            numbers = [f"{own['lr']:.1e}", f"{own['d_lr']:.1e}", f"{own['b1']:.2f}", f"{own['b2']:.3f}", weight]
            lines.append([name, *numbers, f"{own['n_critic']:.0f}"])
    return tables.grid(head, lines) if lines else ""


def _counts(rows: Mapping[str, Sequence[Record]]) -> str:
    most = max((len(rows.get(searched(name), [])) for name in objectives.OBJECTIVES), default=0)
    counts = [count for count in _SHOWN_COUNTS if count <= most]
    head = ["best found of so many settings", *map(str, counts)]
    lines = []
    for name in _ranked(rows):
        values = _all(rows.get(searched(name), []))
        cells = [least_shown(values, count) if count <= len(values) else "" for count in counts]
        lines.append([name, *cells])
    return tables.grid(head, lines) if lines and counts else ""


def least_shown(values: Sequence[float], count: int) -> str:
    """`median [2.5 %, 97.5 %]` of the least of so many of the values."""
    low, middle, high = intervals.least_of(values, count, (0.025, 0.5, 0.975))
    return f"{middle:.0f}" if low == high else f"{middle:.0f} [{low:.0f}, {high:.0f}]"


def _matrix(rows: Mapping[str, Sequence[Record]]) -> str:
    names = _ranked(rows)
    head = ["row is better than column", *names]
    lines = [[a, *("" if a == b else _beats(_all(rows[a]), _all(rows[b])) for b in names)] for a in names]
    return tables.grid(head, lines) if len(names) > 1 else ""


def _beats(a: Sequence[float], b: Sequence[float]) -> str:
    low, high = intervals.probability_interval(a, b)
    return f"{intervals.probability(a, b):.2f} [{low:.2f}, {high:.2f}]"


def _plot(rows: Mapping[str, Sequence[Record]], file: Path) -> None:
    names = _ranked(rows)
    with style.applied("readme"):
        figure = style.figure(12.0, 4.6)
        seeds, budget = figure.subplots(1, 2)
        shown = []
        for place, name in enumerate(names):
            look = style.line(list(objectives.OBJECTIVES).index(name))
            finite = [x for x in _all(rows[name]) if math.isfinite(x)]
            shown += finite
            seeds.plot(finite, [place] * len(finite), "|", color=style.PALE, markersize=10)
            if len(finite) > 1:
                low, high = intervals.interval(finite)
                seeds.plot([low, high], [place] * 2, color=look["color"], linewidth=6, alpha=0.5)
                seeds.plot([intervals.interquartile_mean(finite)], [place], "o", color=look["color"])
        for name in filter(lambda name: rows.get(searched(name)), objectives.OBJECTIVES):
            values, look = _all(rows[searched(name)]), style.line(list(objectives.OBJECTIVES).index(name))
            counts = list(range(1, len(values) + 1))
            found = [intervals.least_of(values, count, (0.5,))[0] for count in counts]
            budget.plot(counts, [x if math.isfinite(x) else math.nan for x in found], label=name, **look)
        seeds.set(xlabel="Frechet distance (lower is better)")
        seeds.set_yticks(range(len(names)), names)
        seeds.invert_yaxis()
        style.set_logarithmic(seeds, "x", shown)
        budget.set(xlabel="settings tried", ylabel="best found, median over draws", yscale="log")
        style.set_logarithmic(budget, "x", [1.0, 64.0])
        style.set_logarithmic(budget, "y", shown)
        budget.legend(*budget.get_legend_handles_labels(), loc="upper right")
        style.save(figure, file)


def _note(protocol: Protocol) -> str:
    networks = (
        f"MLPs of two hidden layers with {protocol.width} leaky ReLUs (G with BatchNorm and tanh; z normal, "
        f"{objectives.LATENT} numbers)"
        if protocol.width
        else "InfoGAN's networks (D without BatchNorm)"
    )
    halving = (
        f"after {', '.join(map(str, protocol.rungs[:-1]))} of them the better half goes on"
        if len(protocol.rungs) > 1
        else "all are trained to the end"
    )
    return (
        f"**Protocol.** Every objective has the same {networks}, Adam, and minibatches of {_BATCH}. The length is "
        f"counted in minibatches of D, {protocol.rungs[-1]}, so that every setting sees as many images; with n_critic "
        "5, G has a fifth as many updates. For each objective "
        f"{protocol.settings} settings are drawn: rates of G and D from 1e-5 to 1e-2, b1 from 0 to .9, b2 from .9 to "
        ".999, n_critic 1 or 5, and where there is one the penalty's weight (gradient penalty and DRAGAN .1 to 100, R1 "
        "+ R2 .01 to 100) or the clip (.001 to 1). All objectives are given the same settings but for the weights. In "
        f"the search {halving}, by the Frechet distance of {protocol.search_samples} samples. The setting that is best "
        f"at the end is trained with {protocol.seeds} fresh seeds, and {protocol.samples} samples of the last weights "
        "of each are compared with the test set.\n\n"
        "**Numbers.** Interquartile means over seeds with 95 % bootstrap intervals (Agarwal et al. 2021, "
        "arXiv:2108.13264). Distances are in the features of the project's classifier. Those of the paper, in the "
        "last column, are in Inception's, of other networks and 20 epochs: only their order can be compared. Real "
        "images are as many training images (the floor), untrained is G before its first update (the ceiling). A seed "
        "failed if its distance is above twice the median of its objective. Best found of k settings is the least "
        "distance among k of the settings drawn without replacement, its median and in brackets the range of 95 % of "
        "draws (figure 4 of the paper); a setting that was stopped counts with what it had then. Row is better than "
        "column: the probability that a seed of the row has a lower distance than one of the column, with its "
        "bootstrap interval."
    )
