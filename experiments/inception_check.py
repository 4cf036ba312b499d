"""Check Inception against torch-fidelity: python -m experiments.inception_check [--python FILE].

torch-fidelity's network gets random weights, which are saved as the usual file is, read by `gan_jax.metrics.inception`,
and both networks are given the same images: small, large, grey and oblong ones. Every feature, the resized images and
the distance of two sets of features must agree. PyTorch and torch-fidelity may be in an environment of their own:

    python -m venv oracle && oracle/bin/pip install torch torch-fidelity
    python -m experiments.inception_check --python oracle/bin/python
"""

import argparse
import functools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.errors import InputError
from gan_jax.lab import cli
from gan_jax.metrics import frechet, inception

MOST = 1e-3
"""The largest difference that passes, as a share of the largest number of that kind."""

_SHAPES = ((28, 28, 1), (32, 32, 3), (48, 64, 3), (299, 299, 3), (400, 310, 3))
_PEER = Path(__file__).with_name("inception_peer.py")


def main(argv: list[str]) -> int:
    """Prints a line for every comparison; returns 0, or 1 if one of them differs by more."""
    parser = cli.Parser(prog="python -m experiments.inception_check", description=__doc__)
    parser.add_argument(
        "--python",
        type=cli.path,
        default=Path(sys.executable),
        metavar="FILE",
        help="an interpreter that has torch and torch-fidelity (default: this one)",
    )
    return _checked(parser.parse_args(argv))


def _checked(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        asked = _asked()
        np.savez(directory / "asked.npz", allow_pickle=False, **asked)
        try:
            subprocess.run([options.python, _PEER, directory], check=True, stderr=subprocess.PIPE, text=True)
        except OSError as error:
            raise InputError(f"{options.python} can't be run ({error.strerror}): choose another --python") from error
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise InputError(
                f"{options.python} could not compute its side ({last}): pip install torch torch-fidelity there, or "
                "choose another --python"
            ) from error
        with np.load(directory / "found.npz") as arrays:
            theirs = dict(arrays)
        ours = dict(_ours(asked, directory))
    print(f"{theirs.pop('versions')}, {jax.devices()[0].device_kind}; largest difference, of the largest number")
    worst = 0.0
    for key, value in theirs.items():
        difference = float(np.max(np.abs(ours[key] - value)) / np.max(np.abs(value)))
        worst = max(worst, difference if np.isfinite(difference) else np.inf)
        print(f"{key:<24} {difference:.1e}")
    print(f"{'passed' if worst < MOST else 'FAILED'}: {worst:.1e}, and {MOST:.0e} is allowed")
    return 0 if worst < MOST else 1


def _asked() -> dict[str, np.ndarray]:
    """Images of every kind, noise over a ramp; and features whose distance is asked for."""
    rng, asked = np.random.default_rng(0), {}
    for height, width, channels in _SHAPES:
        ramp = np.linspace(0, 160, width)[None, None, :, None]
        images = ramp + rng.integers(0, 96, (2, height, width, channels))
        asked[f"images {height}x{width}x{channels}"] = images.astype(np.uint8)
    mixing = rng.normal(size=(256, 256)) / 16
    return asked | {key: rng.gamma(shape, 1.0, (3000, 256)) @ mixing for key, shape in (("real", 1), ("fake", 1.25))}


def _ours(asked: dict[str, np.ndarray], directory: Path) -> Iterator[tuple[str, Any]]:
    params, old = (inception.parameters(directory / name) for name in ("weights.pth", "weights_old.pth"))
    jax.tree.map(np.testing.assert_array_equal, params, old)
    compute = functools.partial(jax.jit(inception.computed), params)
    for name, images in asked.items():
        if not name.startswith("images"):
            continue
        yield f"{name}/resized", np.asarray(inception.prepared(jnp.asarray(images))) * 128 + 128
        for key, value in compute(images).items():
            yield f"{name}/{key}", np.asarray(value)
    real, fake = (frechet.moments(jnp.asarray(asked[key], jnp.float32)) for key in ("real", "fake"))
    yield "distance", np.asarray(frechet.distance(real, fake))


if __name__ == "__main__":
    cli.guarded("inception_check", lambda: main(sys.argv[1:]))
