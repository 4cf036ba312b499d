"""Which curves stand on which axis: each quantity once, and never two units on one axis."""

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp

from gan_jax.lab.measuring.measures import MEASURES
from gan_jax.losses import Loss

_WHAT = {number: measure.what for measure in MEASURES.values() for number in measure.numbers}
_BETTER = {number: better for measure in MEASURES.values() for number, better in measure.numbers.items()}


def of_keys(keys: Iterable[str], losses: Iterable[Loss]) -> list[dict[str, Any]]:
    """The charts of what a log has, in the order in which they are read.

    Args:
      keys: the names of metrics.jsonl.
      losses: of the runs, which decide what D's outputs and the estimate are.
    """
    keys, losses = set(keys), list(losses)
    probabilities = losses and all(map(_is_probability, losses))
    outputs = "the probability that D gives" if probabilities else "the mean output that D gives"
    charts = [
        _chart("losses", "Losses", "what each player minimises", d_loss="D", g_loss="G", penalty="penalty"),
        _chart(
            "outputs",
            "Outputs of D",
            f"{outputs} to real and to generated examples; the two meet where D can't tell them apart",
            d_real="D(x)", d_fake="D(G(z))", d_fake_after="D(G(z)) after D's update",
        ),
        _chart(
            "estimate",
            "Estimate",
            "of the distance between data and samples, by D; 0 where D can't tell them apart",
            estimate="estimate",
        ),
        _chart(
            "gradients",
            "Gradient norms",
            "how strongly each player is pulled, before its optimizer",
            d_grad="D", g_grad="G",
        ),
        _chart("saturated", "Saturated outputs", "share of D's outputs that no longer teach it", saturated="saturated"),
        _chart(
            "diversity",
            "Diversity",
            "how far samples are from each other, over how far real examples are: 1 is as far, 0 is copies",
            diversity="from all others", nearest="from the nearest",
        ),
        _chart(
            "gap",
            "Gap",
            "how far real points are from the nearest sample, over their own mean distance: 0 is none, and modes that "
            "are lost make it larger",
            gap="gap",
        ),
    ]  # fmt: skip
    for number in sorted(keys & _WHAT.keys()):
        chart = _chart(number, number.replace("_", " "), _WHAT[number], **{number: number.replace("_", " ")})
        charts.append(chart | {"better": _BETTER[number]})
    charts.append(_chart("steps_per_s", "Speed", "steps per second of training", steps_per_s="steps/s"))
    found = []
    for chart in charts:
        series = [line for line in chart["series"] if line["key"] in keys]
        if series:
            found.append(chart | {"series": series})
    return found


def _is_probability(loss: Loss) -> bool:
    low, high = (float(x) for x in loss.score(jnp.array([-100.0, 100.0])))
    return low >= 0 and high <= 1


def _chart(name: str, title: str, note: str, **series: str) -> dict[str, Any]:
    lines = [{"key": key, "label": label} for key, label in series.items()]
    return {"id": name, "title": title, "note": note, "better": None, "series": lines}
