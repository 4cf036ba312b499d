"""Objectives from the command line: any recipe's networks under another loss, penalty, augmentation, or way to take its
gradients."""

from typing import Any

from gan_jax import losses, penalties
from gan_jax.errors import InputError
from gan_jax.gan import GAN
from gan_jax.nets.augment import Augmented
from gan_jax.typing import Shape

_AT_FAKES = frozenset({"wgan_gp", "r2"})


def applied(gan: GAN, options: dict[str, Any], steps: int, shape: Shape) -> GAN:
    """The GAN with what `gan_jax.lab.options.OBJECTIVE_OPTIONS` say in place of its own; None leaves it as it is.

    Args:
      gan: the recipe's.
      options: loss, penalty, lazy, augment, accumulate, and batch_size.
      steps: of the run, for schedules.
      shape: of one example.

    Raises:
      InputError: they can't be combined with this GAN or with each other.
    """
    if options["loss"] is not None:
        gan = gan.replace(loss=losses.LOSSES[options["loss"]]())
    penalty = options["penalty"]
    if penalty is not None:
        names = {name for name, _ in penalty.terms} & _AT_FAKES
        if names and gan.conditioning.resamples:
            raise InputError(
                f"the penalty {min(names)} needs the same labels for real and generated examples, and this recipe "
                "draws new ones for the generated: choose r1, dragan or none"
            )
        gan = gan.replace(penalty=penalty.over(steps))
    if options["lazy"] > 1:
        if gan.penalty is penalties.none:
            raise InputError("--lazy needs a penalty and this recipe has none: add --penalty r1:1, or leave out --lazy")
        gan = gan.replace(penalty=penalties.lazy(gan.penalty, every=options["lazy"]))
    if options["augment"] is not None:
        gan = _augmented(gan, options["augment"], shape)
    parts, batch_size = options["accumulate"], options["batch_size"]
    if batch_size % parts:
        raise InputError(
            f"a minibatch of {batch_size} can't be divided into {parts} equal parts: choose an --accumulate that "
            "divides --batch-size"
        )
    return gan.replace(accumulate=parts)


def _augmented(gan: GAN, policy: tuple[str, ...], shape: Shape) -> GAN:
    """With this augmentation in place of the recipe's own, if it has any."""
    if policy and len(shape) != 3:
        raise InputError("--augment is for images, and this data is points: leave it out")
    net = gan.discriminator
    net = net.net if isinstance(net, Augmented) else net
    return gan.replace(discriminator=Augmented(net, policy, gan.data_range) if policy else net)
