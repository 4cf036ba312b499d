"""The engine: what a GAN is (`GAN`), what it has learned (`GANState`), and the pure functions between them.

Nothing here knows jit, donation, meshes, files or logs: wrap the functions in whichever JAX transformation is wanted.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from gan_jax.losses import Loss
from gan_jax.penalties import Penalty

Data = Float[Array, "batch *shape"]
Latents = Float[Array, "batch z"]
Condition = Array | None
Metrics = dict[str, Float[Array, "..."]]


class Batch(NamedTuple):
    """Real data and what it is conditioned on.

    Attributes:
      x: `[..., B, *shape]`, float32, scaled to `GAN.data_range`.
      y: any array `[..., B, ...]`: labels int32 `[..., B]`, tag vectors, images; None for an unconditional GAN.

    `train_step` takes leaves `[n_critic, B, ...]`, `d_step` and `g_step` leaves `[B, ...]`.
    """

    x: Array
    y: Condition = None


@flax.struct.dataclass
class Player:
    """What one player has learned: parameters, batch statistics (BatchNorm, spectral norm) and optimizer state."""

    params: Any
    batch_stats: Any
    opt_state: Any

    @property
    def variables(self) -> dict[str, Any]:
        return {"params": self.params, "batch_stats": self.batch_stats}


@flax.struct.dataclass
class GANState:
    """Everything a GAN has learned: arrays only, so states stack, shard, donate and checkpoint like any array.

    Attributes:
      step: int32 scalar, generator updates so far.
      generator, discriminator: the two players.
      ema: running average of the generator's variables, or None.
    """

    step: Any
    generator: Player
    discriminator: Player
    ema: Any = None


def no_penalty(critic: Any, real: Data, fake: Data, rng: PRNGKeyArray) -> Float[Array, ""]:
    return jnp.zeros(())


@dataclasses.dataclass(frozen=True, eq=False)
class GAN:
    """A generative adversarial network as a value: its parts, and nothing that it has learned.

        state          = gan.init(rng, batch)
        state, metrics = gan.train_step(state, batch, rng)
        images         = gan.sample(state, rng, n)

    Python values (modules, losses, n_critic) are static. Numbers inside optimizers and penalties, and `ema_decay`, may
    be traced arrays: build the GAN inside the mapped function to train a population with a value per member.

    Attributes:
      generator: Flax module, `(z [B, Z], y, train) -> x [B, *shape]`.
      discriminator: Flax module, `(x, y, train) -> logits [B]`. Per-example terms `[B]` that it sows into the
        collection "losses" are averaged and added to the loss of both players (AC-GAN's classifier lives there).
      loss: the adversarial game, see `gan_jax.losses`.
      g_optimizer, d_optimizer: optax chains.
      prior: `(rng, n) -> z [n, Z]`.
      n_critic: discriminator updates per generator update, each with a fresh minibatch.
      penalty: added to the discriminator's loss, see `gan_jax.penalties`.
      condition: `(x, labels) -> y`, what the data is conditioned on; None for an unconditional GAN.
      pair: `(rng, y) -> y`, the condition given to the fakes that meet a real batch conditioned on y.
      draw_condition: `(rng, n) -> y`, a condition for `sample` when none is given.
      data_range: (low, high) that image data is scaled to: (-1, 1) for tanh, (0, 1) for sigmoid outputs.
      ema_decay: decay of the generator's running average, or None. The average is warmed up,
        min(decay, (1 + step) / (10 + step)), so that the random start is forgotten at once.
      axis_name: mapped axis (pmap, shard_map, vmap) over which gradients, metrics and statistics are averaged. Noise
        differs per device even if the key does not. Modules with BatchNorm need the same axis_name.
    """

    generator: Any
    discriminator: Any
    loss: Loss
    g_optimizer: optax.GradientTransformation
    d_optimizer: optax.GradientTransformation
    prior: Callable[[PRNGKeyArray, int], Latents]
    n_critic: int = 1
    penalty: Penalty = no_penalty
    condition: Callable[[Data, Any], Condition] = lambda x, labels: None
    pair: Callable[[PRNGKeyArray, Condition], Condition] = lambda rng, y: y
    draw_condition: Callable[[PRNGKeyArray, int], Condition] = lambda rng, n: None
    data_range: tuple[float, float] = (-1.0, 1.0)
    ema_decay: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        if self.n_critic < 1:
            raise ValueError(f"n_critic must be at least 1, got {self.n_critic}")

    def replace(self, **changes: Any) -> "GAN":
        """The same GAN with some fields changed."""
        return dataclasses.replace(self, **changes)

    def init(self, rng: PRNGKeyArray, batch: Batch) -> GANState:
        """A fresh state for batches like `batch`: leaves `[n_critic, B, ...]`, only shapes and dtypes matter."""
        self._check(batch)
        g_rng, d_rng, z_rng = jax.random.split(rng, 3)
        x, y = jax.tree.map(lambda leaf: leaf[0, :1], batch)
        g_variables = self.generator.init(g_rng, self.prior(z_rng, 1), y, train=False)
        d_variables = self.discriminator.init(d_rng, x, y, train=False)
        generator = _player(g_variables, self.g_optimizer)
        return GANState(
            step=jnp.zeros((), jnp.int32),
            generator=generator,
            discriminator=_player(d_variables, self.d_optimizer),
            ema=None if self.ema_decay is None else jax.tree.map(jnp.copy, generator.variables),
        )

    def train_step(self, state: GANState, batch: Batch, rng: PRNGKeyArray) -> tuple[GANState, Metrics]:
        """n_critic discriminator updates, each on its own minibatch, then one generator update (on the last).

        Args:
          state: what `init` or the last step returned.
          batch: leaves `[n_critic, B, ...]`.
          rng: this step's key.

        Returns:
          The next state, and the metrics of the last `d_step` and of `g_step`.

        Raises:
          ValueError: the batch's leading axis is not n_critic.
        """
        self._check(batch)
        d_rng, g_rng = jax.random.split(rng)

        # G rests while D learns, so all its fakes can be made at once: in larger matrix products, which are faster.
        keys = jax.random.split(d_rng, self.n_critic)
        fakes = jax.vmap(functools.partial(self._opponents, state.generator))(batch, keys)

        def d_step(state: GANState, inputs: Any) -> tuple[GANState, Metrics]:
            return self._d_update(state, *inputs)

        state, d_metrics = lax.scan(d_step, state, (batch, fakes, keys))
        last_batch, d_metrics = jax.tree.map(lambda leaf: leaf[-1], (batch, d_metrics))
        state, g_metrics = self.g_step(state, last_batch, g_rng)
        return dataclasses.replace(state, step=state.step + 1), d_metrics | g_metrics

    def d_step(self, state: GANState, batch: Batch, rng: PRNGKeyArray) -> tuple[GANState, Metrics]:
        """One discriminator update on a minibatch with leaves `[B, ...]`; the generator is left as it is.

        Real and fake pass through D one after the other, so BatchNorm normalises each by its own statistics.
        Metrics: d_loss (with what D sows, without the penalty), penalty, estimate (of the divergence, from the
        adversarial part alone), d_real and d_fake (mean scores, before the update).
        """
        return self._d_update(state, batch, self._opponents(state.generator, batch, rng), rng)

    def g_step(self, state: GANState, batch: Batch, rng: PRNGKeyArray) -> tuple[GANState, Metrics]:
        """One generator update against a minibatch with leaves `[B, ...]`; the discriminator is left as it is.

        The batch supplies conditions, and real data to losses that compare with it. Metrics: g_loss, and d_fake_after:
        the mean score of fakes after D's update and before G's.
        """
        z_rng, pair_rng, real_rng, fake_rng = self._keys(rng, 4)
        judge = state.discriminator
        # Per device like what it judges: a custom derivative (the convolutions') wants both of one kind.
        judge_params = self._varying(judge.params)

        def loss_fn(params: Any) -> tuple[Array, tuple[Any, Metrics]]:
            fake, fake_y, stats = self._fakes(state.generator, params, batch, z_rng, pair_rng)
            real_logits, _, _ = self._judge(judge_params, judge.batch_stats, batch.x, batch.y, real_rng)
            fake_logits, extra, _ = self._judge(judge_params, judge.batch_stats, fake, fake_y, fake_rng)
            g_loss = self.loss.g(real_logits, fake_logits) + extra
            return g_loss, (stats, {"g_loss": g_loss, "d_fake_after": jnp.mean(self.loss.score(fake_logits))})

        player, metrics = self._update(state.generator, self.g_optimizer, loss_fn)
        ema = state.ema
        if ema is not None:
            decay = jnp.minimum(self.ema_decay, (1 + state.step) / (10 + state.step))
            ema = optax.incremental_update(player.variables, ema, 1 - decay)
        return dataclasses.replace(state, generator=player, ema=ema), metrics

    def generate(self, state: GANState, z: Latents, y: Condition = None) -> Data:
        """G(z, y) with the averaged generator if there is one, in inference mode: `[B, *shape]` in `data_range`."""
        variables = state.generator.variables if state.ema is None else state.ema
        return self.generator.apply(variables, z, y, train=False)

    def sample(self, state: GANState, rng: PRNGKeyArray, n: int, y: Condition = None) -> Data:
        """n samples `[n, *shape]` in `data_range`, of conditions y `[n, ...]` or of some that the GAN draws."""
        z_rng, y_rng = jax.random.split(rng)
        return self.generate(state, self.prior(z_rng, n), self.draw_condition(y_rng, n) if y is None else y)

    def _check(self, batch: Batch) -> None:
        sizes = {leaf.shape[:1] for leaf in jax.tree.leaves(batch)}
        if sizes != {(self.n_critic,)}:
            raise ValueError(
                f"every leaf of the batch must be [n_critic={self.n_critic}, B, ...]: a fresh minibatch for each "
                f"discriminator update; got shapes {[leaf.shape for leaf in jax.tree.leaves(batch)]}"
            )

    def _keys(self, rng: PRNGKeyArray, n: int) -> Array:
        if self.axis_name is not None:
            rng = jax.random.fold_in(rng, lax.axis_index(self.axis_name))
        return jax.random.split(rng, n)

    def _varying(self, params: Any) -> Any:
        """The same numbers as values that may differ over the axis: `lax.pcast`, which fails under vmap in jax 0.10."""
        if self.axis_name is None:
            return params
        here = lax.axis_index(self.axis_name) >= 0
        return jax.tree.map(lambda p: jnp.where(here, p, p), params)

    def _opponents(self, player: Player, batch: Batch, rng: PRNGKeyArray) -> tuple[Data, Condition]:
        """The fakes, and their conditions, that a `d_step` with this key sets against a minibatch."""
        z_rng, pair_rng, *_ = self._keys(rng, 5)
        fake, fake_y, _ = self._fakes(player, player.params, batch, z_rng, pair_rng)
        return fake, fake_y

    def _d_update(
        self, state: GANState, batch: Batch, fakes: tuple[Data, Condition], rng: PRNGKeyArray
    ) -> tuple[GANState, Metrics]:
        *_, real_rng, fake_rng, penalty_rng = self._keys(rng, 5)
        player, (fake, fake_y) = state.discriminator, fakes

        def loss_fn(params: Any) -> tuple[Array, tuple[Any, Metrics]]:
            def critic(x: Data) -> Array:
                return self._judge(params, player.batch_stats, x, batch.y, penalty_rng)[0]

            real_logits, real_extra, stats = self._judge(params, player.batch_stats, batch.x, batch.y, real_rng)
            fake_logits, fake_extra, stats = self._judge(params, stats, fake, fake_y, fake_rng)
            adversarial = self.loss.d(real_logits, fake_logits)
            penalty = self.penalty(critic, batch.x, fake, penalty_rng)
            d_loss = adversarial + real_extra + fake_extra
            metrics = {
                "d_loss": d_loss,
                "penalty": penalty,
                "estimate": self.loss.estimate(adversarial),
                "d_real": jnp.mean(self.loss.score(real_logits)),
                "d_fake": jnp.mean(self.loss.score(fake_logits)),
            }
            return d_loss + penalty, (stats, metrics)

        player, metrics = self._update(player, self.d_optimizer, loss_fn)
        return dataclasses.replace(state, discriminator=player), metrics

    def _fakes(
        self, player: Player, params: Any, batch: Batch, z_rng: PRNGKeyArray, pair_rng: PRNGKeyArray
    ) -> tuple[Data, Condition, Any]:
        y = self.pair(pair_rng, batch.y)
        variables = {"params": params, "batch_stats": player.batch_stats}
        z = self.prior(z_rng, batch.x.shape[0])
        fake, updates = self.generator.apply(variables, z, y, train=True, mutable=["batch_stats"])
        return fake, y, updates.get("batch_stats", {})

    def _judge(
        self, params: Any, batch_stats: Any, x: Data, y: Condition, rng: PRNGKeyArray
    ) -> tuple[Float[Array, " batch"], Array, Any]:
        logits, updates = self.discriminator.apply(
            {"params": params, "batch_stats": batch_stats},
            x,
            y,
            train=True,
            rngs={"dropout": rng},
            mutable=["batch_stats", "losses"],
        )
        if logits.shape != x.shape[:1]:
            raise ValueError(f"the discriminator must return logits [B] = {x.shape[:1]}, got {logits.shape}")
        extra = sum((jnp.mean(term) for term in jax.tree.leaves(updates.get("losses", {}))), start=jnp.zeros(()))
        return logits, extra, updates.get("batch_stats", {})

    def _update(
        self,
        player: Player,
        optimizer: optax.GradientTransformation,
        loss_fn: Callable[[Any], tuple[Array, tuple[Any, Metrics]]],
    ) -> tuple[Player, Metrics]:
        # Where shard_map tracks replication, the gradient of replicated parameters would already be summed over
        # devices; taken per device, the mean below is the same under pmap, shard_map and vmap.
        gradients, (batch_stats, metrics) = jax.grad(loss_fn, has_aux=True)(self._varying(player.params))
        if self.axis_name is not None:
            gradients, batch_stats, metrics = lax.pmean((gradients, batch_stats, metrics), self.axis_name)
        updates, opt_state = optimizer.update(gradients, player.opt_state, player.params)
        return Player(optax.apply_updates(player.params, updates), batch_stats, opt_state), metrics


def _player(variables: dict[str, Any], optimizer: optax.GradientTransformation) -> Player:
    params = variables.get("params", {})  # A player without any is a fixed function.
    return Player(params, variables.get("batch_stats", {}), optimizer.init(params))
