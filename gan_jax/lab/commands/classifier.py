"""Train a classifier that metrics take features and labels from."""

import argparse
import shlex

import jax
import jax.numpy as jnp

from gan_jax import data
from gan_jax.compiling import jit_training
from gan_jax.errors import InputError
from gan_jax.lab import cli, files
from gan_jax.lab.cli import Lab
from gan_jax.lab.options import integer
from gan_jax.metrics import classify, features
from gan_jax.nets.classifier import Classifier


def main(lab: Lab, argv: list[str]) -> int:
    """Parses, trains, tests what was written, and returns 0."""
    parser = _parser(lab)
    options = parser.parse_args(argv)
    if options.out.suffix != ".npz":
        parser.error(f"--out must end in .npz, got {options.out}")
    cli.start_jax()
    dataset, test = data.load(options.data), data.load(options.data, "test")
    if not dataset.is_image or dataset.labels is None or test.labels is None:
        raise InputError(f"{options.data} has no labelled images: choose data that has, such as mnist or idx:DIR")
    files.check_parent(options.out)
    net = Classifier(dataset.num_classes)
    train = jit_training(classify.train_classifier)
    x, y = jnp.asarray(dataset.x), jnp.asarray(dataset.labels)
    params, losses = train(net, jax.random.key(options.seed), x, y, steps=options.steps)
    # Rounded to what is stored before it is tested: the accuracy is that of the file.
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float16).astype(jnp.float32), params)
    logits = features.in_pieces(features.trained(net, params).logits, test.x)
    accuracy = float(classify.gan_test(jnp.asarray(logits), jnp.asarray(test.labels)))
    record = {
        "data": dataset.name,
        "shape": list(dataset.shape),
        "fingerprint": features.fingerprint(dataset),
        "command": " ".join([lab.command("classifier"), shlex.join(argv)]),
        "seed": options.seed,
        "steps": options.steps,
        "test_accuracy": accuracy,
    }
    with files.write_errors(options.out):
        features.save(options.out, net, params, record)
    print(f"test accuracy {accuracy:.4f}, loss at the end {float(losses[-100:].mean()):.4f}: {options.out}")
    return 0


def _parser(lab: Lab) -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog=lab.command("classifier"),
        description="Trains a small convolutional classifier, for metrics: its features and its labels of images.",
    )
    add = parser.add_argument
    add("data", metavar="DATA", help="labelled images, as --data of run has them")
    add("--out", type=cli.path, required=True, metavar="FILE", help="FILE.npz")
    add("--steps", type=cli.reader(integer(1)), default=8000, metavar="N", help="updates of 128 images (default: 8000)")
    add("--seed", type=cli.reader(integer(0)), default=0, metavar="S", help="seed (default: 0)")
    return parser
