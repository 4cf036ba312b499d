"""Measure speed: python -m experiments.benchmark [CASE ...] [--peer torch]."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from experiments.benchmark import commands
from experiments.benchmark.cases import CASES
from gan_jax.lab import cli, devices
from gan_jax.lab.experiment import nearest
from gan_jax.lab.options import integer, real
from gan_jax.lab.progress import Progress
from gan_jax.lab.signals import leave_at_once

# Recipes, and widths at which sixteen members train quickly.
_POPULATIONS = {"wgan": 128}
_WHOLE = ("population", "stream", "metrics", "startup", "first_sample", "sweep")
_ACCELERATOR = "accelerator"  # Only where it is asked for: its nets take hours on a CPU.


def main(argv: list[str]) -> int:
    """Measures case by case, and writes results.json, table.md and speed.png after each."""
    parser = _parser()
    options = parser.parse_args(argv)
    known = [*CASES, *_WHOLE, _ACCELERATOR]
    for case in options.cases:
        if case not in known:
            parser.error(f"there is no case {case!r}{nearest(case, known)}")
    if options.peer and importlib.util.find_spec("torch") is None:
        parser.error("--peer torch needs PyTorch in this environment: pip install torch (nothing else needs it)")

    import jax

    # One device per core for populations; compile times are measured, so the cache is off.
    jax.config.update("jax_num_cpu_devices", devices.cores())
    jax.config.update("jax_enable_compilation_cache", False)
    cli.check_platform()
    from experiments.benchmark import accelerator, metrics, population, report, steps, stream

    options.out.mkdir(parents=True, exist_ok=True)
    results = report.read(options.out)
    cases = options.cases or [*CASES, *_WHOLE]
    timed: dict[str, Any] = {"turns": options.turns, "seconds": options.seconds}

    def measure(case: str) -> Any:
        match case:
            case "population":
                return [population.measure(name, width=width, **timed) for name, width in _POPULATIONS.items()]
            case "stream":
                return [stream.measure(name, **timed) for name in stream.NAMES]
            case "metrics":
                return metrics.measure(turns=options.turns)
            case "startup":
                return commands.startup(options.turns)
            case "first_sample":
                return commands.first_sample(options.turns)
            case "sweep":
                return commands.sweep(steps=options.sweep_steps, runs=options.sweep_runs, members=options.sweep_members)
            case "accelerator":
                return accelerator.measure(**timed)
        return steps.measure(case, peer=options.peer is not None, clock=options.clock, **timed)

    kept = f"interrupted; the cases that are done are in {options.out}"
    with leave_at_once(kept, commands.end), Progress(len(cases), unit="case", what="benchmark") as bar:
        for case in cases:
            with bar.doing(case, counts=True):
                record = measure(case)
            results[case] = {"record": record, "machine": report.machine(), "turns": options.turns}
            report.write(options.out, results)
            bar.advance()
            bar.say(json.dumps(record, indent=1))
    print(f"see {options.out / 'table.md'} and {options.out / 'speed.png'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="python -m experiments.benchmark",
        description="Steps per second of the recipes beside the machine's matrix product (and PyTorch), of\n"
        "populations, of streamed data and of whole sweeps, what metrics cost, and start-up times. Contenders take\n"
        "turns; medians and quartiles are reported. "
        "Results of earlier cases in --out are kept.\n\n"
        f"cases: {', '.join([*CASES, *_WHOLE])} (default: all of these); {_ACCELERATOR} (a GPU or TPU)",
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="what to measure")
    parser.add_argument("--peer", choices=["torch"], help="measure PyTorch too, if it is installed")
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="of recipes; cpu: the processor's time, for one core of a machine with other load, by taskset -c 0 "
        "(default: wall)",
    )
    parser.add_argument("--turns", type=cli.reader(integer(1)), default=7, metavar="N", help="turns (default: 7)")
    parser.add_argument(
        "--seconds",
        type=cli.reader(real(0.0, above=True)),
        default=2.0,
        metavar="S",
        help="approximate seconds per contender and turn (default: 2)",
    )
    parser.add_argument(
        "--sweep-steps",
        type=cli.reader(integer(1)),
        default=2000,
        metavar="N",
        help="steps of the sweep (default: 2000)",
    )
    parser.add_argument(
        "--sweep-runs",
        type=cli.reader(integer(1)),
        default=4,
        metavar="N",
        help="how many of the sweep's members are also run alone (default: 4)",
    )
    parser.add_argument(
        "--sweep-members", type=int, choices=commands.SWEEPS, default=64, help="members of the sweep (default: 64)"
    )
    parser.add_argument(
        "--out",
        type=cli.path,
        default=Path("benchmarks"),
        metavar="DIR",
        help="directory of the results (default: benchmarks/)",
    )
    return parser


if __name__ == "__main__":
    cli.guarded("benchmark", lambda: main(sys.argv[1:]))
