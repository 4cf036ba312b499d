import re

from gan_jax.data import licences
from gan_jax.data.sources import FORMS
from tests import pages


def test_data_that_has_a_name_has_makers_and_a_licence() -> None:
    named = {re.split(r"\W", form)[0] for form in FORMS if "DIR" not in form and "FILE" not in form}
    assert licences.LICENCES.keys() == named - {"tfds", "subset", "tags"}


def test_they_are_those_of_the_guide() -> None:
    guide = (pages.ROOT / "docs" / "data.md").read_text()
    assert licences.LICENCES["mnist"].rpartition(", ")[2] in guide
    assert licences.LICENCES["robots"] in guide


def test_a_spec_has_the_licence_of_its_kind() -> None:
    assert licences.of("robots:32/color") == licences.LICENCES["robots"]
    assert licences.of("subset:100:mnist") == licences.LICENCES["mnist"]
    assert licences.of("tags:stacked") == licences.LICENCES["stacked"]
    assert licences.of("folder:mnist") is None
    assert licences.of("subset:100:npz:mnist") is None
