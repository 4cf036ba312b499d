"""Train a classifier that metrics take features and labels from."""

import argparse
import shlex
import time

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import data
from gan_jax.data import Dataset
from gan_jax.data.dataset import most_in_memory
from gan_jax.errors import InputError
from gan_jax.lab import cli, files
from gan_jax.lab.cli import Lab
from gan_jax.lab.measuring import classifiers
from gan_jax.lab.options import integer
from gan_jax.lab.progress import Progress, counted
from gan_jax.lab.signals import leave_at_once
from gan_jax.metrics import classify, features
from gan_jax.nets.classifier import Classifier


def main(lab: Lab, argv: list[str]) -> int:
    """Parses, trains, tests what was written, and returns 0."""
    parser = _parser(lab)
    options = parser.parse_args(argv)
    if options.out.suffix != ".npz":
        parser.error(f"--out must end in .npz, got {options.out}")
    cli.start_jax()
    with leave_at_once("stopped: no file was written"):
        return _train(lab, options, argv)


def _train(lab: Lab, options: argparse.Namespace, argv: list[str]) -> int:
    with Progress(0, what=f"classifier {options.data}") as bar, bar.doing("reading the data"):
        dataset, test = data.load(options.data), data.load(options.data, "test")
    if not dataset.is_image or dataset.labels is None or test.labels is None:
        raise InputError(f"{options.data} has no labelled images: choose data that has, such as mnist or idx:DIR")
    if dataset.shape != test.shape:
        raise InputError(
            f"{options.data} has training images of {list(dataset.shape)} and test images of {list(test.shape)}: make "
            "them alike"
        )
    if len(np.unique(dataset.labels)) < 2:
        raise InputError(f"all images of {options.data} are of one class: a classifier needs two")
    files.check_writable(options.out)
    net, rng = Classifier(dataset.num_classes), jax.random.key(options.seed)
    fingerprint, has_test = features.fingerprint(dataset), test.fingerprint != dataset.fingerprint
    name, count = dataset.name, len(dataset)
    dataset, test = _in_memory(dataset, options.seed), _in_memory(test, options.seed)
    if len(dataset) < count:
        print(f"{name}: learns from {len(dataset):,} of {count:,} images, which memory holds")
    started = time.perf_counter()
    total = options.steps or classifiers.most_steps(len(dataset))
    with Progress(total, what=f"classifier {options.data}") as progress:
        if options.steps is None:
            learned = classifiers.learn(net, dataset, rng, progress)
        else:
            learned = classifiers.learn_all(net, dataset, rng, options.steps, progress)
    if not has_test and learned.held_out is not None:
        test = learned.held_out
    # Rounded to what is stored before it is tested: the accuracy is that of the file.
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float16).astype(jnp.float32), learned.params)
    logits = features.in_pieces(features.trained(net, params).logits, test.x)
    accuracy = float(classify.gan_test(jnp.asarray(logits), jnp.asarray(test.labels)))
    record = {
        "data": dataset.name,
        "shape": list(dataset.shape),
        "fingerprint": fingerprint,
        "command": " ".join([lab.command("classifier"), shlex.join(argv)]),
        "seed": options.seed,
        "steps": learned.steps,
        "seconds": time.perf_counter() - started,
        "test_accuracy": accuracy,
        "held_out": has_test or learned.held_out is not None,
    }
    with files.write_errors(options.out):
        features.save(options.out, net, params, record)
    of = "test" if has_test else "training" if learned.held_out is None else "held-out training"
    tested = counted(len(test), f"{of} image")
    print(f"{counted(learned.steps, 'step')}, accuracy {accuracy:.4f} on {tested}: {options.out}")
    return 0


def _in_memory(dataset: Dataset, seed: int) -> Dataset:
    """The data, or a random part of memory-mapped data."""
    if not isinstance(dataset.x, np.memmap):
        return dataset
    order = np.random.default_rng(seed).permutation(len(dataset))
    return dataset.take(np.sort(order[: most_in_memory(dataset)]))


def _parser(lab: Lab) -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog=lab.command("classifier"),
        description="Trains a small convolutional classifier, for metrics: its features and its labels of images.\n"
        "It learns until the accuracy on a held-out tenth of the training images stops rising.",
    )
    add = parser.add_argument
    add("data", metavar="DATA", help="labelled images, as --data of run has them")
    add("--out", type=cli.path, required=True, metavar="FILE", help="FILE.npz")
    add(
        "--steps",
        type=cli.reader(integer(1)),
        metavar="N",
        help="so many updates of 128 images, nothing held out (default: as many as accuracy rises, at most 17 epochs)",
    )
    add("--seed", type=cli.reader(integer(0, 2**32 - 1)), default=0, metavar="S", help="seed (default: 0)")
    return parser
