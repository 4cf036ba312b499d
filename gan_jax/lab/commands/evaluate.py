"""Measure a run's samples."""

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

from gan_jax.lab import cli, files
from gan_jax.lab.cli import Lab
from gan_jax.lab.measuring import evaluation, measures
from gan_jax.lab.measuring.measures import MEASURES
from gan_jax.lab.measuring.reference import Reference
from gan_jax.lab.options import CLASSIFIER, integer, several
from gan_jax.lab.progress import Progress
from gan_jax.lab.runs import directory
from gan_jax.lab.signals import leave_at_once


def main(lab: Lab, argv: list[str]) -> int:
    """Parses, measures the run's newest checkpoint, prints rows and writes JSON as they come; returns 0."""
    options = _parser(lab).parse_args(argv)
    cli.start_jax()
    nothing = "stopped: nothing was measured yet"
    with leave_at_once(nothing), Progress(0, what="evaluate") as bar, bar.doing("reading run and data"):
        run = directory.load(options.run, lab.table)
        gan = run.job.gan()
        out = options.out or run.path / "evaluation.json"
        files.check_writable(out)
        reference = evaluation.reference_of(run.job, gan, options.classifier, features=options.features)
        chosen = options.metrics or measures.usual(reference)
        evaluation.check_fitting(run.job, reference, chosen)
        used = measures.features_used(reference, chosen, options.features)
        state = run.restore_best() if options.best else run.restore()
    n = options.n or evaluation.usual_count(reference)
    started = time.perf_counter()
    record = {
        "run": str(run.path),
        "step": int(state.step),
        "n": n,
        "n_real": min(n, reference.real_count),
        "held_out": reference.held_out,
        "seed": options.seed,
        "classifier": None if reference.classifier is None else dict(reference.classifier.record),
        "features": None if used is None or reference.source is None else dict(reference.source.record),
        "metrics": {},
        "complete": False,
        "seconds": 0.0,
    }
    against = "" if used is None else f", features of {used}"
    against += "" if reference.held_out else ", against the training data: there is no test split"
    drawn = evaluation.sets(gan, reference, state, n, jax.random.split(jax.random.key(options.seed), options.sets + 1))
    lines = _Lines([key for name in chosen for key in MEASURES[name].numbers])
    total = sum(1 if MEASURES[name].once else options.sets for name in chosen)
    with Progress(total, unit="measurement", what="evaluate") as progress:
        progress.say(f"{run.path} at step {int(state.step)}, {n} samples per set{against}")
        progress.say(lines.header)
        for k, name in enumerate(chosen):
            kept = f"{out} has the first {k} of {len(chosen)} metrics" if k else "nothing was measured yet"
            with leave_at_once(f"stopped: {kept}"):
                metrics = evaluation.measured(reference, name, drawn, progress)
            for key, entry in metrics.items():
                progress.say(lines.row(key, entry))
            record["metrics"] |= metrics
            record |= {"complete": name == chosen[-1], "seconds": time.perf_counter() - started}
            with files.write_errors(out):
                files.write_json(out, record)
    for note in _notes(reference, chosen, n, asked=options.metrics is not None):
        print(note)
    print(f"written to {out}")
    return 0


def _notes(reference: Reference, chosen: Sequence[str], n: int, *, asked: bool) -> Iterator[str]:
    """What a reader of the numbers should know."""
    if any(MEASURES[name].bounds is None for name in chosen):
        if reference.real_count < measures.FEWEST:
            yield "no floors and ceilings: there are too few training images for them"
        elif reference.real_count < n:
            yield f"floors and ceilings are of {reference.real_count} real examples each: there are no more"
    if reference.conditional and len(shares := reference.shares) and shares.max() > 2 * shares.min():
        yield (
            f"samples are of all classes equally often, and the test set has between {shares.min():.1%} and "
            f"{shares.max():.1%} of each: distances include that"
        )
    costly = [name for name in measures.fitting(reference) if name not in chosen]
    if costly and not asked:
        yield f"not measured, since they take long on such data: {', '.join(costly)} (ask for them with --metrics)"


class _Lines:
    """Lines of metric, value, spread, floor, ceiling, aligned before all are known; a dash where there is none."""

    def __init__(self, names: Sequence[str]) -> None:
        self._width = max(map(len, [*names, "metric"]))
        self.header = self._line("metric", "value", "spread", "", "floor", "ceiling")

    def row(self, name: str, entry: Mapping[str, Any]) -> str:
        """The line of a number."""
        value, spread, floor, ceiling = (_shown(entry[key]) for key in ("value", "spread", "floor", "ceiling"))
        return self._line(name, value, spread, "" if spread == "-" else entry["spread_of"], floor, ceiling)

    def _line(self, name: str, value: str, spread: str, of: str, floor: str, ceiling: str) -> str:
        return f"{name:<{self._width}}  {value:>9}  {spread:>9}  {of:<14}  {floor:>9}  {ceiling:>9}".rstrip()


def _shown(number: float | int | None) -> str:
    return "-" if number is None or not math.isfinite(number) else f"{number:.4g}"


def _parser(lab: Lab) -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog=lab.command("evaluate"),
        description="Measures samples of a trained run against its data's test set: prints a row for each number, and\n"
        "writes JSON beside the run, as they are measured. Value and spread are mean and standard deviation over\n"
        "independent sets of samples, or the metric and its own standard error. Floor and ceiling are what real data\n"
        "scores in place of samples; of images made from pictures (l1, psnr, ssim), what the best answer without\n"
        "learning scores: the mean training image, or the picture itself, enlarged or grey as it is.",
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
    add(
        "--metrics",
        type=cli.reader(several(*MEASURES)),
        metavar="A,B",
        help="which (default: those that fit the run and take a minute or two at most)",
    )
    add("--best", action="store_true", help="the best checkpoint that run --track kept, not the last")
    add("--seed", type=cli.reader(integer(0)), default=0, metavar="S", help="seed (default: 0)")
    add(
        "--classifier",
        type=cli.reader(CLASSIFIER),
        metavar="NAME|FILE",
        help="mnist, fashion_mnist, or a file of the command classifier (default: the run's, or the one of its data)",
    )
    cli.add_features(parser)
    add("--out", type=cli.path, metavar="FILE", help="where the JSON goes (default: RUN/evaluation.json)")
    return parser
