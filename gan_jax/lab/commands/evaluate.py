"""Measure a run's samples."""

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

import jax

from gan_jax.lab import cli, files
from gan_jax.lab.cli import Lab
from gan_jax.lab.measuring import evaluation, measures
from gan_jax.lab.measuring.measures import MEASURES, Bounds, Value
from gan_jax.lab.options import integer, several
from gan_jax.lab.runs import directory


def main(lab: Lab, argv: list[str]) -> int:
    """Parses, measures the run's newest checkpoint, prints a table and writes JSON; returns 0."""
    options = _parser(lab).parse_args(argv)
    cli.start_jax()
    run = directory.load(options.run, lab.table)
    gan = run.job.gan()
    out = options.out or run.path / "evaluation.json"
    files.check_parent(out)
    reference = evaluation.reference_of(run.job, gan, options.classifier)
    chosen = options.metrics or measures.fitting(reference)
    evaluation.check_fitting(run.job, reference, chosen)
    state = run.restore_best(gan) if options.best else run.restore(gan)
    n = options.n or evaluation.usual_count(reference)
    draw = evaluation.sample_drawer(gan, reference, n)
    started = time.perf_counter()
    *keys, bounds_rng = jax.random.split(jax.random.key(options.seed), options.sets + 1)
    scores: dict[str, list[Value]] = {}
    for i, rng in enumerate(keys):
        samples = draw(state, rng)
        for name in chosen:
            if i == 0 or not MEASURES[name].once:
                for key, score in MEASURES[name].of(reference, samples).items():
                    scores.setdefault(key, []).append(score)
    bounds: dict[str, Bounds] = {}
    for name in chosen:
        bounds |= measures.bounds(name, reference, n, bounds_rng)
    record = {
        "run": str(run.path),
        "step": int(state.step),
        "n": n,
        "held_out": reference.held_out,
        "seed": options.seed,
        "classifier": None if reference.classifier is None else dict(reference.classifier.record),
        "metrics": {key: evaluation.summary(values, bounds.get(key, Bounds())) for key, values in scores.items()},
        "seconds": time.perf_counter() - started,
    }
    against = "" if reference.held_out else ", against the training data: there is no test split"
    print(f"{run.path} at step {int(state.step)}, {n} samples per set{against}")
    print(table(record["metrics"]))
    with files.write_errors(out):
        files.write_text(out, json.dumps(record, indent=2) + "\n")
    print(f"written to {out}")
    return 0


def table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Lines of metric, value, spread, floor, ceiling, aligned; a dash where there is none."""
    rows = [["metric", "value", "spread", "", "floor", "ceiling"]]
    for name, entry in metrics.items():
        numbers = [entry[key] for key in ("value", "spread", "floor", "ceiling")]
        value, spread, floor, ceiling = ("-" if number is None else f"{number:.4g}" for number in numbers)
        of = "" if entry["spread"] is None else entry["spread_of"]
        rows.append([name, value, spread, of, floor, ceiling])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in (0, 3) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _parser(lab: Lab) -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog=lab.command("evaluate"),
        description="Measures samples of a trained run against its data's test set: prints a table, and writes it as\n"
        "JSON beside the run. Value and spread are mean and standard deviation over independent sets of samples, or\n"
        "the metric and its own standard error. Floor and ceiling are what real data scores in place of samples.",
        epilog="metrics:\n" + cli.listed((name, measure.what) for name, measure in MEASURES.items()),
    )
    add = parser.add_argument
    add("run", type=cli.path, metavar="RUN", help="directory of a run, such as runs/wgan/001")
    add(
        "--n",
        type=cli.reader(integer(10)),
        metavar="N",
        help="samples per set (default: as published, 10000 of images, 26000 of stacked, 2500 of points)",
    )
    add("--sets", type=cli.reader(integer(1)), default=5, metavar="K", help="sets (default: 5)")
    add("--metrics", type=cli.reader(several(*MEASURES)), metavar="A,B", help="which (default: all that fit the run)")
    add("--best", action="store_true", help="the best checkpoint that run --track kept, not the last")
    add("--seed", type=cli.reader(integer(0)), default=0, metavar="S", help="seed (default: 0)")
    add(
        "--classifier",
        metavar="NAME",
        help="mnist, fashion_mnist, or a file of the command classifier (default: the one of the run's data)",
    )
    add("--out", type=cli.path, metavar="FILE", help="where the JSON goes (default: RUN/evaluation.json)")
    return parser
