"""Train a classifier for metrics to take features and labels from: python -m experiments.classifier DATA --out FILE."""

import argparse
import shlex
from pathlib import Path

from experiments import cli
from experiments.configs import whole


def main(argv: list[str]) -> int:
    """Parses, trains, tests what was written, and returns 0."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.out.suffix != ".npz":
        parser.error(f"--out must end in .npz, got {options.out}")

    cli.start_jax()
    import jax
    import jax.numpy as jnp

    from gan_jax import data
    from gan_jax.errors import InputError
    from gan_jax.metrics import classify, features
    from gan_jax.nets.classifier import Classifier

    dataset, test = data.load(options.data), data.load(options.data, "test")
    if not dataset.is_image or dataset.labels is None or test.labels is None:
        raise InputError(f"{options.data} has no labelled images: name data that has, as mnist or idx:DIR")
    if not options.out.parent.is_dir():
        raise InputError(f"there is no directory {options.out.parent}: make it, or name another --out")
    net = Classifier(dataset.num_classes)
    train = jax.jit(classify.train, static_argnums=(0, 4))
    x, y = jnp.asarray(dataset.x), jnp.asarray(dataset.labels)
    params, losses = train(net, jax.random.key(options.seed), x, y, options.steps)
    # Rounded to what is stored before it is tested: the accuracy is that of the file.
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float16).astype(jnp.float32), params)
    logits = features.in_pieces(features.trained(net, params).logits, test.x)
    accuracy = float(classify.gan_test(jnp.asarray(logits), jnp.asarray(test.labels)))
    record = {
        "data": dataset.name,
        "shape": list(dataset.shape),
        "fingerprint": features.fingerprint(dataset),
        "command": shlex.join(["python", "-m", "experiments.classifier", *argv]),
        "seed": options.seed,
        "steps": options.steps,
        "test_accuracy": accuracy,
    }
    try:
        features.save(options.out, net, params, record)
    except OSError as error:
        raise InputError(f"{options.out} can't be written ({error.strerror}): name another --out") from error
    print(f"test accuracy {accuracy:.4f}, loss at the end {float(losses[-100:].mean()):.4f}: {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="python -m experiments.classifier",
        description="Trains a small convolutional classifier, for metrics: its features and its labels of images.",
    )
    parser.add_argument("data", metavar="DATA", help="labelled images: mnist, idx:DIR, npz:FILE, folder:DIR, tfds:NAME")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="FILE.npz")
    parser.add_argument(
        "--steps", type=cli.reader(whole(1)), default=8000, metavar="N", help="updates of 128 images (default: 8000)"
    )
    parser.add_argument("--seed", type=cli.reader(whole(0)), default=0, metavar="S", help="seed (default: 0)")
    return parser


if __name__ == "__main__":
    cli.main(main)
