"""The commands: python -m experiments."""

from experiments import door

if __name__ == "__main__":
    door()
