from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax.nets import dcgan, heads, mlp, resnet
from gan_jax.nets.layers import Encode
from gan_jax.nets.packing import Packed
from gan_jax.nets.per_channel import PerChannelDiscriminator, PerChannelGenerator
from tests.helpers import assert_close, assert_same, few, jit

KEY = jax.random.key(0)
BATCH, LATENT, CLASSES, CHANNELS = 4, 6, 5, 3
LATENTS = jax.random.normal(KEY, (BATCH, LATENT))
LABELS = jnp.array([0, 3, 4, 3])
IMAGES = jax.random.uniform(KEY, (BATCH, 8, 12, CHANNELS), minval=-1.0)
ONE = (8, 12, 1)

GENERATORS: dict[str, nn.Module] = {
    "dcgan": dcgan.Generator(ONE, (4, 2)),
    "resnet": resnet.Generator(ONE, (8, 4, 2)),
    "mlp": mlp.Generator(ONE, (4, 4), jnp.tanh),
}
FEATURES: dict[str, nn.Module] = {
    "dcgan": dcgan.Discriminator(heads.Features(), (2, 4)),
    "dcgan spectral": dcgan.Discriminator(heads.Features(), (2, 4), spectral_norm=True),
    "resnet": resnet.Discriminator(heads.Features(), (2, 4, 8)),
    "mlp": mlp.Discriminator((4, 4), heads.Features()),
}


def initial(net: nn.Module, x: jax.Array, y: Any) -> Any:
    return jit(net.init, static_argnums=3)(KEY, x, y, False)


def output(net: nn.Module, variables: Any, x: jax.Array, y: Any) -> jax.Array:
    return jit(net.apply, static_argnums=3)(variables, x, y, False)


def of_net(variables: Any) -> Any:
    return {kind: tree["net"] for kind, tree in variables.items() if "net" in tree}


def randomised(variables: Any) -> Any:
    """Without zeros: a bias or a block that starts at zero would hide what it does."""
    leaves, treedef = jax.tree.flatten(variables["params"])
    keys = jax.random.split(KEY, len(leaves))
    params = [0.3 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    return {**variables, "params": treedef.unflatten(params)}


@pytest.mark.parametrize("name", few(GENERATORS, "dcgan"))
def test_each_channel_is_an_image_that_the_net_paints_from_a_latent_of_its_own(name: str) -> None:
    net = GENERATORS[name]
    whole = PerChannelGenerator(net, CHANNELS, Encode(CLASSES))
    variables = randomised(initial(whole, LATENTS, LABELS))
    dense = variables["params"]["Dense_0"]
    assert dense["kernel"].shape == (LATENT + CLASSES, CHANNELS * LATENT)
    x = output(whole, variables, LATENTS, LABELS)
    assert x.shape == (BATCH, 8, 12, CHANNELS)
    code = jnp.concatenate([LATENTS, jnp.eye(CLASSES)[LABELS]], axis=1)
    for c in range(CHANNELS):
        own = slice(c * LATENT, (c + 1) * LATENT)
        latents = code @ dense["kernel"][:, own] + dense["bias"][None, own]
        assert_close(x[..., c], output(net, of_net(variables), latents, None)[..., 0])


def test_without_a_condition_the_latents_are_made_of_z() -> None:
    whole = PerChannelGenerator(GENERATORS["dcgan"], CHANNELS)
    variables = initial(whole, LATENTS, LABELS)
    assert variables["params"]["Dense_0"]["kernel"].shape == (LATENT, CHANNELS * LATENT)
    assert_same(output(whole, variables, LATENTS, LABELS), output(whole, variables, LATENTS, None))


def test_weights_of_the_net_are_the_same_for_any_number_of_channels() -> None:
    two, three = (PerChannelGenerator(GENERATORS["dcgan"], n) for n in (2, 3))
    variables = initial(three, LATENTS, None)
    narrow = {k: v[..., : 2 * LATENT] for k, v in variables["params"]["Dense_0"].items()}
    cut = {**variables, "params": {**variables["params"], "Dense_0": narrow}}
    assert_close(output(two, cut, LATENTS, None), output(three, variables, LATENTS, None)[..., :2])


def test_batch_statistics_are_those_of_all_channels() -> None:
    net = GENERATORS["dcgan"]
    whole = PerChannelGenerator(net, CHANNELS)
    variables = initial(whole, LATENTS, None)
    x, updates = whole.apply(variables, LATENTS, None, True, mutable=["batch_stats"])
    dense = variables["params"]["Dense_0"]
    latents = (LATENTS @ dense["kernel"] + dense["bias"][None]).reshape(BATCH * CHANNELS, LATENT)
    images, expected = net.apply(of_net(variables), latents, None, True, mutable=["batch_stats"])
    assert_close(updates["batch_stats"]["net"], expected["batch_stats"])
    # The images of an example are neighbours: its channels in order.
    assert_close(x[1, :, :, 2], images[1 * CHANNELS + 2, :, :, 0])


def test_a_net_with_an_encoder_gets_the_condition_of_every_channel_s_example() -> None:
    net = dcgan.Generator(ONE, (4, 2), encode=Encode(CLASSES))
    whole = PerChannelGenerator(net, CHANNELS)
    variables = initial(whole, LATENTS, LABELS)
    dense = variables["params"]["Dense_0"]
    x = output(whole, variables, LATENTS, LABELS)
    for c in range(CHANNELS):
        own = slice(c * LATENT, (c + 1) * LATENT)
        latents = LATENTS @ dense["kernel"][:, own] + dense["bias"][None, own]
        assert_close(x[..., c], output(net, of_net(variables), latents, LABELS)[..., 0])

    body = dcgan.Discriminator(heads.Features(), (2, 4), encode=Encode(CLASSES))
    critic = PerChannelDiscriminator(body, heads.Logit())
    variables = initial(critic, IMAGES, LABELS)
    alone = [output(body, of_net(variables), IMAGES[..., c : c + 1], LABELS) for c in range(CHANNELS)]
    last = variables["params"]["head"]["Dense_0"]
    expected = jnp.concatenate(alone, axis=1) @ last["kernel"] + last["bias"][None]
    assert_close(output(critic, variables, IMAGES, LABELS), expected[:, 0])


@pytest.mark.parametrize("name", few(FEATURES, "dcgan spectral"))
def test_the_head_gets_the_features_of_each_channel_as_an_image(name: str) -> None:
    net, head = FEATURES[name], heads.Hidden(7, heads.Projection(CLASSES))
    whole = PerChannelDiscriminator(net, head)
    variables = randomised(initial(whole, IMAGES, LABELS))
    logits = output(whole, variables, IMAGES, LABELS)
    assert logits.shape == (BATCH,)
    alone = [output(net, of_net(variables), IMAGES[..., c : c + 1], None) for c in range(CHANNELS)]
    of_head = {"params": variables["params"]["head"]}
    assert_close(logits, output(head, of_head, jnp.concatenate(alone, axis=1), LABELS), atol=1e-5)


def test_equal_channels_look_like_one_image_several_times() -> None:
    x = IMAGES[..., :1]
    alone = dcgan.Discriminator(heads.Logit(), (4, 8))
    whole = PerChannelDiscriminator(dcgan.Discriminator(heads.Features(), (4, 8)), heads.Logit())
    params = dict(initial(alone, x, None)["params"])
    last = params.pop("head")["Dense_0"]
    weights = jnp.concatenate([last["kernel"], 10 * last["kernel"], 100 * last["kernel"]])
    wide = {"net": params, "head": {"Dense_0": {"kernel": weights, "bias": last["bias"]}}}
    logits = output(alone, {"params": {**params, "head": {"Dense_0": last}}}, x, None)
    together = output(whole, {"params": wide}, jnp.repeat(x, 3, axis=-1), None)
    np.testing.assert_allclose(together, 111 * logits, rtol=1e-4)


def test_spectral_norm_divides_every_weight() -> None:
    head = heads.Hidden(7, heads.Projection(CLASSES, spectral_norm=True), spectral_norm=True)
    whole = PerChannelDiscriminator(FEATURES["dcgan spectral"], head)
    variables = initial(whole, IMAGES, LABELS)
    scaled = {**variables, "params": jax.tree.map(lambda p: 7 * p, variables["params"])}
    apply = jit(lambda v: whole.apply(v, IMAGES, LABELS, True, mutable=["batch_stats"]))
    (expected, once), (logits, seven_times) = apply(variables), apply(scaled)
    # The biases are zero, so nothing else scales.
    assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    sigmas, larger = (
        {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree) if "sigma" in path[-1].key}
        for tree in (once, seven_times)
    )
    # Two convolutions, the hidden layer, the embedding and psi.
    assert len(sigmas) == 5
    assert_close(larger, {path: 7 * sigma for path, sigma in sigmas.items()})


def test_bfloat16_inside_and_float32_outside() -> None:
    generator = PerChannelGenerator(dcgan.Generator(ONE, (4, 2), dtype="bfloat16"), CHANNELS, dtype="bfloat16")
    body = dcgan.Discriminator(heads.Features(), (2, 4), dtype="bfloat16")
    discriminator = PerChannelDiscriminator(body, heads.Logit())
    for net, x in ((generator, LATENTS), (discriminator, IMAGES)):
        out = jax.eval_shape(lambda net=net, x=x: net.init_with_output(KEY, x, None, False))
        assert {leaf.dtype for leaf in jax.tree.leaves(out)} == {np.dtype("float32")}


def test_packs_are_read_per_channel_too() -> None:
    net = Packed(PerChannelDiscriminator(FEATURES["dcgan"], heads.Logit()), 2)
    out, variables = jax.eval_shape(lambda: net.init_with_output(KEY, IMAGES, None, False))
    assert out.shape == (BATCH,)
    assert variables["params"]["net"]["net"]["Conv_0"]["kernel"].shape == (5, 5, 1, 2)
    assert variables["params"]["net"]["head"]["Dense_0"]["kernel"].shape == (2 * CHANNELS * 2 * 3 * 4, 1)


@pytest.mark.slow
def test_they_can_be_rematerialised() -> None:
    for net, arguments, x in (
        (PerChannelGenerator, (GENERATORS["resnet"], CHANNELS, Encode(CLASSES)), LATENTS),
        (PerChannelDiscriminator, (FEATURES["resnet"], heads.Projection(CLASSES)), IMAGES),
    ):
        stored, rematerialised = net(*arguments), nn.remat(net, static_argnums=(3,))(*arguments)
        variables = initial(stored, x, LABELS)

        def gradient(net: nn.Module, variables: Any = variables, x: jax.Array = x) -> Any:
            return jax.grad(lambda v: jnp.sum(net.apply(v, x, LABELS, False) ** 2))(variables)

        actual, expected = jit(lambda a=rematerialised, b=stored, f=gradient: (f(a), f(b)))()
        assert_close(actual, expected, atol=1e-5)


def test_a_net_of_several_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"images \[H, W, 1\], got 8 x 12 x 3"):
        PerChannelGenerator(dcgan.Generator((8, 12, 3), (4, 2)), CHANNELS).init(KEY, LATENTS, None, False)
