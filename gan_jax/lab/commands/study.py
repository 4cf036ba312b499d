"""Search for good settings with Optuna.

Optuna proposes a population's worth of settings at a time, one program trains them, their scores go back to Optuna, and
the next proposals build on them. Any number of workers, each the same command in a process of its own, on any machine
that sees the storage, share one study. Needs the extra `study`.
"""

import argparse
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_jax.lab import cli, devices, signals
from gan_jax.lab.cli import Lab
from gan_jax.lab.experiment import Config
from gan_jax.lab.options import integer
from gan_jax.lab.progress import Progress, counted
from gan_jax.lab.sweep import axes as sweep_axes
from gan_jax.lab.sweep import plan as planning
from gan_jax.lab.sweep.plan import Axis, Member, Plan


def main(lab: Lab, argv: list[str]) -> int:
    """Works on the study until it has its trials; returns 0, 1 for a full disk, or 128 + signal when stopped."""
    name = lab.experiment("study", argv)
    parser = _parser(lab, name)
    typed = vars(parser.parse_args(argv[1:]))
    axes, base = sweep_axes.read(lab, name, typed)
    if not axes:
        parser.error("nothing to search: give an option several values A,B,C or a range log:LOW:HIGH")
    if importlib.util.find_spec("optuna") is None:
        parser.error("studies need Optuna: pip install 'gan-jax[study]'")

    cli.start_jax(devices=devices.cores())
    from gan_jax.lab.sweep import trials

    path: Path = typed["storage"]
    trials.check(path)
    try:
        return _search(lab, base, axes, typed, lab.command("study", *argv))
    except OSError as error:
        print(
            f"{path} can't be written any more ({error.strerror or error}); what was saved is whole: free some space, "
            "then type the same command",
            file=sys.stderr,
        )
        return 1


def _search(lab: Lab, base: Config, axes: Mapping[str, Axis], typed: Mapping[str, Any], command: str) -> int:
    """Trains population after population, for the command that was typed; returns the exit code."""
    import optuna

    from gan_jax.lab.sweep import cohorts, lines, session, trials

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path, name, total, count = typed["storage"], base.name, typed["trials"], typed["population"]
    with (
        Progress(1, what=f"study of {name}") as bar,
        bar.doing("reading the data"),
        signals.leave_at_once("stopped before anything was trained"),
    ):
        scoring = session.scoring_of(base, typed["metric"], typed["score_samples"], typed["features"])
        session.check(_every_kind(base, axes), scoring)
        study = trials.opened(
            path,
            name,
            trials.described(base, axes, scoring.measure, scoring.samples, scoring.kind.get("features")),
            scoring.fingerprints,
            lower_is_better=scoring.lower_is_better,
            # Workers start alike: what they propose must not be.
            sampler=optuna.samplers.TPESampler(constant_liar=True, n_startup_trials=2 * count),
        )
    if scoring.features is not None:
        print(f"scored by {scoring.metric} in features of {scoring.features}")
    farewell = "stopped, the study keeps what was trained; the same command continues"
    memory = devices.usable_memory()
    while True:
        with trials.next_population(study, path, axes, most=count, total=total, memory=memory) as population:
            if population is None:
                break
            plan = _plan(base, population)
            numbers = f"trials {min(population.numbers) + 1}-{max(population.numbers) + 1} of {total}"
            with (
                Progress(cohorts.total(plan), what=f"{name}, {numbers}") as bar,
                signals.stop_signals("stopping after this step, what is trained will be saved") as received,
            ):
                place, memory_then = population.directory, population.memory
                result = session.train(plan, scoring, place, received, bar=bar, farewell=farewell, memory=memory_then)
                if result.signal is not None:
                    bar.say(farewell)
                    return 128 + result.signal
                scores = [result.outcomes[member.number].score for member in plan.members]
                with bar.doing("saving the best trial"):
                    sign = 1 if scoring.lower_is_better else -1
                    found = [(sign * score, k) for k, score in enumerate(scores) if score is not None]
                    if found and trials.is_best(study, sign * min(found)[0]):
                        best = plan.members[min(found)[1]]
                        metrics = lines.read_metrics(population.directory, len(plan.members))[best.number]
                        (state,), out = cohorts.states_of(result, [best]), population.directory / "best"
                        session.save_as_run(plan, best, state, scoring.dataset, out, metrics, command=command)
                    trials.tell(study, population, scores)
            print(_shown(study, path, base, axes, scoring), flush=True)
            if received:
                print(farewell)
                return 128 + received[0]
    _print_end(lab, study, base, axes, scoring, total)
    return 0


def _plan(base: Config, population: Any) -> Plan:
    chosen = enumerate(population.values)
    members = tuple(Member(k, k, values, base.options["seed"]) for k, values in chosen)
    return Plan(base, members, (base.options["steps"],))


def _print_end(lab: Lab, study: Any, base: Config, axes: Mapping[str, Axis], scoring: Any, total: int) -> None:
    """How far the study is, and the command that trains its best setting again."""
    from gan_jax.lab.sweep import session, trials

    done = trials.finished(study)
    if done < total:
        print(f"{done} of {total} trials are finished, other processes train the rest")
    elif trials.scored(study):
        best = base.replace(**trials.suggest(study.best_trial, axes))
        print(
            "the best of many is partly luck, so repeat it with fresh seeds: "
            f"{session.repeated(lab, best, scoring, seeds=1)}"
        )


def _every_kind(base: Config, axes: Mapping[str, Axis]) -> Plan:
    """The choices combined, each of another program once."""
    options, kinds = base.experiment.options, {}
    for name, axis in axes.items():
        lows = [planning.low_of(choice) for choice in axis]
        kinds[name] = tuple({planning.code(options[name], low): low for low in lows}.values())
    return Plan(base, planning.members(kinds, None, 1, 0), (base.options["steps"],))


def _shown(study: Any, path: Path, base: Config, axes: Mapping[str, Axis], scoring: Any) -> str:
    from gan_jax.lab.sweep import trials

    if not trials.scored(study):
        return (
            f"{counted(trials.finished(study), 'trial')}, none with a finite score: lower learning rates usually help"
        )
    best = Member(0, 0, trials.suggest(study.best_trial, axes), base.options["seed"])
    return (
        f"{counted(trials.finished(study), 'trial')}; best {scoring.metric} {study.best_value:.4g} ({scoring.better}): "
        f"{Plan(base, (best,), ()).label(best)} ({trials.best_run(path, study)})"
    )


def _parser(lab: Lab, name: str) -> argparse.ArgumentParser:
    parser = sweep_axes.parser(
        lab,
        "study",
        name,
        f"Search for good settings with Optuna: {lab.table[name].summary}\n\n"
        "Options take one value, choices A,B,C, or a range uniform:LOW:HIGH or log:LOW:HIGH to search, also as an end\n"
        "of a schedule: cosine:log(1e-5,1e-3):0. Start the same command in several processes to share the work: the\n"
        "storage is what they have in common.",
    )
    add = parser.add_argument
    add(
        "--storage", type=cli.path, required=True, metavar="FILE", help="the study: a journal file, which workers share"
    )
    add(
        "--trials",
        type=cli.reader(integer(1)),
        default=64,
        metavar="N",
        help="settings in all, may be raised later (default: 64)",
    )
    add("--population", type=cli.reader(integer(1)), default=8, metavar="N", help="settings at a time (default: 8)")
    return parser
