"""Generators handed on: a directory that is read back here, and without gan_jax."""
