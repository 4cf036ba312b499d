"""Show a run, several runs, or a sweep as one file for a browser."""

import argparse
from pathlib import Path

from gan_jax.lab import cli, files
from gan_jax.lab.cli import Lab
from gan_jax.lab.progress import Progress
from gan_jax.lab.signals import leave_at_once


def main(lab: Lab, argv: list[str]) -> int:
    """Parses, reads, writes the report, prints the verdicts; returns 0."""
    options = _parser(lab).parse_args(argv)
    cli.start_jax()
    from gan_jax.lab.report import data, page  # Not earlier: what they load starts JAX.

    with leave_at_once("stopped: no file was written"), Progress(0, what="report") as bar, bar.doing("reading"):
        files.check_writable(options.out)
        found = data.of_paths(lab, options.paths)
        page.write(options.out, found)
    for run in found.get("runs", ()):
        print(f"{run['name']}: {run['verdict']['text']}")
    print(f"{options.out} ({options.out.stat().st_size / 1e6:.2g} MB): open it in a browser")
    return 0


def _parser(lab: Lab) -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog=lab.command("report"),
        description="A run, several runs beside each other, or a sweep as one HTML file, which asks for nothing else: "
        "curves, samples over the whole training, networks, metrics, and a verdict in words. Typed again while a run "
        "trains, it shows how far that is; run --report keeps one up to date.",
    )
    add = parser.add_argument
    add("paths", type=cli.path, nargs="+", metavar="RUN|SWEEP", help="directories of runs, or of one sweep")
    add("--out", type=cli.path, default=Path("report.html"), metavar="FILE", help="(default: report.html)")
    return parser
