"""Train a classifier for metrics: python -m experiments.classifier DATA --out FILE."""

from experiments import door

if __name__ == "__main__":
    door("classifier")
