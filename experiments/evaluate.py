"""Measure a run's samples: python -m experiments.evaluate RUN [options]."""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import cli
from experiments.configs import METRICS, names, whole


def main(argv: list[str]) -> int:
    """Parses, measures the run's newest checkpoint, prints a table and writes JSON; returns 0."""
    options = _parser().parse_args(argv)

    cli.start_jax()
    import jax

    from experiments import measures, rundir
    from gan_jax.errors import InputError

    run = rundir.load(options.run)
    gan = run.gan()
    out = options.out or run.path / "evaluation.json"
    if not out.parent.is_dir():
        raise InputError(f"there is no directory {out.parent}: make it, or name another --out")
    reference = measures.reference(run, gan, options.classifier)
    chosen = options.metrics or measures.fitting(reference)
    measures.check_fitting(run, reference, chosen)
    state = run.restore_best(gan) if options.best else run.restore(gan)
    n = options.n or measures.usual_count(reference)
    draw = measures.drawer(gan, reference, n)
    started = time.perf_counter()
    *keys, bounds_rng = jax.random.split(jax.random.key(options.seed), options.sets + 1)
    scores: dict[str, list[measures.Value]] = {}
    for i, rng in enumerate(keys):
        samples = draw(state, rng)
        for name in chosen:
            if i == 0 or not measures.MEASURES[name].once:
                for key, score in measures.MEASURES[name].of(reference, samples).items():
                    scores.setdefault(key, []).append(score)
    bounds: dict[str, measures.Bounds] = {}
    for name in chosen:
        bounds |= measures.bounds(name, reference, n, bounds_rng)
    record = {
        "run": str(run.path),
        "step": int(state.step),
        "n": n,
        "held_out": reference.held_out,
        "seed": options.seed,
        "classifier": None if reference.classifier is None else dict(reference.classifier.record),
        "metrics": {
            key: measures.summary(values, bounds.get(key, measures.Bounds())) for key, values in scores.items()
        },
        "seconds": time.perf_counter() - started,
    }
    try:
        rundir.write_whole(out, json.dumps(record, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"{out} can't be written ({error.strerror}): name another --out") from error
    against = "" if reference.held_out else ", against the training data: there is no test split"
    print(f"{run.path} at step {int(state.step)}, {n} samples a set{against}")
    print(table(record["metrics"]))
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


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="python -m experiments.evaluate",
        description="Measures samples of a trained run against its data's test set: prints a table, and writes it as\n"
        "JSON beside the run. Value and spread are mean and standard deviation over independent sets of samples, or\n"
        "the metric and its own standard error. Floor and ceiling are what real data scores in place of samples.",
        epilog="metrics: frechet, kernel, prdc (precision, recall, density, coverage), gan_test and gan_train (runs\n"
        "conditioned on labels), parzen, parzen_blurred (of the samples convolved with a Gaussian of .7 pixels),\n"
        "parzen_kmeans (of k-means centres of the samples, one for every five), modes (ring and grid), stacked,\n"
        "sliced (points).",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a run, like runs/wgan/001")
    parser.add_argument(
        "--n",
        type=cli.reader(whole(10)),
        metavar="N",
        help="samples a set (default: as published, 10000 of images, 26000 of stacked, 2500 of points)",
    )
    parser.add_argument("--sets", type=cli.reader(whole(1)), default=5, metavar="K", help="sets (default: 5)")
    parser.add_argument(
        "--metrics", type=cli.reader(names(*METRICS)), metavar="A,B", help="which (default: all that fit the run)"
    )
    parser.add_argument("--best", action="store_true", help="the best checkpoint that run --track kept, not the last")
    parser.add_argument("--seed", type=cli.reader(whole(0)), default=0, metavar="S", help="seed (default: 0)")
    parser.add_argument(
        "--classifier",
        metavar="NAME",
        help="mnist, fashion_mnist, or a file of experiments.classifier (default: the one of the run's data)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON goes (default: RUN/evaluation.json)")
    return parser


if __name__ == "__main__":
    cli.main(main)
