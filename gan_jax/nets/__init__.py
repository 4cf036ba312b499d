"""Networks as Flax Linen modules; nothing outside this package builds layers.

Generators are called with `(z, y, train)` and discriminators with `(x, y, train)`: the condition y is None for an
unconditional net, and `train` is a Python bool. Modules:

  mlp: multi-layer perceptrons, for images and points; completion of half images.
  dcgan: strided convolutions, any number of layers.
  resnet: residual convolutions without normalisation, any number of resolutions.
  unet: an image from an image, with skips.
  patches: a discriminator of patches.
  preactivation: residual convolutions of WGAN-GP and SNGAN, with or without normalisation.
  class_norm: BatchNorm whose scale and shift are those of a class.
  augment: random changes of the images that a discriminator sees (DiffAugment).
  heads: the last layer of a discriminator.
  recognition: a head that reads a generator's codes off an example, for InfoGAN.
  packing: a discriminator of several examples at once (PacGAN).
  per_channel: nets of one-channel images, applied to every channel of an image.
  classifier: a small convolutional classifier, for metrics.
  embedding: a convolutional net from images of any size to features, for metrics.
  inception: InceptionV3 as FID has it.
  layers: convolutions, the encoder of conditions, leaky ReLU.
  conditioned: a vector and the encoded condition, concatenated.
  spectral: layers with or without spectral normalisation.
  inits: initialisers of weights.
  resample: images at twice and half of their resolution.
  sizes: how many layers fit an image, and which image sizes the convolutional nets take.
"""
