"""Bring images to one size, in arrays that are read as they are drawn."""

import argparse
from pathlib import Path

from gan_jax.data import finding, preparing
from gan_jax.data.classes import described
from gan_jax.data.prepared import Record
from gan_jax.errors import InputError
from gan_jax.lab import cli, devices, files
from gan_jax.lab.cli import Lab
from gan_jax.lab.options import choice, integer, real
from gan_jax.lab.progress import Progress
from gan_jax.lab.signals import leave_at_once, stop_signals


def main(lab: Lab, argv: list[str]) -> int:
    """Prepares, or goes on; returns 0, or 128 + signal where it was stopped."""
    options = _parser(lab).parse_args(argv)
    again = lab.command("prepare", *argv)
    how = preparing.Options(options.size, options.crop, options.channels, options.test_share)
    before = "stopped before anything was prepared"
    with leave_at_once(before), Progress(0, what="prepare") as bar, bar.doing("listing the images"):
        found = finding.find(options.source)
    kind, _, place = found.spec.partition(":")
    if kind == "folder" and options.out.resolve().is_relative_to(Path(place).resolve()):
        raise InputError(
            f"--out {options.out} lies inside {place}, where it would pass for data: choose a place outside"
        )
    with files.write_errors(options.out):
        options.out.mkdir(parents=True, exist_ok=True)
    with (
        files.lock(options.out),
        stop_signals("stopping after the images that are read now") as received,
        Progress(len(found), unit="image", what="prepare") as bar,
    ):
        counted: int | None = None

        def report(done: int) -> None:
            nonlocal counted
            if counted is None:
                bar.skip(done)  # What was done before is in no rate.
            else:
                bar.advance(done - counted)
            counted = done

        record = preparing.prepare(
            found,
            how,
            options.out,
            workers=options.workers,
            strict=options.strict,
            report=report,
            stopped=lambda: bool(received),
        )
    if record is None:
        print(f"stopped after {counted} of {len(found)} images; continue with: {again}")
        return 128 + received[0]
    for note in record.notes:
        print(note)
    print(_summary(record))
    print(f"see {options.out}; next: {lab.command('run', 'dcgan', '--data', f'prepared:{options.out}')}")
    return 0


def _summary(record: Record) -> str:
    counts = {"train": "training", "test": "test"}
    parts = [f"{part.count:,} {counts[split]}" for split, part in record.splits.items()]
    left_out = f", {len(record.left_out):,} left out" if record.left_out else ""
    classes = f", classes {described(record.classes)}" if record.classes else ""
    return f"{' and '.join(parts)} images of {' x '.join(map(str, record.shape))}{classes}{left_out}"


def _size(text: str) -> tuple[int, int]:
    height, x, width = text.partition("x")
    side = integer(1, 2**14)
    return side(height), side(width if x else height)


def _parser(lab: Lab) -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog=lab.command("prepare"),
        description="Brings images of any size, format and orientation to one size, as arrays that runs read while\n"
        "they train: --data prepared:DIR takes them, and they may be larger than memory. Stopped in any way,\n"
        "the same command goes on. Files that can't be read are named and left out.\n\n"
        "SOURCE is a folder (sub-folders become labels, train/ beside test/ splits), a .zip of one,\n"
        "tfds:NAME, idx:DIR or npz:FILE.",
    )
    add = parser.add_argument
    add("source", metavar="SOURCE", help="folder, .zip, tfds:NAME, idx:DIR or npz:FILE")
    add("--size", type=cli.reader(_size), required=True, metavar="N|HxW", help="height and width in pixels")
    add("--out", type=cli.path, required=True, metavar="DIR", help="directory of the arrays")
    add(
        "--crop",
        type=cli.reader(choice("center", "none")),
        default="center",
        metavar="center|none",
        help="center: cut to the shape of --size; none: squeeze the whole image into it (default: center)",
    )
    add(
        "--channels",
        type=cli.reader(lambda text: int(choice("1", "3")(text))),
        metavar="1|3",
        help="grey or RGB (default: grey where all training images are stored as grey)",
    )
    add(
        "--test-share",
        type=cli.reader(real(0.0, 1.0)),
        default=0.0,
        metavar="S",
        help="the share of each class that is set aside as a test split, the same images each time (default: 0)",
    )
    add("--strict", action="store_true", help="stop at the first file that can't be read")
    add(
        "--workers",
        type=cli.reader(integer(1, 1024)),
        default=devices.cores(),
        metavar="N",
        help="images read at a time (default: one per core); changes no byte",
    )
    return parser
