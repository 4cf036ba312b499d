"""InfoGAN."""

from typing import Annotated, Any

from gan_jax import losses, priors
from gan_jax.conditioning import code, several
from gan_jax.gan import GAN
from gan_jax.nets import heads
from gan_jax.nets.inits import normal_002
from gan_jax.nets.layers import Encode
from gan_jax.nets.recognition import Recognise
from gan_jax.recipes.builders import adam, are_points, conv_nets
from gan_jax.typing import Bounds, Decay, Dtype, Rate, Shape, Size, Width, Widths


def infogan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 1e-3,
    d_lr: Rate | None = 2e-4,
    b1: Decay = 0.5,
    b2: Decay = 0.999,
    width: Width = 64,
    widths: Widths | None = None,
    latent: Size = 62,
    categories: Annotated[int, Bounds(2, 2**16)] = 10,
    continuous: Annotated[int, Bounds(0, 1000)] = 2,
    info: Annotated[float, Bounds(0)] = 1.0,
    info_continuous: Annotated[float, Bounds(0)] = 0.1,
    code_scale: Annotated[float, Bounds(0, above=True)] = 1.0,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """InfoGAN: codes that come to mean something, without labels (Chen et al. 2016, arXiv:1606.03657, appendix C.1).

    G gets z(62) ~ U(-1, 1) beside a code c1 of ten categories and two, c2 and c3, that are uniform in (-1, 1). A net Q
    that shares D's body reads them off the image, and both players minimise -log Q(c | G(z, c)) of fakes, weighted by
    lambda, which bounds the codes' mutual information with the image from below. Q's parameters are among D's. Adam
    2e-4 for D and 1e-3 for G, b1 .5.

    G: [z, c] -> 1024 -> 7x7x128 -> 14x14x64 -> 28x28x1; D: 14x14x64 -> 7x7x128 -> 1024 -> 1 logit, and Q: -> 128 ->
    codes (16 width, 2 width, width), all hidden layers but D's first with BatchNorm. Those of the dense layers, and G's
    first, decide whether c1 means the digit. As in `dcgan` kernels are 5 x 5 where the paper has 4 x 4, and G has leaky
    ReLUs and tanh. The authors' code fixes the deviations of the continuous codes at 1; ours are learned, as the paper
    says. On points there are `dcgan`'s nets, without BatchNorm.

    Args:
      categories: classes of the categorical code.
      continuous: number of continuous codes.
      info: weight of the categorical code's mutual information (lambda).
      info_continuous: weight of that of every continuous code.
      code_scale: what G's one-hot vector of the categorical code has in place of 1: how much it counts beside z while
        G is new, when classes settle.
    """
    codes = {f"c{k + 1}": categories if k == 0 else 0 for k in range(continuous + 1)}
    encode, points = Encode(categories, scale=code_scale), are_points(shape)
    norm: dict[str, Any] = {"batch_norm": not points, "axis_name": axis_name}
    q = Recognise(codes, info, info_continuous, 2 * width, kernel_init=normal_002(), **norm)
    # On points D has no features beyond its last hidden layer.
    head = q if points else heads.Hidden(16 * width, q, normal_002(), **norm)
    nets = conv_nets(shape, width, widths, dtype, axis_name, encode, head=head, batch_norm=True)
    if not points:
        nets["generator"] = nets["generator"].clone(hidden=16 * width)
    return GAN(
        **nets,
        loss=losses.non_saturating(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.uniform(latent),
        conditioning=several(**{name: code(classes) for name, classes in codes.items()}),
        ema_decay=ema,
        axis_name=axis_name,
    )
