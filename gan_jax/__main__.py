"""`python -m gan_jax COMMAND`: the same commands as those of the console script `gan-jax`."""

from gan_jax.lab.main import main

if __name__ == "__main__":
    main(program="python -m gan_jax {}")
