"""Train a grid of settings x seeds at once: python -m experiments.sweep NAME --lr 1e-5,5e-5 --seeds 8 [options]."""

import argparse
import dataclasses
import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import cli
from experiments.configs import EXPERIMENTS, METRICS, Config, Experiment, choice, number, whole
from experiments.sweep import plan as planning
from experiments.sweep.plan import Choices, Plan

if TYPE_CHECKING:
    from experiments.sweep.store import Store

# Options of a run that a sweep takes as they are: its length, and what it does between steps.
_SHARED = ("steps", "data", "log_every", "save_every", "invert")
# The others make no sense of many runs at once, or are the sweep's own.
_LEFT_OUT = ("seed", "sample_every", "stream", "track", "every", "warmup_steps", "warmup_critic")


def main(argv: list[str]) -> int:
    """Plans, trains, scores and reports; returns 0, or 128 + signal when stopped and saved."""
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: python -m experiments.sweep NAME [options]\n\nrecipes: {', '.join(EXPERIMENTS)}")
        return 0 if argv else 2
    name = argv[0]
    if name not in EXPERIMENTS:
        print(f"sweep: there is no recipe {name!r}{cli.nearest(name, EXPERIMENTS)}", file=sys.stderr)
        return 2
    parser = _parser(name)
    typed = vars(parser.parse_args(argv[1:]))
    limits = {key: typed.pop(key) for key in ("dry_run", "memory", "mapping", "distributed")}
    resume = typed.pop("resume")
    if resume is not None and len(typed) > len(_DEFAULTS):
        parser.error("a resumed sweep keeps its options: type only --resume DIR")
    plan = None
    if resume is None:
        try:
            plan = _plan(EXPERIMENTS[name], name, typed)
        except ValueError as error:
            parser.error(str(error))

    import jax

    cli.start_jax(devices=cli.cores())
    if limits["distributed"] is not None:
        jax.distributed.initialize(**limits["distributed"])
    from experiments.sweep import command, store

    if plan is None:
        sweep: Store = store.load(resume, name)
    else:
        out = typed["out"]
        sweep = store.create(plan, typed["metric"], typed["score_samples"], out, dry_run=limits["dry_run"])
    return command.run(sweep, dry_run=limits["dry_run"], memory=limits["memory"], mapping=limits["mapping"])


def _plan(experiment: Experiment, name: str, typed: dict[str, Any]) -> Plan:
    """The sweep that was typed. ValueError says what is wrong with it."""
    preset = experiment.paper_settings if typed["preset"] == "paper" else {}
    values = {**experiment.defaults, **preset, "warmup_steps": 0, "track": None, "stream": False}
    values |= {option: typed[option] for option in _SHARED if option in typed}
    axes = {}
    for option in [*experiment.run_options, *experiment.recipe_options]:
        match typed.get(option):
            case Choices((value,)):
                values[option] = value
            case Choices() | planning.Range() as axis:
                axes[option] = axis
    members = planning.members(axes, typed["samples"], typed["seeds"], typed["seed"])
    base = Config(
        name,
        {option: values[option] for option in experiment.run_options},
        {option: values[option] for option in experiment.recipe_options},
    )
    settings = members[-1].setting + 1
    rungs = planning.rungs(values["steps"], settings, values["log_every"], halving=typed["halving"])
    return Plan(dataclasses.replace(base, run={**base.run, "seed": typed["seed"]}), members, rungs)


_DEFAULTS: dict[str, Any] = {
    "samples": None, "seeds": 1, "seed": 0, "halving": False, "metric": None, "score_samples": 2000, "out": None,
    "preset": None,
}  # fmt: skip


def _parser(name: str) -> argparse.ArgumentParser:
    experiment = EXPERIMENTS[name]
    parser = cli.Parser(
        prog=f"python -m experiments.sweep {name}",
        description=f"Many GANs trained at once, on all devices: {experiment.summary}\n\n"
        "Every option of the recipe takes one value, values A,B,C (all combinations are trained), or a range\n"
        "uniform:LOW:HIGH or log:LOW:HIGH to draw from with --samples. What only scales numbers shares one compiled\n"
        "program; other values get a program each.",
        argument_default=argparse.SUPPRESS,
    )
    options = experiment.run_options | experiment.recipe_options
    swept = {key: option for key, option in options.items() if key not in (*_SHARED, *_LEFT_OUT)}
    cli.add_options(parser, {key: options[key] for key in _SHARED}, experiment.defaults)
    axes = {key: option._replace(parse=functools.partial(planning.axis, option)) for key, option in swept.items()}
    cli.add_options(parser, axes, experiment.defaults)
    parser.set_defaults(**_DEFAULTS, dry_run=False, memory=None, mapping=None, distributed=None, resume=None)
    add = parser.add_argument
    add("--seeds", type=cli.reader(whole(1)), metavar="N", help="seeds of every setting (default: 1)")
    add("--seed", type=cli.reader(whole(0)), metavar="S", help="first seed (default: 0)")
    add("--samples", type=cli.reader(whole(1)), metavar="N", help="draw N settings at random instead of combining")
    add(
        "--halving",
        action="store_true",
        help="successive halving: stop the worse half of the settings at 1/2^k of steps",
    )
    add(
        "--metric",
        type=cli.reader(choice(*METRICS)),
        metavar="M",
        help="score (default: frechet, or what fits the data)",
    )
    add("--score-samples", type=cli.reader(whole(100)), metavar="N", help="samples of a score (default: 2000)")
    add("--preset", choices=["paper"], help="the paper's own settings, for what is not typed")
    add("--out", type=Path, metavar="DIR", help="directory of the sweep (default: the next free sweeps/NAME/NNN)")
    add("--resume", type=Path, metavar="DIR", help="go on with the sweep in this directory")
    add("--dry-run", action="store_true", help="print the plan, with the memory that it needs, and train nothing")
    add(
        "--memory",
        type=cli.reader(lambda text: number(0, above=True)(text) * 2**30),
        metavar="GIB",
        help="memory a device may use (default: 80%% of what there is)",
    )
    add("--mapping", choices=["map", "vmap"], help="members one by one or batched (default: what suits net and device)")
    add(
        "--distributed",
        type=cli.reader(_processes),
        metavar="P",
        help="auto under SLURM, Open MPI, Kubernetes or on Cloud TPUs, else HOST:PORT,COUNT,INDEX in each process",
    )
    return parser


def _processes(text: str) -> dict[str, Any]:
    """Arguments of jax.distributed.initialize."""
    if text == "auto":
        return {}
    address, *numbers = text.split(",")
    if ":" not in address or len(numbers) != 2 or not all(n.isdecimal() for n in numbers):
        raise ValueError(f"expected auto or HOST:PORT,COUNT,INDEX, got {text!r}")
    return {"coordinator_address": address, "num_processes": int(numbers[0]), "process_id": int(numbers[1])}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.main(main)
