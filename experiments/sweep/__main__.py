"""Train a grid of settings x seeds at once: python -m experiments.sweep NAME --lr 1e-5,5e-5 --seeds 8 [options]."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from experiments import cli
from experiments.configs import EXPERIMENTS, number, whole
from experiments.sweep import options
from experiments.sweep import plan as planning
from experiments.sweep.plan import Plan


def main(argv: list[str]) -> int:
    """Plans, trains, scores and reports; returns 0, 1 for a full disk, or 128 + signal when stopped and saved."""
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: python -m experiments.sweep NAME [options]\n\nrecipes: {', '.join(EXPERIMENTS)}")
        return 0 if argv else 2
    name = argv[0]
    if name not in EXPERIMENTS:
        print(f"sweep: there is no recipe {name!r}{cli.nearest(name, EXPERIMENTS)}", file=sys.stderr)
        return 2
    parser = _parser(name)
    typed = vars(parser.parse_args(argv[1:]))
    limits = {key: typed.pop(key) for key in ("dry_run", "memory", "mapping")}
    distributed, resume = typed.pop("distributed"), typed.pop("resume")
    plan = None
    if resume in (None, "auto"):
        try:
            plan = _plan(name, typed)
        except ValueError as error:
            parser.error(str(error))
    elif typed != _untyped(parser):
        parser.error("a resumed sweep keeps its options: type only --resume DIR")

    import jax

    cli.start_jax(devices=cli.cores())
    if distributed is not None:
        jax.distributed.initialize(**distributed)
    from experiments.sweep import command, store

    if plan is None:
        return command.run(store.load(Path(resume), name), **limits)
    asked = plan, typed["metric"], typed["score_samples"], typed["out"]
    sweep = store.to_go_on_with(*asked) if resume == "auto" else None
    if sweep is not None and store.finished(sweep):
        print(f"{sweep.path} is finished")
        return 0
    return command.run(sweep or store.new(*asked), **limits)


def _plan(name: str, typed: dict[str, Any]) -> Plan:
    """The sweep that was typed. ValueError says what is wrong with it."""
    axes, base = options.read(name, typed)
    members = planning.members(axes, typed["samples"], typed["seeds"], typed["seed"])
    settings, steps, every = members[-1].setting + 1, base.run["steps"], base.run["log_every"]
    return Plan(base, members, planning.rungs(steps, settings, every, halving=typed["halving"]))


def _untyped(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """What the parser gives for no options, but those of which resumed sweeps take notice."""
    of_every_start = ("dry_run", "memory", "mapping", "distributed", "resume")
    return {key: value for key, value in vars(parser.parse_args([])).items() if key not in of_every_start}


def _parser(name: str) -> argparse.ArgumentParser:
    parser = options.parser(
        f"python -m experiments.sweep {name}",
        f"Many GANs trained at once, on all devices: {EXPERIMENTS[name].summary}\n\n"
        "Every option of the recipe takes one value, values A,B,C (all combinations are trained), or a range\n"
        "uniform:LOW:HIGH or log:LOW:HIGH to draw from with --samples. What only scales numbers shares one compiled\n"
        "program; other values get a program each.",
        name,
    )
    parser.set_defaults(samples=None, seeds=1, halving=False, out=None)
    parser.set_defaults(dry_run=False, memory=None, mapping=None, distributed=None, resume=None)
    add = parser.add_argument
    add("--seeds", type=cli.reader(whole(1)), metavar="N", help="seeds of every setting (default: 1)")
    add("--samples", type=cli.reader(whole(1)), metavar="N", help="draw N settings at random instead of combining")
    add("--halving", action="store_true", help="stop the worse half of the settings at 1/2^k of the steps")
    add("--out", type=Path, metavar="DIR", help="directory of the sweep (default: the next free sweeps/NAME/NNN)")
    add(
        "--resume",
        metavar="DIR|auto",
        help="go on with the sweep in this directory; auto: with the one in --out, or else with the newest unfinished "
        "one in sweeps/NAME, if it was started with the options typed; where there is none start a fresh one, and "
        "where the one in --out is finished do nothing, so that one command can be typed until it exits with 0",
    )
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
