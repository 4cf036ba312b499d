"""The built-in experiments: name -> recipe, paper, defaults for a small machine, the paper's own settings."""

from collections.abc import Mapping
from typing import Any

from gan_jax import recipes
from gan_jax.lab.experiment import Experiment

_GOODFELLOW = "Goodfellow et al. 2014, arXiv:1406.2661"
_MIRZA = "Mirza & Osindero 2014, arXiv:1411.1784"
_ARJOVSKY = "Arjovsky et al. 2017, arXiv:1701.07875"

_MLP: Mapping[str, Any] = {
    "steps": 30_000, "batch_size": 64, "log_every": 250, "sample_every": 2500, "save_every": 5000,
    "lr": "cosine:5e-4:0", "b1": 0.5, "width": 256, "depth": 3, "batch_norm": True, "d_depth": 2,
    "d_activation": "leaky_relu", "dropout": 0.4, "ema": 0.999,
}  # fmt: skip
_SHALLOW: Mapping[str, Any] = {
    "batch_size": 128, "lr": 2e-4, "b1": 0.9, "depth": 1, "batch_norm": False, "d_depth": None, "d_activation": "relu",
    "dropout": 0.0, "ema": None,
}  # fmt: skip
_CONV: Mapping[str, Any] = {
    "steps": 3000, "batch_size": 64, "log_every": 20, "sample_every": 250, "save_every": 500, "lr": 2e-4, "b1": 0.5,
    "width": 32, "ema": 0.99,
}  # fmt: skip
_COLOR: Mapping[str, Any] = {
    "steps": 5000, "log_every": 25, "sample_every": 500, "save_every": 500, "lr": "cosine:4e-4:0", "ema": 0.999,
}  # fmt: skip
_COLOR_64: Mapping[str, Any] = {**_COLOR, "d_lr": "cosine:1e-4:0"}
_COLOR_SNGAN: Mapping[str, Any] = {**_COLOR, "d_lr": "cosine:8e-4:0"}
_CONV_PAPER: Mapping[str, Any] = {"width": 128, "ema": None}
_LONG: Mapping[str, Any] = {"sample_every": 5000, "save_every": 5000, "ema": None}
_WGAN_PAPER: Mapping[str, Any] = {**_LONG, "lr": 5e-5, "clip": 0.01, "steps": 200_000, "warmup_steps": 25}
_ANNEALED = 0.78
"""R3GAN's authors anneal over 20 million images, 78,125 minibatches of 256."""


def _held(rate: float) -> str:
    """A rate that is constant, and falls along a cosine to 0 in the last three tenths of the steps."""
    return "steps:" + ",".join(f"{share * rate:g}" for share in (*[1.0] * 7, 0.933, 0.5, 0.067))


EXPERIMENTS: Mapping[str, Experiment] = {
    "gan": Experiment(
        recipes.gan,
        citation=_GOODFELLOW,
        summary="the original GAN, an MLP with the non-saturating loss",
        **_MLP,
        paper={**_SHALLOW, "steps": 94_000, "width": 256},
        lacks="maxout and dropout in the discriminator, SGD with momentum",
    ),
    "gan_deep": Experiment(
        recipes.gan_deep,
        citation=_GOODFELLOW,
        summary="the original GAN's game with deep MLPs, those of cgan_embedding",
        steps=8000, batch_size=64, log_every=50, sample_every=1000, save_every=1000, ema=0.999,
        paper={"steps": 187_600, "ema": None},
        lacks="all but the game: the networks are folklore, without published settings",
    ),
    "wgan": Experiment(
        recipes.wgan,
        citation=_ARJOVSKY,
        summary="Wasserstein GAN, MLPs, weight clipping",
        steps=28_000, batch_size=64, log_every=200, sample_every=2000, save_every=4000,
        lr="cosine:5e-4:0", clip=0.02, n_critic=1, width=256, depth=3, d_width=512, d_depth=1, d_activation="abs",
        ema=0.999,
        paper={
            **_WGAN_PAPER, "n_critic": 5, "width": 128, "depth": 1, "d_width": None, "d_depth": None,
            "d_activation": "relu",
        },
    ),
    "wgan_4x512": Experiment(
        recipes.wgan,
        citation=_ARJOVSKY,
        summary="Wasserstein GAN, MLPs of four hidden layers with 512 units",
        steps=4000, batch_size=64, log_every=25, sample_every=500, save_every=1000,
        lr=2e-4, clip=0.03, width=512, depth=4, ema=0.99,
        paper=_WGAN_PAPER,
    ),
    "wgan_dcgan": Experiment(
        recipes.wgan_dcgan,
        citation=_ARJOVSKY,
        summary="Wasserstein GAN, convolutional",
        steps=3000, batch_size=64, log_every=20, sample_every=500, save_every=500,
        lr=5e-4, clip=0.05, width=16, ema=0.99,
        paper={**_WGAN_PAPER, "width": 64},
        lacks="BatchNorm in the critic, which clipping would cut to nothing",
    ),
    "cgan": Experiment(
        recipes.cgan,
        citation=_MIRZA,
        summary="conditional GAN, MLP, labels concatenated one-hot",
        **_MLP,
        paper={**_SHALLOW, "steps": 94_000, "width": 128},
        lacks="maxout and dropout in the discriminator, SGD with momentum",
    ),
    "cgan_embedding": Experiment(
        recipes.cgan_embedding,
        citation=_MIRZA,
        summary="conditional GAN, MLP, learned label embeddings",
        steps=8000, batch_size=64, log_every=50, sample_every=1000, save_every=1000, ema=0.999,
        paper={"steps": 187_600, "ema": None},
        lacks="nothing that was published: the network is folklore",
    ),
    "dcgan": Experiment(
        recipes.dcgan,
        citation="Radford et al. 2015, arXiv:1511.06434",
        summary="deep convolutional GAN",
        **_CONV,
        defaults_at={(32, 32, 3): _COLOR, (64, 64, 3): _COLOR_64},
        paper={**_CONV_PAPER, "steps": 12_000, "batch_size": 100},
        paper_at={(64, 64, 3): {"batch_size": 128}},
        lacks="ReLU in the generator, and on 28 x 28 two of the four strided layers, which are for images of 64 x 64",
    ),
    "cdcgan": Experiment(
        recipes.cdcgan,
        citation=f"{_MIRZA}; Radford et al. 2015, arXiv:1511.06434",
        summary="conditional DCGAN, labels as maps",
        **{
            **_CONV, "steps": 9000, "log_every": 50, "sample_every": 500, "save_every": 1000, "lr": "cosine:4e-4:0",
            "ema": 0.999,
        },
        paper={**_CONV_PAPER, "lr": 2e-4, "steps": 18_000, "batch_size": 100},
        lacks="on 28 x 28 two of DCGAN's four strided layers, which are for images of 64 x 64",
    ),
    "lsgan": Experiment(
        recipes.lsgan,
        citation="Mao et al. 2017, arXiv:1611.04076",
        summary="least-squares GAN, convolutional",
        **_CONV,
        paper={**_CONV_PAPER, "steps": 12_000},
        lacks="the deeper networks, which are for scenes of 112 x 112",
    ),
    "acgan": Experiment(
        recipes.acgan,
        citation="Odena et al. 2017, arXiv:1610.09585",
        summary="auxiliary classifier GAN, convolutional",
        **_CONV,
        paper={**_CONV_PAPER, "steps": 30_000, "batch_size": 100},
        lacks="the larger networks, with dropout in the discriminator",
    ),
    "infogan": Experiment(
        recipes.infogan,
        citation="Chen et al. 2016, arXiv:1606.03657",
        summary="codes that come to mean digit, slant and width without labels",
        **{
            **_CONV, "steps": 12_000, "log_every": 50, "sample_every": 1000, "save_every": 1000, "lr": _held(1e-3),
            "d_lr": _held(4e-4), "width": 16,
        },
        info=0.03, info_continuous=0.005, code_scale=4.0,
        paper={
            "steps": 5000, "batch_size": 128, "lr": 1e-3, "d_lr": 2e-4, "width": 64, "info": 1.0,
            "info_continuous": 0.1, "code_scale": 1.0, "ema": None,
        },
        lacks="convolutions of 4 x 4, of which ours are 5 x 5, and ReLU in the generator",
    ),
    "wgan_gp": Experiment(
        recipes.wgan_gp,
        citation="Gulrajani et al. 2017, arXiv:1704.00028",
        summary="Wasserstein GAN with gradient penalty, convolutional",
        steps=2000, batch_size=64, log_every=10, sample_every=250, save_every=250,
        lr=3e-4, n_critic=3, width=16, ema=0.99,
        paper={**_LONG, "steps": 200_000, "lr": 1e-4, "n_critic": 5, "batch_size": 50, "width": 64},
        paper_at={
            (32, 32, 3): {
                "steps": 100_000, "batch_size": 64, "lr": "linear:2e-4:0", "b1": 0.0, "net": "resnet", "width": 128,
            },
            (64, 64, 3): {"batch_size": 64, "b1": 0.0, "net": "resnet"},
        },
        lacks="on MNIST one layer of the authors' networks, on 32 x 32 the doubled minibatch of the generator",
    ),
    "sngan": Experiment(
        recipes.sngan,
        citation="Miyato et al. 2018, arXiv:1802.05957",
        summary="spectral normalisation and hinge loss; projection discriminator with --conditional",
        **_CONV,
        n_critic=1,
        defaults_at={(32, 32, 3): _COLOR_SNGAN},
        paper={**_CONV_PAPER, **_LONG, "steps": 100_000, "n_critic": 5, "width": 64},
        paper_at={
            (32, 32, 3): {
                "steps": 50_000, "lr": "linear:2e-4:0", "b1": 0.0, "b2": 0.9, "net": "resnet", "width": 256,
            },
            (64, 64, 3): {"b1": 0.0, "b2": 0.9, "net": "resnet"},
        },
        lacks="on 28 x 28 the deeper networks, on 32 x 32 the doubled minibatch of the generator",
    ),
    "dragan": Experiment(
        recipes.dragan,
        citation="Kodali et al. 2017, arXiv:1705.07215",
        summary="gradient penalty around the data, convolutional",
        **{**_CONV, "steps": 2500, "lr": 3e-4},
        paper={"steps": 40_000, "lr": 1e-4, "width": 64, "ema": None},
    ),
    "r3gan": Experiment(
        recipes.r3gan,
        citation="Huang et al. 2024, arXiv:2501.05441",
        summary="relativistic pairing loss with R1 and R2, residual nets without normalisation",
        steps=1500, batch_size=64, log_every=5, sample_every=100, save_every=100, lr=5e-4, width=8, ema=0.99,
        paper={
            "steps": 100_000, "batch_size": 256, "lr": f"cosine:2e-4:5e-5:{_ANNEALED}",
            "gamma": f"cosine:1:0.1:{_ANNEALED}", "b2": f"cosine:0.9:0.99:{_ANNEALED}", "width": 64, "ema": 0.999,
            "sample_every": 1000, "save_every": 1000,
        },
        lacks="the wider networks with grouped convolutions, augmentation, and the growing half-life of the average",
    ),
    "completion": Experiment(
        recipes.completion,
        citation=f"{_MIRZA} (any condition: here half an image)",
        summary="paints the lower half of an image below a given upper half",
        steps=4000, batch_size=64, log_every=25, sample_every=500, save_every=500, ema=0.99,
        paper={"steps": 40_000, "ema": None},
        lacks="nothing that was published: the experiment is ours",
    ),
    "translation": Experiment(
        recipes.translation,
        citation="Isola et al. 2017, arXiv:1611.07004",
        summary="pix2pix: images from views of them (--condition), such as sharp from coarse, or from your own pairs",
        steps=6000, batch_size=16, log_every=50, sample_every=1000, save_every=1000, lr="cosine:4e-4:0",
        width=32, norm="batch", dropout=0.2, ema=0.999,
        paper={
            "steps": 80_000, "batch_size": 1, "lr": 2e-4, "width": 64, "norm": "instance", "dropout": 0.5, "ema": None,
        },
        lacks="jitter and mirroring, and the layers that images of 256 x 256 have and smaller ones have no room for",
    ),
    "tagger": Experiment(
        recipes.tagger,
        citation=_MIRZA,
        summary="draws which tags a picture has, stacked digits or any data of tags",
        data="tags:stacked", steps=4000, batch_size=64, log_every=25, sample_every=500, save_every=500,
        lr="cosine:1e-3:0", d_lr="cosine:3e-3:0", width=16, hidden=128, latent=16, apart=True,
        dropout=0.0, ema=0.99,
        paper={
            "steps": 40_000, "batch_size": 100, "lr": 1e-3, "d_lr": None, "width": 64, "hidden": 1200, "latent": 100,
            "apart": False, "dropout": 0.5, "ema": None,
        },
        lacks="word vectors, features of ImageNet, maxout, SGD with momentum; its game, cross-entropy without penalty",
    ),
}  # fmt: skip
