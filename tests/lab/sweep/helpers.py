"""Plans and outcomes that reports and figures are made of."""

from collections.abc import Mapping
from typing import Any

from gan_jax.lab import EXPERIMENTS
from gan_jax.lab import experiment as experiments
from gan_jax.lab.sweep import plan as planning
from gan_jax.lab.sweep.cohorts import Outcome
from gan_jax.lab.sweep.plan import Plan


def planned(typed: Mapping[str, str], *, name: str = "wgan", rungs: tuple[int, ...] = (100,), **of: Any) -> Plan:
    options = EXPERIMENTS[name].options
    axes = {option: planning.axis(options[option], text) for option, text in typed.items()}
    members = planning.members(axes, of.pop("draws", None), of.pop("seeds", 1), 0)
    base = experiments.config(EXPERIMENTS, name, {"steps": rungs[-1], **of})
    return Plan(base, members, rungs, planning.logarithmic(axes))


def scored(plan: Plan, scores: list[float | None], steps: list[int] | None = None) -> dict[int, Outcome]:
    steps = steps or [plan.rungs[-1]] * len(scores)
    return {k: Outcome(step, score, None) for k, (step, score) in enumerate(zip(steps, scores, strict=True))}
