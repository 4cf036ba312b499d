"""Trains the members of a sweep, rung by rung, cohort by cohort, so that it may be stopped anywhere."""

import contextlib
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax import checkpoint, population
from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.gan import GANState
from gan_jax.lab import devices, signals
from gan_jax.lab.experiment import without_added
from gan_jax.lab.progress import Progress, counted
from gan_jax.lab.runs import chunks, logs
from gan_jax.lab.sweep import lines, programs
from gan_jax.lab.sweep import plan as planning
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
    """What `train` is given.

    Attributes:
      plan: what is trained.
      dataset: the data.
      path: where states and what is measured go.
      score: how a member is scored.
      kind: what a score is of, as it is recorded: its metric, its number of samples.
      lower_is_better: whether the best score is the lowest.
      mapping: None for what suits net and device.
      memory: bytes that a device may use.
      farewell: the answer to a signal while nothing is unsaved.
    """

    plan: Plan
    dataset: Dataset
    path: Path
    score: Score
    kind: Mapping[str, Any]
    lower_is_better: bool
    mapping: population.Mapping | None
    memory: float
    farewell: str


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


def train(sweep: Sweep, received: Sequence[int], bar: Progress) -> Result:
    """Trains all members to their last rung, or until a signal is received; continues where it was stopped.

    Raises:
      InputError: a member does not fit the memory, or what lies in the directory is not what this sweep left there.
    """
    plan = sweep.plan
    logged, scores = lines.read_metrics(sweep.path, len(plan.members)), lines.read_scores(sweep.path, sweep.kind)
    if not (sweep.path / lines.METRICS).exists() and any((sweep.path / "states").glob("*/*.json")):
        raise InputError(f"{sweep.path / lines.METRICS} is missing: put it back, or start a new sweep")
    last_logged = {member.number: max(logged[member.number], default=0) for member in plan.members}
    resident = devices.put(sweep.dataset.examples, devices.replicated())
    compiled: dict[tuple[int, ...], Program] = {}
    outcomes: dict[int, Outcome] = {}
    locations: dict[int, tuple[Cohort, int]] = {}
    chosen, start, compilations = list(plan.members), 0, 0
    for rung, end in enumerate(plan.rungs):
        cohorts: list[Cohort] = []
        groups = [(tuple(m.number for m in group), group, names) for group, names in planning.groups(plan, chosen)]
        new = [key for key, _, _ in groups if key not in compiled]
        for key, group, names in groups:
            if key in new:
                which = f"{new.index(key) + 1} of {len(new)} programs" if len(new) > 1 else "a program"
                with bar.doing(f"compiling {which}"), signals.leave_at_once(sweep.farewell):
                    compiled[key] = programs.compile_program(
                        plan, group, names, sweep.dataset, resident, mapping=sweep.mapping, memory=sweep.memory
                    )
                compilations += len(compiled[key].compiled)
                if jax.process_index() == 0:
                    bar.say(_described(compiled[key], group))
            program = compiled[key]
            for members in planning.rounds(group, program.slots):
                directory = sweep.path / "states" / f"{rung}-{len(cohorts)}"
                cohorts.append(Cohort(members, program, directory, start, end))
        previous = dict(locations)
        for cohort in cohorts:
            found = _train_cohort(sweep, cohort, previous, resident, received, bar, last_logged)
            if found is None:
                return Result(outcomes, locations, compilations, received[0] if received else int(signal.SIGTERM))
            outcomes |= _scored(sweep, cohort, *found, scores, bar)
            locations |= {member.number: (cohort, k) for k, member in enumerate(cohort.members)}
        start = end
        if end != plan.rungs[-1]:
            best = planning.survivors(mean_scores(chosen, outcomes), lower_is_better=sweep.lower_is_better)
            chosen = [member for member in chosen if member.setting in best]
    return Result(outcomes, locations, compilations, None)


def total(plan: Plan) -> int:
    """Steps of all members, were none to diverge."""
    found, settings, start = 0, plan.settings, 0
    for end in plan.rungs:
        found += settings * (end - start) * (len(plan.members) // plan.settings)
        settings, start = -(-settings // 2), end
    return found


def mean_scores(members: Sequence[Member], outcomes: Mapping[int, Outcome]) -> dict[int, float | None]:
    """Each setting's mean score over its seeds; None where a seed has none."""
    scores: dict[int, list[float | None]] = {}
    for member in members:
        scores.setdefault(member.setting, []).append(outcomes[member.number].score)
    return {
        setting: None if None in found else float(np.mean([score for score in found if score is not None]))
        for setting, found in scores.items()
    }


def ranked(members: Sequence[Member], outcomes: Mapping[int, Outcome], *, lower_is_better: bool) -> list[int]:
    """The settings, best first: those with a mean score, of these those that came furthest, by the mean."""
    sign, means = 1 if lower_is_better else -1, mean_scores(members, outcomes)
    steps: dict[int, int] = {}
    for member in members:
        steps[member.setting] = max(steps.get(member.setting, 0), outcomes[member.number].step)
    return sorted(means, key=lambda k: (means[k] is None, -steps[k], sign * (means[k] or 0), k))


def states_of(result: Result, members: Sequence[Member]) -> list[GANState]:
    """The last states of members, on the host."""
    return _rows([result.locations[member.number] for member in members])


def _train_cohort(
    sweep: Sweep,
    cohort: Cohort,
    previous: Mapping[int, tuple[Cohort, int]],
    resident: Examples,
    received: Sequence[int],
    bar: Progress,
    last_logged: Mapping[int, int],
) -> tuple[GANState, dict[int, tuple[str, int]]] | None:
    """Trains a cohort to its end, from its newest checkpoint if it has one, and saves it; None if stopped before.

    Returns:
      The members' states on the host, and which are broken.
    """
    plan, program, options = sweep.plan, cohort.program, sweep.plan.base.options
    broken: dict[int, tuple[str, int]] = {}
    windows: dict[int, logs.Window] = {}
    if checkpoint.steps(cohort.directory):
        step, host_states = _load(cohort, quarantine=True)
        notes = checkpoint.notes(cohort.directory, step)
        if notes.get("members", _digest(plan, cohort)) != _digest(plan, cohort):
            raise InputError(
                f"{cohort.directory} has the states of other members than this sweep: put back what was edited or "
                "copied there, or start a new sweep"
            )
        broken = {int(k): (name, at) for k, (name, at) in notes["broken"].items()}
        windows = {int(k): logs.Window(**window) for k, window in notes["windows"].items()}
        if step == cohort.end:
            bar.skip((cohort.end - cohort.start) * len(cohort.members))
            return host_states, broken
        hyperparams, init_rngs, rngs = program.inputs(plan, cohort.slots)
        states = devices.put(cohort.padded(host_states), devices.member_sharding())
    else:
        # A killed process may have logged up to its first save, and not saved.
        first_save = min(cohort.end, options["save_every"] * (cohort.start // options["save_every"] + 1))
        if any(last_logged[member.number] > first_save for member in cohort.members):
            raise InputError(
                f"{cohort.directory} has lost its checkpoint, {lines.METRICS} has later steps: put it back, or start "
                "a new sweep"
            )
        with bar.doing("preparing members"), signals.leave_at_once(sweep.farewell):
            step = cohort.start
            hyperparams, init_rngs, rngs = program.inputs(plan, cohort.slots)
            if previous:
                broken = _broken_before(cohort, previous)
                states = devices.put(cohort.padded(_gather(cohort, previous)), devices.member_sharding())
            else:
                states = program.fresh_states(hyperparams, init_rngs)
    # What is broken has no steps to take.
    bar.skip(sum((cohort.end if m.number in broken else step) - cohort.start for m in cohort.members))
    pace, stopped = 1, 0.0
    with logs.appending(sweep.path / lines.METRICS if jax.process_index() == 0 else Path(os.devnull)) as log:
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
                    bar.skip(cohort.end - before)
                if step % options["log_every"] == 0 or step == cohort.end or not host_finite[k]:
                    lines.write_metrics(log, member.number, int(reached[k]), windows.pop(member.number))
            log.flush()
            bar.advance(n * (len(cohort.members) - len(broken)), _shown(plan, cohort, broken))
            if step == cohort.end or stopped or step % options["save_every"] == 0:
                notes = _noted(broken, windows) | {"members": _digest(plan, cohort)}
                checkpoint.save(cohort.directory, step, cohort.own(states), notes=notes, keep=1)
            if stopped:
                return None
    return cohort.own(states), broken


def _scored(
    sweep: Sweep,
    cohort: Cohort,
    states: GANState,
    broken: Mapping[int, tuple[str, int]],
    scores: lines.Scores,
    bar: Progress,
) -> dict[int, Outcome]:
    """Scores a cohort's members; each score is written when it is known, and none is measured a second time."""
    step, members = cohort.end, [*enumerate(cohort.members)]
    wanted = [(k, m) for k, m in members if m.number not in broken and (m.number, step) not in scores]
    with (
        signals.leave_at_once(sweep.farewell),
        logs.appending(sweep.path / lines.SCORES if jax.process_index() == 0 else Path(os.devnull)) as log,
    ):
        for count, (k, member) in enumerate(wanted, 1):
            # Without a terminal a line for every member would be many.
            which = f"member {count} of {len(wanted)}" if bar.on_terminal else counted(len(wanted), "member")
            shown = bar.doing(f"scoring {which}") if bar.on_terminal or count == 1 else contextlib.nullcontext()
            with shown:
                score = sweep.score(cohort.program, member, jax.tree.map(lambda leaf: leaf[k], states))  # noqa: B023
            scores[member.number, step] = score if np.isfinite(score) else None
            lines.write_score(log, member.number, step, sweep.kind, scores[member.number, step])
    return {
        member.number: Outcome(
            int(states.step[k]),
            None if member.number in broken else scores[member.number, step],
            broken.get(member.number),
        )
        for k, member in members
    }


def _described(program: Program, group: Sequence[Member]) -> str:
    """How a program trains its members."""
    rounds = len(planning.rounds(group, program.slots))
    return (
        f"  {counted(len(group), 'member')}, {program.slots} at a time by {program.mapping}"
        f"{f', in {rounds} rounds' if rounds > 1 else ''}: {program.bytes_per_device / 2**10:.0f} KiB per device, "
        f"at most {counted(program.capacity, 'step')} per dispatch"
    )


def _shown(plan: Plan, cohort: Cohort, broken: Mapping[int, Any]) -> str:
    """What stands behind the progress: which rung, how many diverged."""
    rung = f"rung {plan.rungs.index(cohort.end) + 1}/{len(plan.rungs)}" if len(plan.rungs) > 1 else ""
    return ", ".join(filter(None, [rung, f"{len(broken)} diverged" if broken else ""]))


def _digest(plan: Plan, cohort: Cohort) -> str:
    """Says whose states a cohort's are."""
    record = [[without_added(plan.config(member).record) for member in cohort.members], cohort.start, cohort.end]
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _due(cohort: Cohort, step: int, options: Mapping[str, Any]) -> list[int]:
    """The steps, after this one, at which something is to be done."""
    ends = [every * (step // every + 1) for every in (options["log_every"], options["save_every"])]
    warmup = options.get("warmup_steps", 0)
    return [cohort.end, *ends, *([warmup] if step < warmup else [])]


def _noted(broken: Mapping[int, tuple[str, int]], windows: Mapping[int, logs.Window]) -> dict[str, Any]:
    """As JSON has it, whose keys are strings."""
    return {
        "broken": {str(number): list(name_at) for number, name_at in broken.items()},
        "windows": {str(number): window._asdict() for number, window in windows.items()},
    }


def _broken_before(cohort: Cohort, previous: Mapping[int, tuple[Cohort, int]]) -> dict[int, tuple[str, int]]:
    """Which members broke in the rung before."""
    found: dict[int, tuple[str, int]] = {}
    for member in cohort.members:
        before = previous[member.number][0]
        noted = checkpoint.notes(before.directory, before.end)["broken"].get(str(member.number))
        if noted is not None:
            found[member.number] = noted[0], noted[1]
    return found


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
