"""Train a grid of settings x seeds as one program."""

import argparse
from pathlib import Path
from typing import Any

from gan_jax.lab import cli, devices
from gan_jax.lab.cli import Lab
from gan_jax.lab.options import integer, real
from gan_jax.lab.sweep import axes as sweep_axes
from gan_jax.lab.sweep import plan as planning
from gan_jax.lab.sweep import store
from gan_jax.lab.sweep.plan import Plan


def main(lab: Lab, argv: list[str]) -> int:
    """Plans, trains, scores and reports; returns 0, 1 for a full disk, or 128 + signal when stopped and saved."""
    name = lab.experiment("sweep", argv)
    options = parser(lab, name)
    typed = vars(options.parse_args(argv[1:]))
    limits = {key: typed.pop(key) for key in ("dry_run", "memory", "mapping", "features")}
    limits["look"] = typed.pop("style")
    distributed, resume = typed.pop("distributed"), typed.pop("resume")
    plan = None
    if resume in (None, "auto"):
        try:
            plan = _plan(lab, name, typed)
        except ValueError as error:
            options.error(str(error))
    elif typed != _untyped(options):
        options.error("a resumed sweep keeps its options: type only --resume DIR, --features again, and --style")

    cli.start_jax(devices=devices.cores(), distributed=distributed)
    from gan_jax.lab.sweep import session  # Not earlier: it loads what only training needs.

    if plan is None:
        return session.run(lab, store.load(Path(resume), name, lab), **limits)
    asked = plan, typed["metric"], typed["score_samples"], typed["out"]
    sweep = store.find_resumable(lab, *asked) if resume == "auto" else None
    if sweep is not None and store.finished(sweep):
        print(f"{sweep.path} is finished")
        return 0
    return session.run(lab, sweep or store.new(*asked), **limits)


def _plan(lab: Lab, name: str, typed: dict[str, Any]) -> Plan:
    """The sweep that was typed. ValueError says what is wrong with it."""
    axes, base = sweep_axes.read(lab, name, typed)
    members = planning.members(axes, typed["draws"], typed["seeds"], typed["seed"])
    steps, every = base.options["steps"], base.options["log_every"]
    rungs = planning.rungs(steps, members[-1].setting + 1, every, halving=typed["halving"])
    return Plan(base, members, rungs, planning.logarithmic(axes))


def _untyped(options: argparse.ArgumentParser) -> dict[str, Any]:
    """What the parser gives for no options, but those of which resumed sweeps take notice."""
    of_every_start = ("dry_run", "memory", "mapping", "features", "distributed", "resume", "style")
    return {key: value for key, value in vars(options.parse_args([])).items() if key not in of_every_start}


def parser(lab: Lab, name: str) -> argparse.ArgumentParser:
    """The options of one experiment's sweeps."""
    options = sweep_axes.parser(
        lab,
        "sweep",
        name,
        f"Many GANs trained as one program, on all devices: {lab.table[name].summary}\n\n"
        "Every option that can differ takes one value, values A,B,C (all combinations are trained), or a range\n"
        "uniform:LOW:HIGH or log:LOW:HIGH to draw from with --draws. Numbers that scale may be schedules, whose ends\n"
        "may be ranges: cosine:log(1e-5,1e-3):0. What only scales numbers shares one compiled program; other values\n"
        "get a program each.",
    )
    options.set_defaults(draws=None, seeds=1, halving=False, out=None)
    options.set_defaults(dry_run=False, memory=None, mapping=None, distributed=None, resume=None, style="readme")
    add = options.add_argument
    add("--seeds", type=cli.reader(integer(1)), metavar="N", help="seeds of every setting (default: 1)")
    add("--draws", type=cli.reader(integer(1)), metavar="N", help="draw N settings at random instead of combining")
    add("--halving", action="store_true", help="stop the worse half of the settings at 1/2^k of the steps")
    add("--out", type=cli.path, metavar="DIR", help="directory of the sweep (default: the next free sweeps/NAME/NNN)")
    add(
        "--resume",
        type=lambda text: text if text == "auto" else str(cli.path(text)),
        metavar="DIR|auto",
        help="continue the sweep in this directory; auto: the one in --out, or else the newest unfinished one in "
        "sweeps/NAME, if it was started with the options typed; where there is none start a fresh one, and where the "
        "one in --out is finished do nothing, so that one command can be typed until it exits with 0",
    )
    add("--dry-run", action="store_true", help="print the plan, compile and train nothing")
    add(
        "--memory",
        type=cli.reader(lambda text: real(0.0, above=True)(text) * 2**30),
        metavar="GIB",
        help="memory a device may use (default: 80%% of what there is)",
    )
    add("--mapping", choices=["map", "vmap"], help="members one by one or batched (default: what suits net and device)")
    add("--style", choices=["readme", "paper"], help="figures for a screen, or finer, as PDF too (default: readme)")
    cli.add_distributed(options)
    return options
