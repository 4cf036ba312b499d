"""Hand a trained generator on, for programs without gan_jax."""

import argparse

from gan_jax import data
from gan_jax.errors import InputError
from gan_jax.lab import cli, files, sampling
from gan_jax.lab.cli import Lab
from gan_jax.lab.progress import Progress
from gan_jax.lab.runs import directory
from gan_jax.lab.signals import leave_at_once


def main(lab: Lab, argv: list[str]) -> int:
    """Parses, restores, writes the directory, says what is in it; returns 0."""
    options = _parser(lab).parse_args(argv)
    cli.start_jax()
    from gan_jax.lab import loading  # Not earlier: they load what starts JAX.
    from gan_jax.lab.exports import about
    from gan_jax.lab.exports import directory as exports

    stopped = f"stopped: {options.out} is not whole"
    with leave_at_once(stopped), Progress(0, what="export") as bar, bar.doing("exporting"):
        files.check_name(options.out)
        with files.write_errors(options.out):
            exports.check_vacant(options.out, overwrite=options.overwrite)
        found = loading.load(options.run, step=options.step, best=options.best, table=lab.table)
        job, gan, state = found.job, found.gan, found.state
        if found.record is None:
            run = directory.load(found.path, lab.table)
            made = about.of_run(lab, run, int(state.step), averaged=state.ema is not None)
        else:
            if options.out.exists() and options.out.samefile(found.path):
                raise InputError(f"{options.out} is the export itself: choose a different --out")
            made = {key: found.record[key] for key in about.KEYS}
        if gan.conditioning.kind == "data":
            job.check_data(data.load(job.spec))
        picture = sampling.shown(job, gan, state, print)
        with files.write_errors(options.out):
            exports.write(options.out, job, gan, state, made, picture)
    sizes = {path.name: path.stat().st_size for path in sorted(options.out.iterdir()) if path.name[0] != "."}
    listed = ", ".join(f"{name} ({size / 1e6:.2g} MB)" for name, size in sizes.items())
    print(f"{options.out} holds step {int(state.step)}: {listed}")
    print(f"read {options.out / 'README.md'}, the model card, and complete it before you hand it on")
    return 0


def _parser(lab: Lab) -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog=lab.command("export"),
        description="A trained generator as a directory that needs no gan_jax: a program for CPU, CUDA and TPU with a\n"
        "loader that needs only jax, the weights by name (safetensors), a model card, a picture. gan_jax.load reads\n"
        "it back, and run --from starts from it.",
    )
    add = parser.add_argument
    add("run", type=cli.path, metavar="RUN", help="directory of a run, a sweep or an export, or a model's name")
    add("--out", type=cli.path, required=True, metavar="DIR", help="directory of the export")
    cli.add_checkpoint(parser)
    add("--overwrite", action="store_true", help="replace the export in --out")
    return parser
