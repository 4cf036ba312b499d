from pathlib import Path

import numpy as np
import pytest

from gan_jax.data import Dataset
from gan_jax.lab.measuring import measures, reference
from gan_jax.lab.measuring.reference import Reference
from gan_jax.metrics import features, random_net


@pytest.fixture
def own(tmp_path: Path) -> str:
    x = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3)).astype(np.uint8)
    np.savez(tmp_path / "own.npz", images=x)
    return f"npz:{tmp_path / 'own.npz'}"


def test_where_no_classifier_fits_features_are_the_random_nets(own: str) -> None:
    found = reference.load(own, conditional=False)
    assert found.classifier is None and found.source is random_net.load((8, 8, 3))
    assert measures.scoring(found)[0] == "frechet"
    np.testing.assert_array_equal(found.features, random_net.load((8, 8, 3)).features(found.test.x))
    assert measures.features_used(found, ["sliced"]) is None
    assert measures.features_used(found, ["sliced", "prdc"]) == random_net.load((8, 8, 3)).label


def test_points_have_no_features() -> None:
    assert reference.load("ring", conditional=False).source is None


def test_a_classifiers_features_are_its_own_bits_unless_others_are_asked_for() -> None:
    x = np.random.default_rng(0).integers(0, 256, (30, 28, 28, 1)).astype(np.uint8)
    images, mnist = Dataset("images", x), features.load("mnist")
    found = Reference(images, images, mnist, False)
    np.testing.assert_array_equal(found.features, features.in_pieces(mnist.features, x))
    assert found.source is not None and found.source.label.startswith("classifier of mnist ")
    other = Reference(images, images, mnist, False, extractor=random_net.load((28, 28, 1)))
    assert other.source is random_net.load((28, 28, 1))
    np.testing.assert_array_equal(other.logits_of(x), found.logits_of(x))


def test_of_stacked_digits_there_are_features_where_they_are_asked_for() -> None:
    x = np.random.default_rng(0).integers(0, 256, (30, 28, 28, 3)).astype(np.uint8)
    stacked, mnist = Dataset("stacked", x), features.load("mnist")
    assert "frechet" not in measures.fitting(Reference(stacked, stacked, mnist, False))
    asked = Reference(stacked, stacked, mnist, False, extractor=random_net.load((28, 28, 3)))
    assert measures.fitting(asked)[:4] == ["frechet", "kernel", "prdc", "stacked"]
