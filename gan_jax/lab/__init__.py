"""The bench around the core: what turns a recipe into runs, sweeps, studies and measurements.

    from gan_jax.lab import EXPERIMENTS, Experiment, main

    if __name__ == "__main__":
        main(EXPERIMENTS | {"mine": Experiment(my_recipe, steps=3000, batch_size=64)})

An `Experiment` is a recipe with defaults; a table of them is an argument of the commands, never a global that they look
things up in. `gan_jax.load` reads a trained run back in a script.

  experiment, options, values, objectives   what can be typed, read off a recipe's signature
  table                                     the built-in experiments
  job                                       what a run is; devices, files: where things are placed and written
  runs, measuring, sweep                    training one GAN, measuring samples, training many
  commands                                  one file each
"""

from gan_jax.lab.experiment import Config, Experiment
from gan_jax.lab.job import Job
from gan_jax.lab.loading import Trained, load
from gan_jax.lab.main import main
from gan_jax.lab.table import EXPERIMENTS

__all__ = ["EXPERIMENTS", "Config", "Experiment", "Job", "Trained", "load", "main"]
