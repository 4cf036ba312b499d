"""GAN-train and GAN-test: a classifier trained on generated images, and generated images given to one of real images.

Shmelkov, Schmid, Alahari 2018, "How good is my GAN?", arXiv:1807.09499. (Lesort et al. 2018, arXiv:1806.11382, call the
first "fitting capacity".) GAN-train falls when classes or variety are missing; GAN-test falls when images are not of
the class that was asked for. GAN-test alone rewards collapse: report the two together, or beside recall and coverage.

The classifier is `gan_jax.nets.classifier.Classifier` in both, trained by `train_classifier`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int, UInt8

from gan_jax.checks import check_images, check_labels
from gan_jax.metrics.features import trained, unit
from gan_jax.metrics.rows import as_float, map_rows
from gan_jax.nets.classifier import Classifier
from gan_jax.typing import Key, Params

Images = UInt8[Array, "n height width channels"]
Labels = Int[Array, " n"]
Tags = Float[Array, "n tags"]

PEAK_RATE = 2e-3
"""The learning rate that classifiers are trained with, at its highest."""

_SHIFT = 2
_ADAM = optax.scale_by_adam()


class Learning(NamedTuple):
    """A classifier that learns.

    Attributes:
      params: its parameters.
      opt_state: Adam's running averages.
      step: updates so far.
    """

    params: Params
    opt_state: Any
    step: Int[Array, ""]


def train_classifier(
    net: Classifier, rng: Key, images: Images, labels: Labels | Tags, *, steps: int, batch_size: int = 128
) -> tuple[Params, Float[Array, " steps"]]:
    """Trains a classifier on the cross-entropy, by Adam.

    Minibatches are drawn uniformly, each image shifted by up to 2 pixels either way (edges filled with zeros); with
    tags, which may say where something lies, none is. The learning rate rises to 2e-3 in the first twentieth of the
    steps and falls to 0 along a cosine.

    Args:
      net: the classifier; static.
      rng: decides initialisation, minibatches and shifts.
      images: uint8 `[N, H, W, C]`.
      labels: int `[N]` in [0, net.num_classes); or tags, float `[N, net.num_classes]`, each 0 or 1, whose
        cross-entropies are added.
      steps: updates; static.
      batch_size: images per update; static.

    Returns:
      The parameters, and the loss of every step, nats `[steps]`.

    Raises:
      ValueError: images are not uint8 `[N, H, W, C]`, labels not integers `[N]` or tags, or (where known) not in range.
    """
    images, labels = jnp.asarray(images), jnp.asarray(labels)
    check_images(images)
    if labels.shape != (len(images), net.num_classes):
        check_labels(labels, images.shape[:1], net.num_classes)
    rate = optax.warmup_cosine_decay_schedule(0.0, PEAK_RATE, steps // 20, steps)

    def body(learning: Learning, _: None) -> tuple[Learning, Array]:
        return classifier_step(net, learning, rng, images, labels, rate(learning.step), batch_size=batch_size)

    learning, losses = lax.scan(body, fresh_classifier(net, rng, images), length=steps)
    return learning.params, losses


def fresh_classifier(net: Classifier, rng: Key, images: Images) -> Learning:
    """A classifier before its first update; of the images `[N, H, W, C]` only the shape matters."""
    params = net.init(jax.random.split(rng)[0], unit(images[:1]))["params"]
    return Learning(params, _ADAM.init(params), jnp.zeros((), jnp.int32))


def classifier_step(
    net: Classifier,
    learning: Learning,
    rng: Key,
    images: Images,
    labels: Labels | Tags,
    rate: float | Float[Array, ""],
    *,
    batch_size: int = 128,
) -> tuple[Learning, Float[Array, ""]]:
    """One update, with the learning rate that is given; the rest as in `train_classifier`.

    Returns:
      The classifier after it, and the loss before it, nats `[]`.
    """
    draw_rng, shift_rng = jax.random.split(jax.random.fold_in(jax.random.split(rng)[1], learning.step))
    indices = jax.random.randint(draw_rng, (batch_size,), 0, images.shape[0])
    x, y = unit(images[indices]), labels[indices]
    tagged = y.ndim > 1
    if not tagged:
        x = _shifted(shift_rng, x)

    def loss_of(params: Params) -> Array:
        _, logits = net.apply({"params": params}, x)
        if tagged:
            return optax.sigmoid_binary_cross_entropy(logits, y).sum(axis=-1).mean()
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    loss, gradients = jax.value_and_grad(loss_of)(learning.params)
    directions, opt_state = _ADAM.update(gradients, learning.opt_state)
    params = jax.tree.map(
        lambda value, direction: value - jnp.asarray(rate, value.dtype) * direction, learning.params, directions
    )
    return Learning(params, opt_state, learning.step + 1), loss


def gan_train(
    net: Classifier,
    rng: Key,
    generated: Images,
    asked: Labels,
    test_images: UInt8[Array, "t height width channels"],
    test_labels: Int[Array, " t"],
    *,
    steps: int,
) -> Float[Array, ""]:
    """Accuracy on real test images, in [0, 1], of a classifier trained on generated ones alone.

    Its ceiling is the same call with the real training set: `steps` must be the same, and N should be.

    Args:
      net: the classifier; static.
      rng, generated, asked, steps: as in `train_classifier`; `asked` are the labels that the generator was given.
      test_images, test_labels: the real test set.

    Raises:
      ValueError: as `train_classifier`, for both sets; or their images are of different shapes.
    """
    generated, test_images, test_labels = (jnp.asarray(x) for x in (generated, test_images, test_labels))
    check_images(generated)
    check_images(test_images)
    check_labels(test_labels, test_images.shape[:1], net.num_classes)
    if generated.shape[1:] != test_images.shape[1:]:
        raise ValueError(f"generated images are {generated.shape[1:]} and real ones {test_images.shape[1:]}")
    params, _ = train_classifier(net, rng, generated, asked, steps=steps)

    logits = trained(net, params).logits
    return gan_test(map_rows(lambda image: logits(image[None])[0], test_images), test_labels)


def gan_test(logits: Float[Array, "n classes"], asked: Labels) -> Float[Array, ""]:
    """The share in [0, 1] of generated images to which a classifier of real images gives the label asked for.

    Its ceiling is that classifier's accuracy on real test images.

    Args:
      logits: the classifier's, of generated images, `[N, K]`.
      asked: the labels that the generator was given, `[N]`.

    Returns:
      The share; NaN where a logit is NaN.

    Raises:
      ValueError: logits are not float `[N, K]`, or labels not integers `[N]` or (where known) not in range.
    """
    (logits,), asked = as_float(logits), jnp.asarray(asked)
    check_labels(asked, logits.shape[:1], logits.shape[1])
    share = jnp.mean(jnp.argmax(logits, axis=-1) == asked)
    return jnp.where(jnp.isnan(logits).any(), jnp.nan, share)  # The largest of NaN is the first class.


def _shifted(rng: Key, x: Float[Array, "n height width channels"]) -> Float[Array, "n height width channels"]:
    padded = jnp.pad(x, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)))
    corners = jax.random.randint(rng, (x.shape[0], 2), 0, 2 * _SHIFT + 1)
    return jax.vmap(lambda image, corner: lax.dynamic_slice(image, (*corner, 0), x.shape[1:]))(padded, corners)
