"""Metrics of a run while it trains, and the best checkpoint by the first of them, beside the last."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gan_jax import checkpoint
from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.lab import devices, files, peers, sampling
from gan_jax.lab.job import Job
from gan_jax.lab.measuring import evaluation, measures
from gan_jax.lab.runs import journal
from gan_jax.lab.runs.directory import RunDir

SAMPLES = 2500
"""How many samples --track measures."""


def check(job: Job, asked: str | None, run: RunDir | None, train: Dataset) -> str | None:
    """Which features --track measures, of --features as typed or by default; None where it measures none.

    Args:
      job: what the run is.
      asked: --features as typed.
      run: the run, where it is continued.
      train: its data.

    Raises:
      InputError: --classifier, --features or a metric of --track does not fit the job, the first metric can't decide,
        or the run was tracked with other features so far.
    """
    reference = evaluation.reference_of(job, job.gan(), features=asked, train=train)
    if job.options["track"] is None:
        return None
    evaluation.check_fitting(job, reference, _names(job))
    measures.decider(_names(job)[0])
    used = measures.features_used(reference, _names(job), asked)
    before = None if run is None else journal.features_of(run.path)
    if run is not None and before not in (None, used):
        raise InputError(
            f"{run.path} was tracked with features of {before}, and would be with {used or 'none'}: give the same with "
            "--features or --classifier"
        )
    return used


def tracker(run: RunDir, gan: GAN, features: str | None = None) -> Callable[[GANState], dict[str, float]]:
    """`state -> numbers` of the metrics that --track names, on 2,500 samples of fixed latents; `features` as typed.

    Where the number that decides (of the first metric, see `measures.decider`) is the best yet, the state is saved in
    the run's `checkpoints-best`, and `best.json` says number, value and step.

    What is not finite, such as the KL divergence of no sample that counts, is left out; of samples that are not finite
    there are no numbers. Of several processes the first measures and decides, and all save.
    """
    chosen, reference = _names(run.job), evaluation.reference_of(run.job, gan, features=features)
    draw = evaluation.sample_drawer(gan, reference, SAMPLES)
    deciding, used = measures.decider(chosen[0]), measures.features_used(reference, chosen[:1])
    sign = -1 if deciding in measures.LOWER_IS_BETTER else 1
    # What best.json says is to be bettered while that checkpoint is there: it may not have been copied.
    best = _best(run.path / "best.json", deciding) if checkpoint.steps(run.best_checkpoints) else None

    def measured(state: GANState) -> dict[str, float]:
        try:
            samples = draw(state, run.job.keys.z)
        except sampling.NotFiniteError:
            return {}
        numbers = {
            key: score.value for name in chosen for key, score in measures.MEASURES[name].of(reference, samples).items()
        }
        return {key: number for key, number in numbers.items() if math.isfinite(number)}

    def track(state: GANState) -> dict[str, float]:
        nonlocal best
        numbers = measured(devices.local(state)) if peers.is_first() else {}
        value = numbers.get(deciding)
        better = value is not None and (best is None or sign * value > sign * best)
        if peers.from_first("better" if better else ""):
            best = value
            checkpoint.save(run.best_checkpoints, int(state.step), state, keep=1, notes={"run": run.identity})
            if peers.is_first():
                entry = {"metric": deciding, "value": value, "step": int(state.step)}
                if used is not None:
                    entry["features"] = used
                files.write_json(run.path / "best.json", entry, indent=None)
        return numbers

    return track


def _names(job: Job) -> list[str]:
    return job.options["track"].split(",")


def _best(file: Path, deciding: str) -> float | None:
    """The best value so far of a run that is resumed; None of a fresh one."""
    if not file.exists():
        return None
    try:
        entry: Any = json.loads(file.read_text())
        return float(entry["value"]) if entry["metric"] == deciding else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} is not what --track wrote ({error!r}): delete it, and the best is chosen from here on"
        ) from error
