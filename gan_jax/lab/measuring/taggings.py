"""Tags that pictures of the test set are given: how well they agree with the true ones, and what bounds that."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.compiling import jit_training
from gan_jax.lab.measuring.reference import Reference
from gan_jax.metrics import classify, features, modes
from gan_jax.metrics import tags as metric
from gan_jax.nets.classifier import Classifier

STEPS = 2000
"""Updates of the plain classifier, of 128 pictures each."""

_HIDDEN = 256  # Of 60 tags of robots 64 features are too few: exact match .77, not 1.00.


def agreement(found: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Precision, recall, F1 and exact match of tags `[N, T]`, by the names of their numbers."""
    agreed = metric.agreement(jnp.asarray(found), jnp.asarray(true))
    names = ("tag_precision", "tag_recall", "tag_f1", "exact_match")
    return {name: float(value) for name, value in zip(names, agreed, strict=True)}


def of_prior(reference: Reference, n: int) -> dict[str, float]:
    """What the tags of training examples, chosen without a look at the pictures, score on the first n test examples."""
    true = reference.test.x[:n]
    chosen = np.random.default_rng(0).integers(len(reference.train), size=len(true))
    return agreement(reference.train.x[chosen], true)


def of_classifier(reference: Reference, n: int) -> dict[str, float]:
    """What a plain classifier scores on the first n test examples.

    Of stacked digits it is MNIST's, which reads them one by one; else one with a cross-entropy for each tag, trained
    here on the training pictures, for `STEPS` steps.
    """
    train, test = reference.train, reference.test
    assert train.conditions is not None and test.conditions is not None
    pictures = test.conditions[:n]
    if test.name == "tags:stacked" and reference.classifier is not None:
        read = functools.partial(modes.stacked_labels, reference.classifier.logits)
        labels = features.in_pieces(read, pictures)
        digits = np.stack([labels // 100, labels // 10 % 10, labels % 10], axis=1)
        return agreement(np.eye(10, dtype=np.float32)[digits].reshape(len(labels), -1), test.x[:n])
    net = Classifier(len(train.tags), hidden=_HIDDEN)
    train_classifier = jit_training(classify.train_classifier)
    params, _ = train_classifier(
        net, jax.random.key(0), jnp.asarray(train.conditions), jnp.asarray(train.x), steps=STEPS
    )
    logits = features.in_pieces(features.trained(net, params).logits, pictures)
    return agreement((logits > 0).astype(np.float32), test.x[:n])
