"""Prepare images of your own: python -m experiments.prepare SOURCE --size 64 --out DIR."""

from experiments import door

if __name__ == "__main__":
    door("prepare")
