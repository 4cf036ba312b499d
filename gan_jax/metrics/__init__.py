"""How good samples are: pure functions of arrays, for the caller to jit.

    mnist = metrics.features.load("mnist")
    real = metrics.frechet.moments(metrics.features.in_pieces(mnist.features, real_images))
    fake = metrics.frechet.moments(metrics.features.in_pieces(mnist.features, fake_images))
    metrics.frechet.distance(real, fake)

| module        | what                                                     | of                        | better |
|---------------|----------------------------------------------------------|---------------------------|--------|
| `frechet`     | Frechet distance of Gaussians fitted to features         | features `[N, F]`         | lower  |
| `kernel`      | kernel distance: unbiased MMD^2, with its standard error | features `[N, F]`         | lower  |
| `prdc`        | precision, recall, density, coverage                     | features `[N, F]`         | higher |
| `classify`    | GAN-train, GAN-test                                      | labelled images           | higher |
| `clusters`    | error of classes found without labels, best matching     | class numbers             | lower  |
| `parzen`      | Parzen-window log-likelihood of the test set, nats       | images in [0, 1] `[N, D]` | higher |
| `modes`       | modes, %HQ, reverse KL, sigma ratio; classes and KL      | points, class labels      |        |
| `wasserstein` | exact in one dimension, and sliced                       | points `[N, D]`           | lower  |

Features come from the project's own small classifiers (`features`), from a net of random weights (`random_net`), which
takes any images, or from Inception (`inception`), for the true FID, with weights read by `torch_file`; any
`images uint8 [B, H, W, C] -> [B, F]` can take their place. Samples are independent draws in random order. Nothing but
`kernel.mmd2` holds an N x N matrix: 50,000 samples take no more memory than their features and a few hundred rows of
distances.
"""

from gan_jax.metrics import (
    classify,
    clusters,
    features,
    frechet,
    inception,
    kernel,
    modes,
    parzen,
    prdc,
    random_net,
    torch_file,
    wasserstein,
)

__all__ = [
    "classify",
    "clusters",
    "features",
    "frechet",
    "inception",
    "kernel",
    "modes",
    "parzen",
    "prdc",
    "random_net",
    "torch_file",
    "wasserstein",
]
