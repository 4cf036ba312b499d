"""A sweep's directory: sweep.json says what it is, states/ and metrics.jsonl how far it has come."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import jax

from gan_jax.errors import InputError
from gan_jax.lab import files
from gan_jax.lab.cli import Lab
from gan_jax.lab.experiment import Config, Experiment, recorded
from gan_jax.lab.measuring.measures import MEASURES
from gan_jax.lab.options import choice, integer, optional, real
from gan_jax.lab.sweep.axes import LEFT_OUT, SHARED
from gan_jax.lab.sweep.plan import Member, Plan


@dataclasses.dataclass(frozen=True)
class Store:
    """A sweep on disk.

    Attributes:
      path: its directory.
      plan: what it trains.
      metric: what it scores by, in `gan_jax.lab.measuring.measures.MEASURES`; None for what fits the data.
      score_samples: samples of a score.
      memory: bytes that a device might use when the sweep began; None before that.
      data: the fingerprints of the training and the test set that it began with; None before that.
      features: which features it scores by; None where the metric has none, or before it began.
      numbered: whether the path is the next free number, of which another start may have made one by now.
    """

    path: Path
    plan: Plan
    metric: str | None
    score_samples: int
    memory: float | None = None
    data: tuple[str, ...] | None = None
    features: str | None = None
    numbered: bool = False


def new(plan: Plan, metric: str | None, score_samples: int, out: Path | None) -> Store:
    """A new sweep in `out`, or in the next free sweeps/NAME/NNN; nothing is written yet.

    Raises:
      InputError: the directory holds something already.
    """
    path = files.next_free(Path("sweeps") / plan.base.name) if out is None else out
    files.check_name(path)
    if not files.is_free(path):
        raise InputError(f"{path} exists already: choose a different --out, or continue it with --resume {path}")
    return Store(path, plan, metric, score_samples, numbered=out is None)


def find_resumable(lab: Lab, plan: Plan, metric: str | None, score_samples: int, out: Path | None) -> Store | None:
    """What `--resume auto` continues: the sweep in `out`, or the newest unfinished one like it in sweeps/NAME.

    Raises:
      InputError: the sweep in `out` was started with other options, or is none.
    """
    name = plan.base.name

    def same(store: Store) -> bool:
        return (store.plan, store.metric, store.score_samples) == (plan, metric, score_samples)

    if out is not None:
        if files.is_free(out):
            return None
        if not same(store := load(out, name, lab)):
            raise InputError(f"{out} was started with other options: type the same again, or choose a different --out")
        return store
    for path in reversed(files.numbered(Path("sweeps") / name)):
        try:
            store = load(path, name, lab)
        except InputError:
            continue
        if same(store) and not finished(store):
            return store
    return None


def finished(store: Store) -> bool:
    """Whether it has come to its end: summary.json is written last."""
    return (store.path / "summary.json").exists()


def begin(store: Store) -> Store:
    """Makes the directory of a new sweep, and its sweep.json.

    Raises:
      InputError: it can't be written, or another start has taken it.
    """
    with files.write_errors(store.path):
        if store.numbered and jax.process_count() == 1:  # Of several processes all must know the same path.
            store = dataclasses.replace(store, path=files.make_next(store.path.parent))
        store.path.mkdir(parents=True, exist_ok=True)
        with files.lock(store.path):
            if not files.is_free(store.path):
                raise InputError(f"{store.path} exists already: choose a different --out")
            _write(store)
    return store


def _write(store: Store) -> None:
    plan = store.plan
    record = {
        "experiment": plan.base.name,
        "options": plan.base.record,
        "members": [{**member._asdict(), "values": _values(plan.base, member)} for member in plan.members],
        "rungs": list(plan.rungs),
        "logarithmic": list(plan.logarithmic),
        "metric": store.metric,
        "score_samples": store.score_samples,
        "memory": store.memory,
        "data": store.data,
        "features": store.features,
    }
    files.write_text(store.path / "sweep.json", json.dumps(record, indent=1) + "\n")


def load(path: Path, name: str, lab: Lab) -> Store:
    """The sweep in a directory. Raises InputError if there is none of this experiment."""
    files.check_name(path)
    file = path / "sweep.json"
    try:
        record: Any = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is not a sweep, it has no sweep.json: choose one such as sweeps/wgan/001") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} can't be read ({error}): choose a different sweep") from error
    try:
        if record["experiment"] != name:
            of = str(record["experiment"])
            raise InputError(
                f"{path} is a sweep of {of}: continue it with {lab.command('sweep', of, '--resume', path)}"
            )
        base = recorded(lab.table, name, record["options"])
        members = tuple(
            Member(i, int(m["setting"]), _read(base.experiment, m["values"]), int(m["seed"]))
            for i, m in enumerate(record["members"])
        )
        # Sweeps of earlier versions have none of them.
        logarithmic, fingerprints = tuple(map(str, record.get("logarithmic", ()))), record.get("data")
        features = record.get("features")
        plan = Plan(base, members, tuple(int(rung) for rung in record["rungs"]), logarithmic)
        _check(plan)
        metric = optional(choice(*MEASURES))(record["metric"] or "none")
        samples, memory = integer(1)(str(record["score_samples"])), real(0.0, above=True)(str(record["memory"]))
        fingerprints, features = fingerprints and tuple(map(str, fingerprints)), features and str(features)
        return Store(path, plan, metric, samples, memory, fingerprints, features)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file} is not the record of a sweep ({error!r}): choose a different sweep") from error


def _check(plan: Plan) -> None:
    """Raises ValueError unless the plan could have been typed."""
    if not plan.members or any(member.values.keys() != plan.members[0].values.keys() for member in plan.members):
        raise ValueError("members must all have the same options")
    if common := {*SHARED, *LEFT_OUT} & plan.members[0].values.keys():
        raise ValueError(f"members must not differ in {', '.join(sorted(common))}")
    steps = [0, *(after.setting - before.setting for before, after in itertools.pairwise(plan.members))]
    if plan.members[0].setting != 0 or not set(steps) <= {0, 1}:
        raise ValueError("settings must be numbered from 0 on")
    if not all(0 <= member.seed < 2**32 for member in plan.members):
        raise ValueError("seeds must be at least 0 and below 2^32")
    if [*plan.rungs] != sorted({*plan.rungs}) or plan.rungs[:1] < (1,) or plan.rungs[-1] != plan.base.options["steps"]:
        raise ValueError("rungs must ascend to the last step")
    if not {*plan.logarithmic} <= {*plan.swept}:
        raise ValueError("only numbers that are swept can lie in the logarithm")


def _values(base: Config, member: Member) -> dict[str, Any]:
    record = base.replace(**member.values).record
    return {name: record[name] for name in member.values}


def _read(experiment: Experiment, values: dict[str, Any]) -> dict[str, Any]:
    """A member's values, each read again by its option."""
    return {name: experiment.read(name, value) for name, value in values.items()}
