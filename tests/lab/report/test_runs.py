from pathlib import Path

import pytest

from gan_jax import InputError
from gan_jax.lab.report import runs


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"step": 1, "n": 2, "metrics": {"kl": {}}}',
        '{"step": 1, "n": 2, "metrics": {"kl": 3}}',
        '{"step": null, "n": 2, "metrics": {}}',
        '{"step": 1, "n": 2, "metrics": {}, "features": 3}',
    ],
)
def test_an_evaluation_that_is_none_is_one_sentence(content: str, tmp_path: Path) -> None:
    assert runs.metrics_of(tmp_path) is None
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(InputError, match=r"evaluation\.json is not what evaluate writes"):
        runs.metrics_of(tmp_path)
