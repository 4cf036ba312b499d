"""Arrays of the wrong kind: every metric says so from their dtype and shape, also where it is compiled."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import toys
from gan_jax.metrics import classify, features, frechet, kernel, modes, parzen, prdc, wasserstein
from gan_jax.nets.classifier import Classifier
from tests.helpers import few, jit, untyped

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
ROWS = RNG.random((20, 6)).astype(np.float32)
IMAGES = RNG.integers(0, 256, (20, 8, 8, 1)).astype(np.uint8)
LABELS = np.arange(20) % 3
LOGITS = RNG.random((20, 3)).astype(np.float32)
NET = Classifier(3, width=2, hidden=4)


@pytest.fixture(autouse=True)
def _as_users_call() -> Iterator[None]:
    with untyped():
        yield


def train(images: Any, labels: Any) -> Any:
    return classify.train_classifier(NET, KEY, images, labels, steps=1, batch_size=2)


def gan_train(images: Any, labels: Any) -> Any:
    return classify.gan_train(NET, KEY, images, labels, IMAGES, LABELS, steps=1)


def gan_train_on(images: Any, labels: Any) -> Any:
    return classify.gan_train(NET, KEY, IMAGES, LABELS, images, labels, steps=1)


# Metrics of samples [N, D], by what takes one array of them.
OF_ROWS: dict[str, Callable[[Any], Any]] = {
    "frechet": frechet.moments,
    "kernel": lambda x: kernel.distance(x, ROWS, 5),
    "kernel of": lambda x: kernel.distance(ROWS, x, 5),
    "mmd2": lambda x: kernel.mmd2(x, ROWS),
    "prdc": lambda x: prdc.prdc(ROWS, x, 2),
    "prdc of": lambda x: prdc.prdc(x, ROWS, 2),
    "parzen": lambda x: parzen.protocol(x, ROWS, ROWS),
    "parzen validation": lambda x: parzen.protocol(ROWS, x, ROWS),
    "parzen test": lambda x: parzen.protocol(ROWS, ROWS, x),
    "log-likelihoods": lambda x: parzen.log_likelihoods(x, ROWS, 0.2),
    "sigma": lambda x: parzen.choose_sigma(ROWS, x),
    "kmeans": lambda x: parzen.kmeans(KEY, x, 2),
    "sliced": lambda x: wasserstein.sliced(KEY, x, ROWS, 4),
}
WIDTH_IS_FREE = {"frechet", "kmeans"}
BAD_ROWS = {
    "bytes": (255 * ROWS).astype(np.uint8),
    "integers": np.ones((20, 6), np.int64),
    "one axis": ROWS[:, 0],
    "images": ROWS.reshape(20, 6, 1, 1),
    "none": ROWS[:0],
    "another width": ROWS[:, :5],
}


def refused(f: Callable[..., Any], *args: Any, match: str) -> None:
    """Eagerly and compiled alike; with `eval_shape`, as nothing is to be computed."""
    with pytest.raises(ValueError, match=match):
        f(*args)
    with pytest.raises(ValueError, match=match):
        jax.eval_shape(f, *(jnp.asarray(x) for x in args))


@pytest.mark.parametrize(
    ("metric", "bad"), [(m, b) for m in OF_ROWS for b in BAD_ROWS if b != "another width" or m not in WIDTH_IS_FREE]
)
def test_samples_of_the_wrong_kind(metric: str, bad: str) -> None:
    message = "equally wide" if bad == "another width" else r"samples must be float \[N, D\]"
    refused(OF_ROWS[metric], BAD_ROWS[bad], match=message)


@pytest.mark.parametrize("metric", OF_ROWS)
@pytest.mark.parametrize("dtype", few([np.float16, jnp.bfloat16, np.float64], np.float16))
def test_floats_of_any_precision_are_computed_in_float32(metric: str, dtype: Any) -> None:
    narrow = np.asarray(jnp.asarray(ROWS).astype(dtype) if dtype != np.float64 else ROWS.astype(dtype))
    # Operation by operation: inside one program XLA may keep more bits than the type of a step has.
    found, expected = (OF_ROWS[metric](x) for x in (narrow, narrow.astype(np.float32)))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype("float32")}


@pytest.mark.parametrize("metric", OF_ROWS)
def test_samples_are_computed_in_float32_where_jax_knows_float64(metric: str) -> None:
    with jax.enable_x64(True):
        jax.eval_shape(OF_ROWS[metric], jnp.asarray(ROWS, jnp.float64))


@pytest.mark.parametrize("x", [ROWS, np.arange(3), ROWS[:0, 0]], ids=["two axes", "integers", "none"])
def test_numbers_on_the_line_of_the_wrong_kind(x: np.ndarray) -> None:
    refused(lambda x: wasserstein.distance(x, ROWS[:, 0]), x, match=r"samples must be float \[N\]")
    refused(lambda x: wasserstein.distance(ROWS[:, 0], x), x, match=r"samples must be float \[N\]")


BAD_IMAGES = {
    "floats": IMAGES / np.float32(255),
    "integers": IMAGES.astype(np.int32),
    "no channels": IMAGES[..., 0],
    "none": IMAGES[:0],
}
OF_IMAGES: dict[str, Callable[[Any], Any]] = {
    "features": lambda x: features.load("mnist").features(x),
    "logits": lambda x: features.load("mnist").logits(x),
    "train_classifier": lambda x: train(x, LABELS),
    "gan_train": lambda x: gan_train(x, LABELS),
    "gan_train test": lambda x: gan_train_on(x, LABELS),
    "stacked": lambda x: modes.stacked_labels(lambda digits: LOGITS, x),
}


@pytest.mark.parametrize("bad", BAD_IMAGES)
@pytest.mark.parametrize("metric", OF_IMAGES)
def test_images_of_the_wrong_kind(metric: str, bad: str) -> None:
    refused(OF_IMAGES[metric], BAD_IMAGES[bad], match=r"images must be uint8 \[N, H, W, C\]")


def test_images_of_other_sizes_or_channels() -> None:
    refused(lambda x: gan_train_on(x, LABELS), np.repeat(IMAGES, 3, -1), match="generated images are")
    refused(lambda x: modes.stacked_labels(lambda digits: LOGITS, x), IMAGES, match="three channels")
    refused(lambda x: parzen.blur(x, 1.0), IMAGES, match=r"float \[N, D, D, D\]")
    with pytest.raises(ValueError, match="not empty"):
        features.in_pieces(features.load("mnist").features, np.zeros((0, 28, 28, 1), np.uint8))


BAD_LABELS = {"a column": LABELS[:, None], "floats": LABELS.astype(np.float32), "too few": LABELS[:-1]}
OF_LABELS: dict[str, Callable[[Any], Any]] = {
    "gan_test": lambda y: classify.gan_test(LOGITS, y),
    "train_classifier": lambda y: train(IMAGES, y),
    "gan_train": lambda y: gan_train(IMAGES, y),
    "gan_train test": lambda y: gan_train_on(IMAGES, y),
}


@pytest.mark.parametrize("bad", BAD_LABELS)
@pytest.mark.parametrize("metric", OF_LABELS)
def test_labels_of_the_wrong_kind(metric: str, bad: str) -> None:
    refused(OF_LABELS[metric], BAD_LABELS[bad], match=r"labels must be integers \[20\]")


@pytest.mark.parametrize("metric", OF_LABELS)
def test_labels_of_no_class_are_seen_where_they_are_not_traced(metric: str) -> None:
    with pytest.raises(ValueError, match="classes 0 to 2, got 1 to 3"):
        OF_LABELS[metric](LABELS + 1)


def test_moments_of_other_features_or_of_one_sample() -> None:
    with pytest.raises(ValueError, match="moments of the same features"):
        frechet.distance(frechet.moments(ROWS), frechet.moments(ROWS[:, :5]))
    with pytest.raises(ValueError, match="at least two"):
        frechet.moments(ROWS[:1])


def test_points_and_counts_of_the_wrong_kind() -> None:
    points = np.zeros((5, 2), np.float32)
    for bad in (points[:, :1], points[:, 0], points.astype(np.int32), np.zeros((5, 3), np.float32)):
        refused(lambda x: modes.quality(x, toys.RING), bad, match=r"float|equally wide")
    refused(modes.coverage, np.ones((3, 1)), match=r"counts must be \[K\]")


@pytest.mark.parametrize("k", [0, 21])
def test_numbers_of_centres_that_can_not_be(k: int) -> None:
    with pytest.raises(ValueError, match="20 points have between 1 and 20 centres"):
        parzen.kmeans(KEY, ROWS, k)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_pixels_from_minus_one_to_one_are_seen_where_they_are_not_traced(shift: float) -> None:
    wrong = 2 * ROWS - 1 + shift * (2 - ROWS)
    for arguments in ((wrong, ROWS, ROWS), (ROWS, wrong, ROWS), (ROWS, ROWS, wrong)):
        with pytest.raises(ValueError, match=r"pixels are in \[0, 1\]"):
            parzen.protocol(*arguments)


WITH_NAN = np.where(np.arange(6) == 2, np.where(np.arange(20)[:, None] == 7, np.nan, ROWS), ROWS).astype(np.float32)


@pytest.mark.parametrize("metric", OF_ROWS)
def test_not_a_number_is_none_of_the_scores(metric: str) -> None:
    found = jax.jit(OF_ROWS[metric])(WITH_NAN)
    found = (found.mean, found.scatter) if metric == "frechet" else found
    found = (found.mean, found.error) if metric == "parzen test" else found  # The validation set chooses sigma.
    assert all(np.isnan(leaf).any() for leaf in jax.tree.leaves(found))


def test_not_a_number_is_no_share_of_images_read_and_no_quality() -> None:
    logits = jnp.full((4, 3), jnp.nan)
    assert np.isnan(classify.gan_test(logits, jnp.zeros(4, jnp.int32)))
    assert np.isnan(classify.gan_test(jnp.asarray(LOGITS).at[3, 1].set(jnp.nan), jnp.asarray(LABELS)))
    points = toys.RING.centres.astype(np.float32)
    points[0, 1] = np.nan
    found = jit(lambda points: modes.quality(points, toys.RING))(points)
    assert np.isnan([found.high_quality, found.kl, found.sigma_ratio]).all()


def test_moments_of_few_distinct_samples_are_good_to_a_percent() -> None:
    """What the docstring says of covariances without full rank; the truth in float64 by the samples' own products."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((64, 64)) * np.logspace(0, -3, 64)
    real = np.maximum(rng.standard_normal((500, 64)) @ mixing, 0).astype(np.float32)
    collapsed = np.maximum(rng.standard_normal((5, 64)) @ mixing, 0).astype(np.float32).repeat(100, axis=0)
    a, b = (x.astype(np.float64) - x.astype(np.float64).mean(0) for x in (real, collapsed))
    # tr (A B)^(1/2) is the sum of the singular values of a b^T.
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    means = np.sum((real.mean(0, dtype=np.float64) - collapsed.mean(0, dtype=np.float64)) ** 2)
    truth = means + (np.sum(a**2) + np.sum(b**2) - 2 * shared) / 499
    found = frechet.distance(frechet.moments(real), frechet.moments(collapsed))
    assert float(found) == pytest.approx(truth, rel=0.01)
