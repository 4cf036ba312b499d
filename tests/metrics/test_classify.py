import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.compiling import jit_training
from gan_jax.metrics import classify
from gan_jax.nets.classifier import Classifier
from tests.helpers import assert_close, jit, optimised


def _bars(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images of three classes: a bright row at the top, in the middle, below."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n).astype(np.int32)
    images = rng.integers(0, 50, (n, 12, 8, 1))
    images[np.arange(n), 1 + 4 * labels] += 200
    return images.astype(np.uint8), labels


@pytest.mark.slow
def test_gan_train_sees_missing_classes_and_gan_test_wrong_ones() -> None:
    net = Classifier(3, width=8, hidden=16)
    images, labels = _bars(0, 300)
    test_images, test_labels = _bars(1, 301)
    with optimised():
        run = jit_training(classify.gan_train)
    whole = run(net, jax.random.key(0), images, labels, test_images, test_labels, steps=100)
    assert float(whole) > 0.95
    # A generator that gives the first class for the last one as well.
    collapsed = np.where((labels == 2)[:, None, None, None], images[labels == 0][0], images)
    partial = run(net, jax.random.key(0), collapsed, labels, test_images, test_labels, steps=100)
    assert float(partial) < 0.8


def test_gan_test_is_the_share_read_as_asked() -> None:
    logits = jnp.array([[0.0, 1.0], [2.0, 1.0], [0.0, 5.0], [0.0, -1.0]])
    assert float(classify.gan_test(logits, jnp.array([1, 0, 0, 0]))) == 0.75


def test_training_is_a_function_of_its_key() -> None:
    net = Classifier(3, width=4, hidden=8)
    images, labels = _bars(0, 50)
    run = jit(classify.train_classifier, static_argnames=("net", "steps", "batch_size"))
    first, again, other = (run(net, jax.random.key(k), images, labels, steps=5, batch_size=10)[1] for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (5,)


def test_steps_by_hand_are_the_training() -> None:
    net, key = Classifier(3, width=4, hidden=8), jax.random.key(3)
    images, labels = _bars(0, 50)
    run = jit(classify.train_classifier, static_argnames=("net", "steps", "batch_size"))
    params, losses = run(net, key, images, labels, steps=6, batch_size=10)
    rate = optax.warmup_cosine_decay_schedule(0.0, classify.PEAK_RATE, 6 // 20, 6)
    step = jit(classify.classifier_step, static_argnames=("net", "batch_size"))
    learning = jit(classify.fresh_classifier, static_argnums=0)(net, key, images)
    for k in range(6):
        learning, loss = step(net, learning, key, images, labels, rate(k), batch_size=10)
        assert float(loss) == pytest.approx(float(losses[k]), rel=1e-4)
    assert int(learning.step) == 6
    assert_close(learning.params, params, rtol=1e-3, atol=1e-5)


def test_a_step_on_tags_follows_the_sum_of_their_cross_entropies() -> None:
    """Of pictures that stay where they are: a tag may be a place."""
    net, rng = Classifier(3, width=2, hidden=4), jax.random.key(0)
    images = jnp.full((1, 8, 8, 1), 200, jnp.uint8)
    tags = jnp.array([[1.0, 0.0, 1.0]])
    learning = classify.fresh_classifier(net, rng, images)
    _, loss = jit(classify.classifier_step, static_argnums=0)(net, learning, rng, images, tags, 0.1)
    p = jax.nn.sigmoid(net.apply({"params": learning.params}, images / 255)[1])
    expected = -jnp.log(p) @ tags[0] - jnp.log(1 - p) @ (1 - tags[0])
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)
