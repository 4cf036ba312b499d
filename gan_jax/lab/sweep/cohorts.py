"""Trains the members of a sweep, rung by rung, cohort by cohort, so that it may be stopped anywhere."""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import jax
import numpy as np
from tqdm import tqdm

from gan_jax import checkpoint, population
from gan_jax.data import Dataset
from gan_jax.gan import GANState
from gan_jax.lab import devices
from gan_jax.lab.runs import chunks, logs
from gan_jax.lab.sweep import plan as planning
from gan_jax.lab.sweep import programs
from gan_jax.lab.sweep.plan import Member, Plan
from gan_jax.lab.sweep.programs import Program
from gan_jax.training import Examples

# (program, one of its members, that member's state) -> score.
Score = Callable[[Program, Member, GANState], float]


class Outcome(NamedTuple):
    """What became of a member.

    Attributes:
      step: generator updates that its state has seen.
      score: its score at its last rung; None where it has none that is finite.
      broken: what stopped being finite, and at which step; None if nothing did.
    """

    step: int
    score: float | None
    broken: tuple[str, int] | None


class Cohort(NamedTuple):
    """Members that train together through one rung, padded by the last of them to fill the program's slots."""

    members: Sequence[Member]
    program: Program
    directory: Path
    start: int
    end: int

    @property
    def slots(self) -> list[Member]:
        return [*self.members, *[self.members[-1]] * (self.program.slots - len(self.members))]

    def padded(self, states: GANState) -> GANState:
        """Host states of the members as the devices take them. What is saved has no padding: it fits any devices."""
        rows = [min(k, len(self.members) - 1) for k in range(self.program.slots)]
        return jax.tree.map(lambda leaf: leaf[rows], states)

    def own(self, states: GANState) -> GANState:
        """The members' own states on the host, without the padding."""
        return jax.tree.map(lambda leaf: leaf[: len(self.members)], devices.fetch(states))


class Sweep(NamedTuple):
    """What `train` is given: the plan, the data, where states and metrics go, how members are scored, limits."""

    plan: Plan
    dataset: Dataset
    path: Path
    score: Score
    lower_is_better: bool
    mapping: population.Mapping | None
    memory: float


class Result(NamedTuple):
    """What training came to.

    Attributes:
      outcomes: by member.
      locations: by member, where its state lies: the cohort, and its place in it.
      compilations: how many programs were compiled.
      signal: the one that stopped it; None if it came to its end.
    """

    outcomes: dict[int, Outcome]
    locations: dict[int, tuple[Cohort, int]]
    compilations: int
    signal: int | None


def train(sweep: Sweep, received: Sequence[int], *, dry_run: bool = False) -> Result:
    """Trains all members to their last rung, or until a signal is received; continues where it was stopped."""
    plan = sweep.plan
    resident = devices.put(sweep.dataset.examples, devices.replicated())
    compiled: dict[tuple[int, ...], Program] = {}
    outcomes: dict[int, Outcome] = {}
    locations: dict[int, tuple[Cohort, int]] = {}
    chosen, start, compilations = list(plan.members), 0, 0
    bar = tqdm(
        total=_total(plan),
        unit="step",
        desc=f"{len(chosen)} x {plan.base.name}",
        disable=dry_run or jax.process_index() > 0 or None,
    )
    with bar:
        for rung, end in enumerate(plan.rungs):
            cohorts: list[Cohort] = []
            for group, names in planning.groups(plan, chosen):
                key = tuple(member.number for member in group)
                if key not in compiled:
                    compiled[key] = programs.compile_program(
                        plan, group, names, sweep.dataset, resident, mapping=sweep.mapping, memory=sweep.memory
                    )
                    compilations += len(compiled[key].compiled)
                program = compiled[key]
                for members in planning.rounds(group, program.slots):
                    directory = sweep.path / "states" / f"{rung}-{len(cohorts)}"
                    cohorts.append(Cohort(members, program, directory, start, end))
            if rung == 0 and jax.process_index() == 0:
                _print_plan(plan, cohorts, bar)
            if dry_run:
                return Result({}, {}, compilations, None)
            previous = dict(locations)
            for cohort in cohorts:
                found = _train_cohort(sweep, cohort, previous, resident, received, bar)
                if found is None:
                    return Result(outcomes, locations, compilations, received[0] if received else int(signal.SIGTERM))
                outcomes |= found
                locations |= {member.number: (cohort, k) for k, member in enumerate(cohort.members)}
            start = end
            if end != plan.rungs[-1]:
                best = planning.survivors(mean_scores(chosen, outcomes), lower_is_better=sweep.lower_is_better)
                chosen = [member for member in chosen if member.setting in best]
    return Result(outcomes, locations, compilations, None)


def mean_scores(members: Sequence[Member], outcomes: Mapping[int, Outcome]) -> dict[int, float | None]:
    """Each setting's mean score over its seeds; None where a seed has none."""
    scores: dict[int, list[float | None]] = {}
    for member in members:
        scores.setdefault(member.setting, []).append(outcomes[member.number].score)
    return {
        setting: None if None in found else float(np.mean([score for score in found if score is not None]))
        for setting, found in scores.items()
    }


def states_of(result: Result, members: Sequence[Member]) -> list[GANState]:
    """The last states of members, on the host."""
    return _rows([result.locations[member.number] for member in members])


def _train_cohort(
    sweep: Sweep,
    cohort: Cohort,
    previous: Mapping[int, tuple[Cohort, int]],
    resident: Examples,
    received: Sequence[int],
    bar: Any,
) -> dict[int, Outcome] | None:
    """Trains a cohort to its end, from its newest checkpoint if it has one; None when it was stopped before."""
    plan, program = sweep.plan, cohort.program
    broken: dict[int, tuple[str, int]] = {}
    windows: dict[int, logs.Window] = {}
    if checkpoint.steps(cohort.directory):
        step, host_states = _load(cohort, quarantine=True)
        notes = checkpoint.notes(cohort.directory, step)
        broken = {int(k): (name, at) for k, (name, at) in notes["broken"].items()}
        windows = {int(k): logs.Window(**window) for k, window in notes["windows"].items()}
        if "outcomes" in notes:
            bar.update((cohort.end - cohort.start) * len(cohort.members))
            return {int(k): Outcome(s, score, broken.get(int(k))) for k, (s, score) in notes["outcomes"].items()}
        states = devices.put(cohort.padded(host_states), devices.member_sharding())
    elif previous:
        step, states = cohort.start, devices.put(cohort.padded(_gather(cohort, previous)), devices.member_sharding())
        found = {member.number: _broken_before(previous[member.number][0], member.number) for member in cohort.members}
        broken = {number: name_at for number, name_at in found.items() if name_at is not None}
    else:
        step, states = 0, program.fresh_states(plan, cohort.slots)
    bar.update((step - cohort.start) * len(cohort.members))
    hyperparams, _, rngs = program.inputs(plan, cohort.slots)
    options, pace = plan.base.options, 1
    with logs.appending(sweep.path / "metrics.jsonl" if jax.process_index() == 0 else Path(os.devnull)) as log:
        while step < cohort.end:
            started, before = time.perf_counter(), step
            n = min(pace, program.capacity, *(due - step for due in _due(cohort, step, options)))
            step += n
            alive = np.array([member.number not in broken for member in cohort.slots])
            inputs = {"alive": devices.put(alive, devices.member_sharding()), "rngs": rngs}
            states, metrics, finite = program.advance(hyperparams, states, resident, **inputs, start=before, stop=step)
            host_metrics, host_finite, reached = devices.fetch((metrics, finite, states.step))
            seconds, stopped = devices.max_over_processes(time.perf_counter() - started, float(bool(received)))
            pace = chunks.next_pace(pace, n, seconds)
            for k, member in enumerate(cohort.members):
                if member.number in broken:
                    continue
                taken = {name: values[k, : reached[k] - before] for name, values in host_metrics.items()}
                windows[member.number] = logs.added(windows.get(member.number, logs.Window()), taken, seconds)
                if not host_finite[k]:
                    broken[member.number] = _first_broken(host_metrics, k, before, int(reached[k]))
                if step % options["log_every"] == 0 or step == cohort.end or not host_finite[k]:
                    _log(log, member, int(reached[k]), windows.pop(member.number))
            log.flush()
            bar.update(n * len(cohort.members))
            if step < cohort.end and (stopped or step % options["save_every"] == 0):
                checkpoint.save(cohort.directory, step, cohort.own(states), notes=_noted(broken, windows), keep=1)
            if step < cohort.end and stopped:
                return None
    host_states = cohort.own(states)
    outcomes = {}
    for k, member in enumerate(cohort.members):
        score = None
        if member.number not in broken:
            score = sweep.score(program, member, jax.tree.map(lambda leaf: leaf[k], host_states))  # noqa: B023
        seen = int(host_states.step[k])
        outcomes[member.number] = Outcome(
            seen, score if score is None or np.isfinite(score) else None, broken.get(member.number)
        )
    noted = {str(number): [outcome.step, outcome.score] for number, outcome in outcomes.items()}
    checkpoint.save(cohort.directory, step, host_states, notes=_noted(broken, {}) | {"outcomes": noted}, keep=1)
    return outcomes


def _total(plan: Plan) -> int:
    """Steps of all members, not knowing which members will diverge."""
    total, settings, start = 0, plan.settings, 0
    for end in plan.rungs:
        total += settings * (end - start) * (len(plan.members) // plan.settings)
        settings, start = -(-settings // 2), end
    return total


def _print_plan(plan: Plan, cohorts: Sequence[Cohort], bar: Any) -> None:
    """The plan, before the first step."""
    kinds = {cohort.program for cohort in cohorts}
    bar.write(
        f"{len(plan.members)} members ({plan.settings} settings) in {len(cohorts)} cohort(s) of "
        f"{len(kinds)} program(s), on {jax.device_count()} device(s); "
        f"scores after {', '.join(map(str, plan.rungs))} steps"
    )
    for program in kinds:
        bar.write(
            f"  {program.slots} members at a time by {program.mapping}, at most {program.capacity} steps a dispatch, "
            f"{program.bytes_per_device / 2**10:.0f} KiB per device; "
            f"numbers that differ: {', '.join(program.names) or 'none'}"
        )


def _due(cohort: Cohort, step: int, options: Mapping[str, Any]) -> list[int]:
    """The steps, after this one, at which something is to be done."""
    ends = [every * (step // every + 1) for every in (options["log_every"], options["save_every"])]
    warmup = options.get("warmup_steps", 0)
    return [cohort.end, *ends, *([warmup] if step < warmup else [])]


def _log(log: TextIO, member: Member, step: int, window: logs.Window) -> None:
    if window.steps:
        log.write(json.dumps({"member": member.number, "step": step, **logs.averages(window)}) + "\n")


def _noted(broken: Mapping[int, tuple[str, int]], windows: Mapping[int, logs.Window]) -> dict[str, Any]:
    """As JSON has it, whose keys are strings."""
    return {
        "broken": {str(number): list(name_at) for number, name_at in broken.items()},
        "windows": {str(number): window._asdict() for number, window in windows.items()},
    }


def _broken_before(cohort: Cohort, index: int) -> tuple[str, int] | None:
    name_at = checkpoint.notes(cohort.directory, cohort.end)["broken"].get(str(index))
    return None if name_at is None else (name_at[0], name_at[1])


def _first_broken(metrics: Mapping[str, np.ndarray], k: int, before: int, reached: int) -> tuple[str, int]:
    """Which of a member's metrics stopped being finite after the step that it reached, D's loss first; else its state.

    Returns:
      The name, and the step.
    """
    at = reached - before
    after = {name: values[k, at : at + 1] for name, values in metrics.items()}
    return chunks.metric_not_finite(after) or "state", reached + 1


def _load(cohort: Cohort, *, quarantine: bool) -> tuple[int, GANState]:
    step, states = checkpoint.restore(
        cohort.directory, cohort.program.abstract_states(len(cohort.members)), quarantine=quarantine
    )
    return step, jax.device_get(states)


def _gather(cohort: Cohort, previous: Mapping[int, tuple[Cohort, int]]) -> GANState:
    """The states in which the rung before left the cohort's members."""
    rows = _rows([previous[member.number] for member in cohort.members])
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def _rows(locations: Sequence[tuple[Cohort, int]]) -> list[GANState]:
    loaded: dict[Path, GANState] = {}
    for cohort, _ in locations:
        if cohort.directory not in loaded:
            loaded[cohort.directory] = _load(cohort, quarantine=False)[1]
    return [
        jax.tree.map(lambda leaf: np.asarray(leaf[slot]), loaded[cohort.directory])  # noqa: B023
        for cohort, slot in locations
    ]
