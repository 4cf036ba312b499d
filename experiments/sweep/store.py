"""A sweep's directory: sweep.json says what it is, states/ and metrics.jsonl how far it has come."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

from experiments.configs import (
    EXPERIMENTS,
    METRICS,
    RECIPE_OPTIONS,
    RUN_OPTIONS,
    Config,
    choice,
    number,
    optional,
    whole,
)
from experiments.rundir import checked, next_free, numbered, vacant, write_whole, writing
from experiments.sweep.plan import Member, Plan
from gan_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Store:
    """A sweep on disk.

    Attributes:
      path: its directory.
      plan: what it trains.
      metric: what it scores by, in `experiments.measures.MEASURES`; None for what fits the data.
      score_samples: samples of a score.
      memory: bytes that a device might use when the sweep began; None before that.
    """

    path: Path
    plan: Plan
    metric: str | None
    score_samples: int
    memory: float | None = None


def new(plan: Plan, metric: str | None, score_samples: int, out: Path | None) -> Store:
    """A new sweep in `out`, or in the next free sweeps/NAME/NNN; nothing is written yet.

    Raises:
      InputError: the directory holds something already.
    """
    path = next_free(Path("sweeps") / plan.base.experiment) if out is None else out
    if not vacant(path):
        raise InputError(f"{path} exists already: name another --out, or go on with it, --resume {path}")
    return Store(path, plan, metric, score_samples)


def to_go_on_with(plan: Plan, metric: str | None, score_samples: int, out: Path | None) -> Store | None:
    """What `--resume auto` goes on with: the sweep in `out`, or the newest unfinished one like it in sweeps/NAME.

    Raises:
      InputError: the sweep in `out` was started with other options, or is none.
    """
    name = plan.base.experiment

    def same(store: Store) -> bool:
        return (store.plan, store.metric, store.score_samples) == (plan, metric, score_samples)

    if out is not None:
        if vacant(out):
            return None
        if not same(store := load(out, name)):
            raise InputError(f"{out} was started with other options: type the same again, or name another --out")
        return store
    for path in reversed(numbered(Path("sweeps") / name)):
        try:
            store = load(path, name)
        except InputError:
            continue
        if same(store) and not finished(store):
            return store
    return None


def finished(store: Store) -> bool:
    """Whether it has come to its end: summary.json is written last."""
    return (store.path / "summary.json").exists()


def write(store: Store) -> None:
    """Makes the directory and its sweep.json. Raises InputError if it can't be written."""
    plan = store.plan
    record = {
        "experiment": plan.base.experiment,
        "run": dict(plan.base.run),
        "recipe": dict(plan.base.recipe),
        "members": [member._asdict() for member in plan.members],
        "rungs": list(plan.rungs),
        "metric": store.metric,
        "score_samples": store.score_samples,
        "memory": store.memory,
    }
    with writing(store.path):
        store.path.mkdir(parents=True, exist_ok=True)
        write_whole(store.path / "sweep.json", json.dumps(record, indent=1) + "\n")


def load(path: Path, name: str) -> Store:
    """The sweep in a directory. Raises InputError if there is none of this recipe."""
    file = path / "sweep.json"
    try:
        record: Any = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise InputError(f"{path} is not a sweep: it has no sweep.json; name one like sweeps/wgan/001") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{file} can't be read ({error}): name another sweep") from error
    try:
        if record["experiment"] != name:
            made_by = record["experiment"]
            raise InputError(f"{path} was made by {made_by}: type experiments.sweep {made_by} --resume {path}")
        experiment = EXPERIMENTS[name]
        run = checked(record["run"], RUN_OPTIONS, experiment.run_options)
        recipe = checked(record["recipe"], RECIPE_OPTIONS, experiment.recipe_options)
        members = tuple(
            Member(i, int(m["setting"]), _read(m["values"]), int(m["seed"])) for i, m in enumerate(record["members"])
        )
        plan = Plan(Config(name, run, recipe), members, tuple(int(rung) for rung in record["rungs"]))
        _check(plan)
        metric, samples = optional(choice(*METRICS))(record["metric"] or "none"), whole(1)(str(record["score_samples"]))
        return Store(path, plan, metric, samples, number(0, above=True)(str(record["memory"])))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} is not the record of a sweep ({error!r}): name another sweep") from error


def _check(plan: Plan) -> None:
    """Raises ValueError unless the plan could have been typed."""
    if not plan.members or any(member.values.keys() != plan.members[0].values.keys() for member in plan.members):
        raise ValueError("members must all have the same options")
    steps = [0, *(after.setting - before.setting for before, after in itertools.pairwise(plan.members))]
    if plan.members[0].setting != 0 or not set(steps) <= {0, 1}:
        raise ValueError("settings must be numbered from 0 on")
    if not all(0 <= member.seed < 2**32 for member in plan.members):
        raise ValueError("seeds must be at least 0 and below 2^32")
    if [*plan.rungs] != sorted({*plan.rungs}) or plan.rungs[:1] < (1,) or plan.rungs[-1] != plan.base.run["steps"]:
        raise ValueError("rungs must ascend to the last step")


def _read(values: dict[str, Any]) -> dict[str, Any]:
    """A member's values, each read again by its option."""
    options = {**RUN_OPTIONS, **RECIPE_OPTIONS}
    return checked(values, options, {name: options[name] for name in values})
