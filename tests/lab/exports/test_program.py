from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import gan_jax
from gan_jax.lab.exports import program
from gan_jax.training import to_uint8
from tests.lab.exports.helpers import made


def test_latents_of_a_prior_of_ones_own_may_be_integers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1)).astype(np.uint8)
    np.savez("tiny.npz", images=pixels, labels=np.arange(30) % 3)
    made(Path("source"), "cgan", "npz:tiny.npz", depth="2", latent="5", ema="0.9")
    source = gan_jax.load("source")
    gan = source.gan.replace(prior=lambda rng, n: jax.random.randint(rng, (n, 5), -2, 3))
    z, y = gan.prior(jax.random.key(1), 7), jnp.arange(7, dtype=jnp.int32) % 3
    assert z.dtype == jnp.int32
    assert program.inputs_of(source.job, gan)[0].dtype == jnp.int32
    found = export.deserialize(bytearray(program.program(source.job, gan, source.state))).call(z, y)
    expected = to_uint8(gan.generate(source.state, z.astype(jnp.float32), y), gan.data_range)
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1
    assert np.std(found) > 0


def test_a_program_does_not_say_where_code_lay_on_the_machine_that_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made(Path("source"), "gan", "ring")
    source = gan_jax.load("source")
    limit = getattr(jax.config, program.LIMIT)
    jax.config.update(program.LIMIT, 10)  # JAX's own; tests have 0.
    try:
        assert b".py" not in program.program(source.job, source.gan, source.state)
        assert getattr(jax.config, program.LIMIT) == 10
    finally:
        jax.config.update(program.LIMIT, limit)
