"""Trains the members of a sweep, rung by rung, population by population, so that it may be stopped anywhere."""

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

from experiments import chunks, logs
from experiments.configs import EXPERIMENTS
from experiments.sweep import plan as planning
from experiments.sweep import programs
from experiments.sweep.plan import Member, Plan
from experiments.sweep.programs import Program
from gan_jax import checkpoint, population
from gan_jax.data import Dataset
from gan_jax.gan import GANState
from gan_jax.training import Examples

# (program, the state of one of its members) -> score.
Score = Callable[[Program, GANState], float]


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


class Unit(NamedTuple):
    """Members that train together through one rung: a round of a group, padded by its last member to fill the slots."""

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
        return jax.tree.map(lambda leaf: leaf[: len(self.members)], programs.fetch(states))


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
    """The outcomes by member, where their states lie (unit and slot), programs compiled, the signal that stopped it."""

    outcomes: dict[int, Outcome]
    homes: dict[int, tuple[Unit, int]]
    compilations: int
    signal: int | None


def train(sweep: Sweep, received: Sequence[int], *, dry_run: bool = False) -> Result:
    """Trains all members to their last rung, or until a signal is received; goes on where it was stopped."""
    plan, experiment = sweep.plan, EXPERIMENTS[sweep.plan.base.experiment]
    resident = programs.everywhere(Examples(sweep.dataset.x, sweep.dataset.labels))
    compiled: dict[tuple[int, ...], Program] = {}
    outcomes: dict[int, Outcome] = {}
    homes: dict[int, tuple[Unit, int]] = {}
    chosen, start, compilations = list(plan.members), 0, 0
    bar = tqdm(
        total=_total(plan),
        unit="step",
        desc=f"{len(chosen)} x {plan.base.experiment}",
        disable=dry_run or jax.process_index() > 0 or None,
    )
    with bar:
        for rung, end in enumerate(plan.rungs):
            units: list[Unit] = []
            for group, numbers in planning.groups(plan, experiment, chosen):
                key = tuple(member.number for member in group)
                if key not in compiled:
                    compiled[key] = programs.compile_program(
                        plan, group, numbers, sweep.dataset, resident, mapping=sweep.mapping, memory=sweep.memory
                    )
                    compilations += 1
                program = compiled[key]
                for members in planning.rounds(group, program.slots):
                    directory = sweep.path / "states" / f"{rung}-{len(units)}"
                    units.append(Unit(members, program, directory, start, end))
            if rung == 0 and jax.process_index() == 0:
                _say(plan, units, bar)
            if dry_run:
                return Result({}, {}, compilations, None)
            came_from = dict(homes)
            for unit in units:
                found = _train_unit(sweep, unit, came_from, resident, received, bar)
                if found is None:
                    return Result(outcomes, homes, compilations, received[0] if received else int(signal.SIGTERM))
                outcomes |= found
                homes |= {member.number: (unit, k) for k, member in enumerate(unit.members)}
            start = end
            if end != plan.rungs[-1]:
                best = planning.survivors(mean_scores(chosen, outcomes), lower_is_better=sweep.lower_is_better)
                chosen = [member for member in chosen if member.setting in best]
    return Result(outcomes, homes, compilations, None)


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
    return _rows([result.homes[member.number] for member in members])


def _train_unit(
    sweep: Sweep,
    unit: Unit,
    came_from: Mapping[int, tuple[Unit, int]],
    resident: Examples,
    received: Sequence[int],
    bar: Any,
) -> dict[int, Outcome] | None:
    """Trains a unit to its end, from its newest checkpoint if it has one; None when it was stopped before."""
    plan, program = sweep.plan, unit.program
    broken: dict[int, tuple[str, int]] = {}
    windows: dict[int, logs.Window] = {}
    if checkpoint.steps(unit.directory):
        step, host_states = _load(unit, quarantine=True)
        notes = checkpoint.notes(unit.directory, step)
        broken = {int(k): (name, at) for k, (name, at) in notes["broken"].items()}
        windows = {int(k): logs.Window(**window) for k, window in notes["windows"].items()}
        if "outcomes" in notes:
            bar.update((unit.end - unit.start) * len(unit.members))
            return {int(k): Outcome(s, score, broken.get(int(k))) for k, (s, score) in notes["outcomes"].items()}
        states = programs.spread(unit.padded(host_states))
    elif came_from:
        step, states = unit.start, programs.spread(unit.padded(_gather(unit, came_from)))
        broken = {
            m.number: at
            for m in unit.members
            for at in [_broken_before(came_from[m.number][0], m.number)]
            if at is not None
        }
    else:
        step, states = 0, program.fresh_states(plan, unit.slots)
    bar.update((step - unit.start) * len(unit.members))
    numbers, _, rngs = programs.inputs(plan, unit.slots, program.numbers)
    options, pace = plan.base.run, 1
    with logs.appending(sweep.path / "metrics.jsonl" if jax.process_index() == 0 else Path(os.devnull)) as log:
        while step < unit.end:
            started, before = time.perf_counter(), step
            n = min(pace, program.capacity, *(due - step for due in _due(unit, step, options)))
            step += n
            alive = programs.spread(np.array([m.number not in broken for m in unit.slots]))
            states, metrics, finite = program.advance(numbers, states, alive, resident, rngs, step)
            host_metrics, host_finite, reached = programs.fetch((metrics, finite, states.step))
            seconds, heard = programs.largest(time.perf_counter() - started, bool(received))
            pace = chunks.next_pace(pace, n, seconds)
            for k, member in enumerate(unit.members):
                if member.number in broken:
                    continue
                taken = {name: values[k, : reached[k] - before] for name, values in host_metrics.items()}
                windows[member.number] = logs.added(windows.get(member.number, logs.Window()), taken, seconds)
                if not host_finite[k]:
                    broken[member.number] = _first_broken(host_metrics, k, before, int(reached[k]))
                if step % options["log_every"] == 0 or step == unit.end or not host_finite[k]:
                    _log(log, member, int(reached[k]), windows.pop(member.number))
            log.flush()
            bar.update(n * len(unit.members))
            if step < unit.end and (heard or step % options["save_every"] == 0):
                checkpoint.save(unit.directory, step, unit.own(states), notes=_noted(broken, windows), keep=1)
            if step < unit.end and heard:
                return None
    host_states = unit.own(states)
    outcomes = {}
    for k, member in enumerate(unit.members):
        score = None
        if member.number not in broken:
            score = sweep.score(program, jax.tree.map(lambda leaf: leaf[k], host_states))  # noqa: B023
        seen = int(host_states.step[k])
        outcomes[member.number] = Outcome(
            seen, score if score is None or np.isfinite(score) else None, broken.get(member.number)
        )
    noted = {str(number): [outcome.step, outcome.score] for number, outcome in outcomes.items()}
    checkpoint.save(unit.directory, step, host_states, notes=_noted(broken, {}) | {"outcomes": noted}, keep=1)
    return outcomes


def _total(plan: Plan) -> int:
    """Steps of all members, without the members that will turn out to be sick."""
    total, settings, start = 0, plan.members[-1].setting + 1, 0
    for end in plan.rungs:
        total += settings * (end - start) * (len(plan.members) // (plan.members[-1].setting + 1))
        settings, start = -(-settings // 2), end
    return total


def _say(plan: Plan, units: Sequence[Unit], bar: Any) -> None:
    """The plan, before the first step."""
    kinds = {unit.program for unit in units}
    bar.write(
        f"{len(plan.members)} members ({plan.members[-1].setting + 1} settings) in {len(units)} round(s) of "
        f"{len(kinds)} program(s), on {jax.device_count()} device(s); "
        f"scores after {', '.join(map(str, plan.rungs))} steps"
    )
    for program in kinds:
        bar.write(
            f"  {program.slots} members at a time by {program.mapping}, at most {program.capacity} steps a dispatch, "
            f"{program.bytes_per_device / 2**10:.0f} KiB a device; "
            f"numbers that differ: {', '.join(program.numbers) or 'none'}"
        )


def _due(unit: Unit, step: int, options: Mapping[str, Any]) -> list[int]:
    """The steps, after this one, at which something is to be done."""
    return [unit.end, *(every * (step // every + 1) for every in (options["log_every"], options["save_every"]))]


def _log(log: TextIO, member: Member, step: int, window: logs.Window) -> None:
    if window.steps:
        log.write(json.dumps({"member": member.number, "step": step, **logs.averages(window)}) + "\n")


def _noted(broken: Mapping[int, tuple[str, int]], windows: Mapping[int, logs.Window]) -> dict[str, Any]:
    """As JSON has it, whose keys are strings."""
    return {
        "broken": {str(number): list(name_at) for number, name_at in broken.items()},
        "windows": {str(number): window._asdict() for number, window in windows.items()},
    }


def _broken_before(unit: Unit, index: int) -> tuple[str, int] | None:
    name_at = checkpoint.notes(unit.directory, unit.end)["broken"].get(str(index))
    return None if name_at is None else (name_at[0], name_at[1])


def _first_broken(metrics: Mapping[str, np.ndarray], k: int, before: int, reached: int) -> tuple[str, int]:
    """Which of a member's metrics stopped being finite after the step that it reached, D's loss first; else its state.

    Returns:
      The name, and the step.
    """
    after = {name: values[k, reached - before] for name, values in metrics.items()}
    return chunks.metric_not_finite(after) or "state", reached + 1


def _load(unit: Unit, *, quarantine: bool) -> tuple[int, GANState]:
    step, states = checkpoint.restore(unit.directory, unit.program.shapes(len(unit.members)), quarantine=quarantine)
    return step, jax.device_get(states)


def _gather(unit: Unit, came_from: Mapping[int, tuple[Unit, int]]) -> GANState:
    """The states with which the rung before left the unit's members."""
    rows = _rows([came_from[member.number] for member in unit.members])
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def _rows(homes: Sequence[tuple[Unit, int]]) -> list[GANState]:
    loaded: dict[Path, GANState] = {}
    for unit, _ in homes:
        if unit.directory not in loaded:
            loaded[unit.directory] = _load(unit, quarantine=False)[1]
    return [
        jax.tree.map(lambda leaf: np.asarray(leaf[slot]), loaded[unit.directory])  # noqa: B023
        for unit, slot in homes
    ]
