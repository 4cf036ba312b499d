"""The benchmark's peer, the same recipes in plain PyTorch: python -m experiments.benchmark.torch_peer CASE MODE CLOCK.

MODE `resident` is PyTorch at its best: data in one tensor, fused Adam where there is one, D's parameters frozen in the
generator's step, channels_last for convolutions. MODE `loader` is the loop that users usually write: a Dataset that
makes a PIL image, ToTensor and Normalize of one example at a time (what torchvision does, written out), a DataLoader, a
backward pass through everything, `.item()` for every logged number.

Prints `ready`, then for every number of steps read from standard input the seconds they took, by CLOCK, wall or cpu.
"""

import itertools
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from experiments.benchmark.cases import CASES, CLASSES, Case
from experiments.benchmark.timing import CLOCKS

PIXELS = 784


class MLP(nn.Module):
    def __init__(self, sizes: list[int], hidden: Callable[[], nn.Module], output: nn.Module | None, **options: Any):
        super().__init__()
        norm, dropout = options.get("norm", False), options.get("dropout", 0.0)
        self.embed = nn.Embedding(CLASSES, CLASSES) if options.get("embedding") else None
        self.labels = options.get("labels", False)
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            layers.append(nn.Linear(a, b))
            if i < len(sizes) - 2:
                layers += [nn.BatchNorm1d(b)] if norm and i > 0 else []
                layers.append(hidden())
                layers += [nn.Dropout(dropout)] if dropout and i > 0 else []
        self.layers = nn.Sequential(*layers, *([output] if output else []))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.labels:
            code = self.embed(y) if self.embed else F.one_hot(y, CLASSES).float()
            x = torch.cat([x, code], 1)
        return self.layers(x)


class ConvG(nn.Module):
    def __init__(self, widths: list[int], latent: int, labels: bool, shape: tuple[int, int, int]):
        super().__init__()
        self.labels, base = labels, [n >> len(widths) for n in shape[:2]]
        self.base = (widths[0], *base)
        self.dense = nn.Linear(latent + CLASSES * labels, math.prod(self.base), bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), nn.LeakyReLU(0.2, True)]
        for a, b in itertools.pairwise(widths):
            layers += [nn.ConvTranspose2d(a, b, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2, True)]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], shape[2], 5, 2, 2, 1), nn.Tanh())

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.labels:
            z = torch.cat([z, F.one_hot(y, CLASSES).float()], 1)
        return self.layers(self.dense(z).view(-1, *self.base).contiguous(memory_format=torch.channels_last))


class ConvD(nn.Module):
    def __init__(self, widths: list[int], labels: bool, norm: bool, shape: tuple[int, int, int]):
        super().__init__()
        self.labels = labels
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(itertools.pairwise([shape[2] + CLASSES * labels, *widths])):
            after = norm and i > 0
            layers += [nn.Conv2d(a, b, 5, 2, 2, bias=not after), *([nn.BatchNorm2d(b)] if after else [])]
            layers.append(nn.LeakyReLU(0.2, True))
        height, width = (n >> len(widths) for n in shape[:2])
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, (height, width)))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.labels:
            maps = F.one_hot(y, CLASSES).float()[:, :, None, None].expand(-1, -1, *x.shape[2:])
            x = torch.cat([x, maps], 1).contiguous(memory_format=torch.channels_last)
        return self.layers(x)


class Block(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(F.leaky_relu(self.first(F.leaky_relu(x, 0.2)), 0.2))


class ResidualG(nn.Module):
    """R3GAN's generator: as `gan_jax.nets.resnet`."""

    def __init__(self, widths: list[int], latent: int, shape: tuple[int, int, int]):
        super().__init__()
        self.base = (widths[0], *(n >> (len(widths) - 1) for n in shape[:2]))
        self.dense = nn.Linear(latent, math.prod(self.base))
        layers: list[nn.Module] = [Block(widths[0])]
        for a, b in itertools.pairwise(widths):
            layers += [nn.Conv2d(a, b, 1, bias=False), nn.Upsample(scale_factor=2), Block(b)]
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.Conv2d(widths[-1], shape[2], 3, 1, 1), nn.Tanh())

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.layers(self.dense(z).view(-1, *self.base).contiguous(memory_format=torch.channels_last))


class ResidualD(nn.Module):
    """R3GAN's discriminator: as `gan_jax.nets.resnet`."""

    def __init__(self, widths: list[int], shape: tuple[int, int, int]):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(shape[2], widths[0], 3, 1, 1)]
        for a, b in itertools.pairwise(widths):
            layers += [Block(a), nn.Conv2d(a, b, 1, bias=False), nn.AvgPool2d(2)]
        height, width = (n >> (len(widths) - 1) for n in shape[:2])
        last = nn.Conv2d(widths[-1], 1, (height, width))
        self.layers = nn.Sequential(*layers, Block(widths[-1]), nn.LeakyReLU(0.2), last)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def _halvings(case: Case) -> int:
    """Until the shorter side has 4 to 7 pixels."""
    return int(math.log2(min(case.shape[:2]) / 4))


def players(case: Case) -> tuple[nn.Module, nn.Module]:
    """The generator and the discriminator of a case."""
    options = case.recipe
    width, depth, latent = options["width"], options.get("depth", 1), options.get("latent", 100)
    relu, leaky = nn.ReLU, lambda: nn.LeakyReLU(0.2, True)
    match case.name:
        case "gan" | "wgan" | "wgan_4x512":
            hidden = [width] * depth
            return MLP([latent, *hidden, PIXELS], relu, nn.Sigmoid()), MLP([PIXELS, *hidden, 1], relu, None)
        case "cgan":
            g = MLP([latent + CLASSES, width, PIXELS], relu, nn.Sigmoid(), labels=True)
            return g, MLP([PIXELS + CLASSES, width, 1], relu, None, labels=True)
        case "cgan_embedding":
            named: dict[str, Any] = {"labels": True, "embedding": True}
            sizes = [latent + CLASSES, width // 4, width // 2, width, 2 * width, PIXELS]
            d = MLP([PIXELS + CLASSES, width, width, width, 1], leaky, None, dropout=0.4, **named)
            return MLP(sizes, leaky, nn.Tanh(), norm=True, **named), d
        case "r3gan":
            widths = [width << i for i in reversed(range(_halvings(case) + 1))]
            g, d = ResidualG(widths, options.get("latent", 64), case.shape), ResidualD(widths[::-1], case.shape)
        case _:
            labels, norm = case.name == "cdcgan", case.name != "wgan_dcgan"
            widths = [width << i for i in reversed(range(_halvings(case)))]
            g, d = ConvG(widths, latent, labels, case.shape), ConvD(widths[::-1], labels, norm, case.shape)
    return g.to(memory_format=torch.channels_last), d.to(memory_format=torch.channels_last)


class Images(torch.utils.data.Dataset):
    """torchvision's images with ToTensor and Normalize((low + high) / 2, (high - low) / 2 of the range wanted)."""

    def __init__(self, x: Any, labels: Any, low: float):
        self.x, self.labels, self.low = torch.from_numpy(x.copy()), torch.from_numpy(labels.copy()), low

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.x[i].squeeze(2).numpy())
        pixels = torch.from_numpy(np.array(image, np.uint8, copy=True)).view(*image.size[::-1], -1)
        x = pixels.permute(2, 0, 1).contiguous().to(torch.float32).div(255)
        if self.low:
            mean, std = (torch.as_tensor([0.5] * len(x)).view(-1, 1, 1) for _ in range(2))
            x = x.clone().sub_(mean).div_(std)
        return x, int(self.labels[i])


def batches(case: Case, loader: bool, flat: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless minibatches (x, labels), images [B, H W C] or [B, C, H, W] in the case's range."""
    images, labels = case.images()
    low = -1.0 if case.tanh else 0.0

    def scale(x: torch.Tensor) -> torch.Tensor:
        return x.float() * ((1 - low) / 255) + low

    if loader:
        dataset = Images(images, labels, low)
        source = torch.utils.data.DataLoader(dataset, case.batch_size, shuffle=True, drop_last=True)
        while True:
            for x, y in source:
                yield (x.flatten(1) if flat else x), y
    x_all = torch.from_numpy(images.copy()).permute(0, 3, 1, 2)
    y_all = torch.from_numpy(labels.copy()).long()
    x_all = x_all.flatten(1) if flat else x_all
    while True:
        index = torch.randint(len(x_all), (case.batch_size,))
        yield scale(x_all[index]), y_all[index]


def stepper(case: Case, loader: bool) -> Callable[[], None]:
    """One train step of the case: n_critic updates of D, one of G."""
    g, d = players(case)
    flat = isinstance(g, MLP)
    source = batches(case, loader, flat)
    wasserstein, clip, gamma = "clip" in case.recipe, case.recipe.get("clip"), case.recipe.get("gamma")
    latent = case.recipe.get("latent", 100 if gamma is None else 64)
    n_critic, b2 = case.recipe.get("n_critic", 1), 0.999 if gamma is None else 0.99
    lr = case.recipe["lr"]
    if wasserstein:
        optimizers = [torch.optim.RMSprop(p.parameters(), lr) for p in (g, d)]
    else:
        fused = {} if loader else {"fused": True}
        optimizers = [torch.optim.Adam(p.parameters(), lr, betas=(case.recipe["b1"], b2), **fused) for p in (g, d)]
    g_optimizer, d_optimizer = optimizers

    def noise() -> torch.Tensor:
        return torch.randn(case.batch_size, latent)

    def cross_entropy(logits: torch.Tensor, real: bool) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))

    def penalty(x: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        return (gamma or 0) / 2 * gradient.square().sum((1, 2, 3)).mean()

    def d_step(x: torch.Tensor, y: torch.Tensor) -> None:
        with torch.no_grad():
            fake = g(noise(), y)
        x, fake = (images.requires_grad_(gamma is not None) for images in (x, fake))
        real_logits, fake_logits = d(x, y), d(fake, y)
        if gamma is not None:
            loss = F.softplus(fake_logits - real_logits).mean() + penalty(x, real_logits) + penalty(fake, fake_logits)
        elif wasserstein:
            loss = fake_logits.mean() - real_logits.mean()
        else:
            loss = cross_entropy(real_logits, True) + cross_entropy(fake_logits, False)
        d_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        d_optimizer.step()
        if clip is not None:
            with torch.no_grad():
                for p in d.parameters():
                    p.clamp_(-clip, clip)
        if loader:
            loss.item(), real_logits.mean().item(), fake_logits.mean().item()

    def g_step(x: torch.Tensor, y: torch.Tensor) -> None:
        if not loader:
            d.requires_grad_(False)
        logits = d(g(noise(), y), y)
        if gamma is not None:
            with torch.no_grad():
                real_logits = d(x, y)
            loss = F.softplus(real_logits - logits).mean()
        else:
            loss = -logits.mean() if wasserstein else cross_entropy(logits, True)
        g_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        g_optimizer.step()
        if loader:
            loss.item()
        else:
            d.requires_grad_(True)

    def step() -> None:
        for _ in range(n_critic):
            x, y = next(source)
            d_step(x, y)
        g_step(x.detach(), y)

    return step


def main() -> None:
    name, mode, clock = sys.argv[1:]
    now = CLOCKS[clock]
    step = stepper(CASES[name], mode == "loader")
    step()
    print("ready", torch.__version__, flush=True)
    for line in sys.stdin:
        started = now()
        for _ in range(int(line)):
            step()
        print(now() - started, flush=True)


if __name__ == "__main__":
    main()
