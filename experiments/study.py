"""Search for good settings: python -m experiments.study NAME --lr log:1e-5:1e-3 --trials 64 --storage FILE.

Optuna proposes a population's worth of settings at a time, one program trains them, their scores go back to Optuna, and
the next proposals build on them. Any number of workers, each the same command in a process of its own, on any machine
that sees the storage, share one study. Needs the extra `study`.
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import cli
from experiments.configs import EXPERIMENTS, whole
from experiments.sweep import options
from experiments.sweep import plan as planning
from experiments.sweep.plan import Axis, Member, Plan, Range


def main(argv: list[str]) -> int:
    """Works on the study until it has its trials; returns 0, or 128 + signal when stopped."""
    if not argv or argv[0] not in EXPERIMENTS:
        hint = cli.nearest(argv[0], EXPERIMENTS) if argv else ""
        print(f"study: name a recipe{hint}, one of {', '.join(EXPERIMENTS)}", file=sys.stderr)
        return 2
    name = argv[0]
    parser = _parser(name)
    typed = vars(parser.parse_args(argv[1:]))
    axes, base = options.read(name, typed)
    if not axes:
        parser.error("nothing to search: give an option several values A,B,C or a range log:LOW:HIGH")
    if importlib.util.find_spec("optuna") is None:
        parser.error("studies need Optuna: pip install 'gan-jax[study]'")

    cli.start_jax(devices=cli.cores())
    import optuna
    from optuna.storages.journal import JournalFileBackend

    from experiments.signals import stop_signals
    from experiments.sweep import command
    from gan_jax.errors import InputError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path: Path = typed["storage"]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be used as a storage ({error}): name another --storage") from error
    scoring = command.scoring(base, typed["metric"], typed["score_samples"])
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="minimize" if scoring.lower_is_better else "maximize",
        load_if_exists=True,
        # Workers start alike: what they propose must not be.
        sampler=optuna.samplers.TPESampler(constant_liar=True, n_startup_trials=2 * typed["population"]),
    )
    states = optuna.trial.TrialState
    with stop_signals() as received:
        while (done := _count(study, states.COMPLETE, states.FAIL)) < typed["trials"] and not received:
            trials = [study.ask() for _ in range(min(typed["population"], typed["trials"] - done))]
            proposals = [_suggest(trial, axes) for trial in trials]
            members = tuple(Member(i, i, values, typed["seed"]) for i, values in enumerate(proposals))
            directory = path.parent / f"{path.stem}-trials" / f"{trials[0].number:05d}"
            directory.mkdir(parents=True, exist_ok=True)
            plan = Plan(base, members, (base.run["steps"],))
            result = command.train(plan, scoring, directory, received)
            if result.signal is not None:
                for trial in trials:
                    study.tell(trial, state=states.FAIL)
                break
            for trial, member in zip(trials, members, strict=True):
                score = result.outcomes[member.number].score
                study.tell(trial, score, state=states.FAIL if score is None else states.COMPLETE)
                if score is not None and study.best_trial.number == trial.number:
                    metrics = command.history(plan, directory, member)
                    best = command.save_as_run(plan, member, result, directory / "best", metrics)
                    study.set_user_attr("best", str(best))
            print(_shown(study, scoring.metric), flush=True)
    if received:
        print("stopped; the same command goes on")
        return 128 + received[0]
    return 0


def _suggest(trial: Any, axes: Mapping[str, Axis]) -> dict[str, Any]:
    return {
        name: trial.suggest_float(name, axis.low, axis.high, log=axis.log)
        if isinstance(axis, Range)
        else trial.suggest_categorical(name, axis.values)
        for name, axis in axes.items()
    }


def _count(study: Any, *states: Any) -> int:
    return len(study.get_trials(deepcopy=False, states=states))


def _shown(study: Any, metric: str) -> str:
    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None]
    if not finished:
        return f"{len(study.trials)} trials, none with a finite score: lower learning rates usually help"
    best = study.best_trial
    values = ", ".join(f"{name} {planning.shown(value)}" for name, value in best.params.items())
    return (
        f"{len(finished)} trials; best {metric} {best.value:.4g}: {values} ({study.user_attrs.get('best', 'no run')})"
    )


def _parser(name: str) -> argparse.ArgumentParser:
    parser = options.parser(
        f"python -m experiments.study {name}",
        f"Search for good settings with Optuna: {EXPERIMENTS[name].summary}\n\n"
        "Options of the recipe take one value, choices A,B,C, or a range uniform:LOW:HIGH or log:LOW:HIGH to search.\n"
        "Start the same command in several processes to share the work: the storage is what they have in common.",
        name,
    )
    add = parser.add_argument
    add("--storage", type=Path, required=True, metavar="FILE", help="the study: a journal file, which workers share")
    add("--trials", type=cli.reader(whole(1)), default=64, metavar="N", help="settings in all (default: 64)")
    add("--population", type=cli.reader(whole(1)), default=8, metavar="N", help="settings at a time (default: 8)")
    return parser


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.main(main)
