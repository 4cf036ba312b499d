"""What the numbers of a run mean, in a sentence or two, and what to try: from its log alone.

A verdict is for someone who looks at a GAN's curves and does not know what healthy ones look like. It names a fault
only where the numbers leave little doubt, and never says that samples are good: no loss does.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from gan_jax.lab.measuring.measures import LOWER_IS_BETTER, MEASURES
from gan_jax.losses import Loss

Kind = Literal["early", "diverging", "d_wins", "collapsed", "flat", "improving", "healthy", "done"]
Rows = Mapping[int, Mapping[str, float]]

_FEWEST_LINES = 8
_BEGINNING = 0.1
"""Share of a run's steps in which samples are still alike, and D ahead, in healthy runs too."""
_RISING = 0.5
"""Share of a run's steps in which the estimate may rise, while D learns to tell samples from data, before it falls."""
_SURE = 0.65
"""Share of D's outputs that are saturated where D has won, if samples show it too: of both kinds of examples most."""
_CERTAIN = 0.9
"""Share where D has won, whatever samples look like."""
_DIFFERENT = 0.8
"""Diversity from which samples may be good though D is sure of most: `dcgan` draws robots, at .76 and 1.02."""
_ALIKE = 0.4
"""Diversity below which samples are copies of few. Blurred samples of healthy runs that have just begun have more."""
_COPIES = 0.35
"""Distance to the nearest sample, over that of real examples, below which samples are copies; healthy ones have .8."""
_FAR = 0.12
"""Gap above which samples of points leave out part of the data: two of eight modes, or a third of twenty-five."""
_RISES = 1.5
"""How many times larger diversity, or smaller a gap, is than a quarter of the run before, where G is getting out."""
_EXPLODED = 100.0
"""How many times larger than before a gradient or a loss is that has left all bounds."""
_GROWN = 3.0
"""How many times larger than early on and in the middle of the run an estimate is that G can't bring down."""
_GROWN_SINCE = 30.0
"""How many times larger than early on it is where it no longer grows. Critics without bounds had 62 to 240, and one
with a clip that leaves it next to nothing 6."""
_OFTEN = 200
"""Times that D has seen each training image where it may know them by heart. `gan`'s D wins after 2,560 times and not
after the 32 of the default run on MNIST; nothing between was measured."""
_NOTHING_LEFT = 0.003
"""Share of its early value at which an estimate is next to nothing. Healthy runs ended at .027 to .21; where the critic
of `wgan --preset paper` had come to compare nothing but brightness it was .0003 at most."""
_VANISHED = 1e-6
"""Share of its largest value at which a gradient is none."""
_FALLS = 0.05
"""Share of its value that a curve still gains in the second half of the run where it is worth going on."""
_MOVED = 0.15
"""Share of its early value that a curve has to have lost since, for it not to have been flat all along."""

_DECIDERS = [measure.decides for measure in MEASURES.values() if measure.decides is not None]
_HIGHER_IS_BETTER = frozenset(name for name in _DECIDERS if name not in LOWER_IS_BETTER)


class Verdict(NamedTuple):
    """What a run's numbers mean.

    Attributes:
      kind: in a word.
      title: in a few.
      text: in one or two sentences, the last of which says what to try.
    """

    kind: Kind
    title: str
    text: str


def of(rows: Rows, *, status: str, step: int, steps: int, loss: Loss, unaugmented: int = 0) -> Verdict:
    """The verdict on a run.

    Args:
      rows: the lines of its metrics.jsonl by step.
      status: of its journal: "training", "finished", "stopped", "diverged" or "interrupted".
      step: generator updates so far.
      steps: those to be made.
      loss: its game, which says whether the estimate is a curve to follow.
      unaugmented: training images that D sees as they are; 0 where there are none.
    """
    if status == "diverged":
        return Verdict(
            "diverging",
            "Diverged",
            f"Its numbers stopped being finite after step {step:,}. Try a third of the learning rate, or a penalty "
            "such as --penalty r1:1.",
        )
    if len(rows) < _FEWEST_LINES:
        return Verdict("early", "Too early to say", f"{len(rows)} lines of metrics are too few to judge by. Train on.")
    if found := _diverging(rows) or _vanished(rows):
        return found
    if step < _BEGINNING * steps:
        return Verdict("early", "Too early to say", f"{step:,} of {steps:,} steps are too few to judge by. Train on.")
    found = _d_wins(rows, unaugmented) or _collapsed(rows) or _leaves_out(rows)
    return found or _trend(rows, done=status == "finished" and step >= steps, step=step, steps=steps, loss=loss)


def _diverging(rows: Rows) -> Verdict | None:
    for name, who in (
        ("d_grad", "D's gradient"),
        ("g_grad", "G's gradient"),
        ("d_loss", "D's loss"),
        ("g_loss", "G's loss"),
    ):
        values = np.abs(_column(rows, name))
        if len(values) < _FEWEST_LINES:
            continue
        before, now = float(np.median(values[: len(values) // 2])), float(np.median(_last(values)))
        # Of a loss near 0 any other value is many times larger.
        if now > _EXPLODED * max(before, 1.0 if name.endswith("loss") else 0.1) and now > 1.5 * float(
            np.median(values)
        ):
            return Verdict(
                "diverging",
                "Diverging",
                f"{who} has grown from {before:.2g} to {now:.2g} and leaves all bounds. Try a third of the learning "
                "rate, or a penalty such as --penalty r1:1.",
            )
    return None


def _d_wins(rows: Rows, unaugmented: int) -> Verdict | None:
    share = _sure(rows)
    if share < _SURE or (share < _CERTAIN and float(np.max(_column(rows, "diversity")[-3:], initial=0)) >= _DIFFERENT):
        return None
    times = rows[max(rows)].get("images_seen", 0) / unaugmented if unaugmented else 0
    by_heart = (
        f"It has seen each of {unaugmented:,} images {times:,.0f} times and may know them by heart: hide them from it "
        "with --augment color,translation,cutout. Or slow "
        if times > _OFTEN
        else "Slow "
    )
    return Verdict(
        "d_wins",
        "D wins",
        f"D is sure of {share:.0%} of the examples, so nothing in its answers shows G the way. {by_heart}"
        "D down (a quarter of the rate with --d-lr), give it a penalty (--penalty r1:1), or take a loss that does not "
        "saturate (--loss wasserstein with --penalty wgan_gp:10).",
    )


def _sure(rows: Rows) -> float:
    """The share of D's outputs that are saturated of late; 0 where it was not logged."""
    share = _column(rows, "saturated")
    return float(np.median(_last(share))) if len(share) else 0.0


def _vanished(rows: Rows) -> Verdict | None:
    d, g = _column(rows, "d_grad"), _column(rows, "g_grad")
    if not len(g) or not len(d) or float(np.max(g)) == 0 or float(np.median(_last(g))) > _VANISHED * float(np.max(g)):
        return None
    if float(np.median(_last(d))) > 0:
        return Verdict(
            "flat",
            "G no longer learns",
            "G's gradient has vanished, as it does where its last activation is saturated: nothing will change any "
            "more. Start again with a tenth of the learning rate.",
        )
    return Verdict(
        "flat",
        "Neither player learns",
        "Both gradients have vanished, as they do where D's hidden units are dead: nothing will change any more. Where "
        "weights are clipped, start again with a larger --clip or fewer hidden layers in D, elsewhere with a tenth of "
        "its learning rate.",
    )


def _collapsed(rows: Rows) -> Verdict | None:
    for name, bound, text in (
        ("diversity", _ALIKE, "Samples differ {:.2g} times as much as real examples do"),
        ("nearest", _COPIES, "A sample is {:.2g} times as far from the one most like it as a real example is"),
    ):
        values = _column(rows, name)
        if len(values) < 3 or float(np.max(values[-3:])) > bound:
            continue
        if values[-1] > _RISES * values[-1 - max(2, len(values) // 4)]:
            continue
        return Verdict(
            "collapsed",
            "G collapsed to few modes",
            f"{text.format(values[-1])}: most are copies of a few. Try more latents (--latent 64), a lower learning "
            "rate, or another game (wgan_gp, r3gan).",
        )
    return None


def _leaves_out(rows: Rows) -> Verdict | None:
    gap = _column(rows, "gap")
    if len(gap) < 3 or float(np.min(gap[-3:])) < _FAR or _RISES * gap[-1] < gap[-1 - max(2, len(gap) // 4)]:
        return None
    return Verdict(
        "collapsed",
        "G leaves out modes",
        f"A real point is {gap[-1]:.2g} of their mean distance away from the nearest sample: part of the data is left "
        "out. Try a lower learning rate, or another game (--loss wasserstein --penalty wgan_gp:10).",
    )


def _times(ratio: float) -> str:
    """What stands before "as much"."""
    text = f"{ratio:.2g}"
    return "just" if text == "1" else f"{text} times"


def _trend(rows: Rows, *, done: bool, step: int, steps: int, loss: Loss) -> Verdict:
    name = _curve(rows, loss)
    if name is None:
        diversity = _column(rows, "diversity")
        share = _sure(rows)
        who = "Neither player has won" if share < _SURE else f"D is sure of {share:.0%} of the examples"
        alike = f", and samples differ {_times(diversity[-1])} as much as real examples do" if len(diversity) else ""
        return Verdict(
            "done" if done else "healthy",
            "Done" if done else "Healthy so far",
            f"{who}{alike}; how good samples are these losses can't say. "
            + (
                "Look at the samples, or measure them with evaluate."
                if done
                else "A run with --track sliced measures that."
            ),
        )
    values = _column(rows, name)
    title = name.replace("_", " ")
    lower = name not in _HIGHER_IS_BETTER
    early, before, now = _stages(values, lower=lower)
    # By medians: an estimate that leaves all bounds leaps.
    _, middle, end = _stages(values, lower=lower, of=np.median)
    if name == "estimate" and end > _GROWN * max(abs(early), abs(middle)):
        return _left_behind(max(early, middle), end)
    if name == "estimate" and abs(end) < _NOTHING_LEFT * early:
        return Verdict(
            "done" if done else "healthy",
            "D tells nothing apart",
            f"D's estimate of the distance has come from {early:.3g} to {end:.3g}, next to nothing. Either samples "
            "match the data, or D has lost its strength, as narrow critics with clipped weights do. Look at the "
            "samples; if they don't match, try a wider D, or a penalty instead of the clip.",
        )
    size = max(abs(early), abs(before), abs(now), 1e-12)
    gain, gained = ((before - now), (early - now)) if lower else ((now - before), (now - early))
    # Three standard errors of the difference between two means of noisy lines.
    noise = 3 * _noise(values)
    if gain > max(_FALLS * abs(before), noise):
        more = f"Start a longer one with --steps {2 * steps}." if done else "Let it go on."
        return Verdict(
            "improving",
            "Still improving",
            f"{title[0].upper()}{title[1:]} went from {before:.3g} to {now:.3g} over the second half. {more}",
        )
    if gained < max(_MOVED * size, noise) and name == "estimate" and step < _RISING * steps:
        return Verdict(
            "healthy",
            "No trend yet",
            f"D's estimate of the distance is {now:.3g}, and was {early:.3g} early on. It may rise for a while, "
            "as D learns, before it falls. Let it go on.",
        )
    if gained < max(_MOVED * size, noise) and name == "estimate":
        if end > _GROWN_SINCE * abs(early) > 0:
            return _left_behind(early, end)
        return Verdict(
            "flat",
            "The estimate went flat",
            f"D's estimate of the distance is {now:.3g}, and was {early:.3g} early on: it does not fall, and neither "
            "player gets anywhere. Try a higher learning rate, a wider --clip where weights are clipped, or a penalty "
            "instead.",
        )
    return Verdict(
        "done" if done else "healthy",
        "Done" if done else "Levelling off",
        f"{title[0].upper()}{title[1:]} has come from {early:.3g} to {now:.3g} and levels off. "
        + (
            "Measure the samples with evaluate; wider networks or a lower rate may give more."
            if done
            else "The rest of the run will change little."
        ),
    )


def _left_behind(before: float, now: float) -> Verdict:
    return Verdict(
        "diverging",
        "Diverging",
        f"D's estimate of the distance has grown from {before:.3g} to {now:.3g}: G can't follow. Try a third of the "
        "learning rate, or bound D: a smaller --clip where weights are clipped, --penalty wgan_gp:10 elsewhere.",
    )


def _curve(rows: Rows, loss: Loss) -> str | None:
    """What to follow: a metric that was tracked, or the estimate of a game that is won by lowering it."""
    tracked = [name for name in _DECIDERS if len(_column(rows, name)) >= _FEWEST_LINES]
    if tracked:
        return tracked[0]
    return "estimate" if loss.shown == ("estimate",) else None


def _column(rows: Rows, name: str) -> np.ndarray:
    """A metric's finite values, in order."""
    return np.array([row[name] for row in rows.values() if math.isfinite(row.get(name, math.nan))])


def _last(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The last quarter, at least three."""
    return np.asarray(values)[-max(3, len(values) // 4) :]


def _stages(
    values: np.ndarray, *, lower: bool, of: Callable[[np.ndarray], float] = np.mean
) -> tuple[float, float, float]:
    """A curve in sixths: the worse of the first two, without what lasts a moment; the fourth; and the last.

    `of` makes one value of the last two.
    """
    sixth = max(1, len(values) // 6)
    begin = [float(np.median(values[k * sixth : (k + 1) * sixth])) for k in (0, 1)]
    before, now = float(of(values[3 * sixth : 4 * sixth])), float(of(values[-sixth:]))
    return (max(begin) if lower else min(begin)), before, now


def _noise(values: np.ndarray) -> float:
    """Standard error of the difference between the means of two sixths, from differences of neighbours.

    From their median, which what lasts a moment, such as the first steps, does not change.
    """
    sixth = max(1, len(values) // 6)
    if len(values) <= 2:
        return 0.0
    return 1.4826 * float(np.median(np.abs(np.diff(values)))) / math.sqrt(sixth)
