"""Search for good settings with Optuna.

Optuna proposes a population's worth of settings at a time, one program trains them, their scores go back to Optuna, and
the next proposals build on them. Any number of workers, each the same command in a process of its own, on any machine
that sees the storage, share one study. Needs the extra `study`.
"""

import argparse
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_jax.errors import InputError
from gan_jax.lab import cli, devices, values
from gan_jax.lab.cli import Lab
from gan_jax.lab.experiment import Config
from gan_jax.lab.options import integer
from gan_jax.lab.signals import stop_signals
from gan_jax.lab.sweep import axes as sweep_axes
from gan_jax.lab.sweep import plan as planning
from gan_jax.lab.sweep.plan import Axis, Member, Plan, Span


def main(lab: Lab, argv: list[str]) -> int:
    """Works on the study until it has its trials; returns 0, or 128 + signal when stopped."""
    name = lab.experiment("study", argv)
    parser = _parser(lab, name)
    typed = vars(parser.parse_args(argv[1:]))
    axes, base = sweep_axes.read(lab, name, typed)
    if not axes:
        parser.error("nothing to search: give an option several values A,B,C or a range log:LOW:HIGH")
    if importlib.util.find_spec("optuna") is None:
        parser.error("studies need Optuna: pip install 'gan-jax[study]'")

    cli.start_jax(devices=devices.cores())
    import optuna
    from optuna.storages.journal import JournalFileBackend

    from gan_jax.lab.sweep import session

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path: Path = typed["storage"]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be used as a storage ({error}): choose a different --storage") from error
    scoring = session.scoring_of(base, typed["metric"], typed["score_samples"])
    session.check(_every_kind(base, axes), scoring)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="minimize" if scoring.lower_is_better else "maximize",
        load_if_exists=True,
        # Workers start alike: what they propose must not be.
        sampler=optuna.samplers.TPESampler(constant_liar=True, n_startup_trials=2 * typed["population"]),
    )
    states = optuna.trial.TrialState
    with stop_signals("stopping: these trials are left out, the study keeps the others") as received:
        while (done := _count(study, states.COMPLETE, states.FAIL)) < typed["trials"] and not received:
            trials = [study.ask() for _ in range(min(typed["population"], typed["trials"] - done))]
            try:
                proposals = [_suggest(trial, axes) for trial in trials]
            except ValueError as error:  # Optuna's, where a parameter was of another kind or had other choices.
                raise InputError(
                    f"{path} holds a study of {name} with other choices: type the same again, or choose a different "
                    "--storage"
                ) from error
            members = tuple(Member(i, i, chosen, typed["seed"]) for i, chosen in enumerate(proposals))
            directory = path.parent / f"{path.stem}-trials" / f"{trials[0].number:05d}"
            directory.mkdir(parents=True, exist_ok=True)
            plan = Plan(base, members, (base.options["steps"],))
            for trial, member in zip(trials, members, strict=True):
                trial.set_user_attr("setting", plan.label(member))
            result = session.train(plan, scoring, directory, received)
            if result.signal is not None:
                for trial in trials:
                    study.tell(trial, state=states.FAIL)
                break
            for trial, member in zip(trials, members, strict=True):
                score = result.outcomes[member.number].score
                study.tell(trial, score, state=states.FAIL if score is None else states.COMPLETE)
                if score is not None and study.best_trial.number == trial.number:
                    metrics = session.history(plan, directory, member)
                    best = session.save_as_run(plan, member, result, directory / "best", metrics)
                    study.set_user_attr("best", str(best))
            print(_shown(study, scoring.metric), flush=True)
    if received:
        print("stopped; the same command continues")
        return 128 + received[0]
    return 0


def _every_kind(base: Config, axes: Mapping[str, Axis]) -> Plan:
    """The choices combined, each of another program once."""
    options, kinds = base.experiment.options, {}
    for name, axis in axes.items():
        lows = [planning.low_of(choice) for choice in axis]
        kinds[name] = tuple({planning.code(options[name], low): low for low in lows}.values())
    return Plan(base, planning.members(kinds, None, 1, 0), (base.options["steps"],))


def _suggest(trial: Any, axes: Mapping[str, Axis]) -> dict[str, Any]:
    return {name: _suggest_one(trial, name, axis) for name, axis in axes.items()}


def _suggest_one(trial: Any, name: str, axis: Axis) -> Any:
    """A choice of the axis: the parameter NAME, where there are several; of a span also the numbers.

    Those are the parameters NAME or, of the Kth of several choices, NAME.K; the number at place I > 0 has .I behind it.
    """
    chosen = axis[0]
    if len(axis) > 1:
        # Numbers, names and None as they are, anything else as it is typed.
        words = [str(choice) if isinstance(choice, tuple) else choice for choice in axis]
        index = words.index(trial.suggest_categorical(name, words))
        name, chosen = f"{name}.{index}", axis[index]
    if not isinstance(chosen, Span):
        return chosen
    drawn = [
        low if low == high else trial.suggest_float(f"{name}.{k}" if k else name, low, high, log=log)
        for k, (low, high, log) in enumerate(chosen.ranges)
    ]
    return values.with_numbers(chosen.low, drawn)


def _count(study: Any, *states: Any) -> int:
    return len(study.get_trials(deepcopy=False, states=states))


def _shown(study: Any, metric: str) -> str:
    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None]
    if not finished:
        return f"{len(study.trials)} trials, none with a finite score: lower learning rates usually help"
    best, path = study.best_trial, study.user_attrs.get("best", "no run")
    return f"{len(finished)} trials; best {metric} {best.value:.4g}: {best.user_attrs['setting']} ({path})"


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
    add("--trials", type=cli.reader(integer(1)), default=64, metavar="N", help="settings in all (default: 64)")
    add("--population", type=cli.reader(integer(1)), default=8, metavar="N", help="settings at a time (default: 8)")
    return parser
