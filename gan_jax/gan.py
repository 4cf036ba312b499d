"""The engine: what a GAN is (`GAN`), what it has learned (`GANState`), and the pure functions between them.

Nothing here depends on jit, donation, meshes, files or logs: wrap the functions in any JAX transformation. The parts of
`train_step` are public, for custom train steps: `fakes` generates, `d_loss` and `g_loss` are losses without updates
(for unrolling, extragradient, consensus, Jacobians of the game), `d_step` and `g_step` add the update.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array

from gan_jax import conditioning as conditions
from gan_jax import penalties
from gan_jax.conditioning import Conditioning, none
from gan_jax.losses import Loss
from gan_jax.penalties import GPenalty, Penalty
from gan_jax.priors import Prior
from gan_jax.reach import reach
from gan_jax.schedules import at
from gan_jax.typing import Condition, Data, Key, Latents, Logits, Metrics, Number, Params, Scalar, Step

Collections = dict[str, Any]

STREAMS = ("params", "dropout", "noise", "augment")
"""The rng streams that nets may draw from (`self.make_rng("noise")`); any other name falls back to "params"."""

SATURATED = 0.01
"""What the derivative of D's loss by one of its outputs is, times their number, where that output is saturated."""

NOT_TAKEN = -1.0
"""What the norm of a gradient is said to be at a step that does not take it."""

_UNCONDITIONAL = none()


class Batch(NamedTuple):
    """Data and what it is conditioned on.

    Attributes:
      x: `[..., B, *shape]`, float32, scaled to `GAN.data_range`.
      y: any pytree of arrays `[..., B, ...]`: labels int32 `[..., B]`, tag vectors, images, or a dict of several kinds;
        None for an unconditional GAN.

    `train_step` takes leaves `[n_critic, B, ...]`, all other functions leaves `[B, ...]`.
    """

    x: Array
    y: Condition = None


class Inputs(NamedTuple):
    """The generator's inputs: latents `[B, Z]` and conditions, leaves `[B, ...]`, or None."""

    z: Latents
    y: Condition = None


class StepKeys(NamedTuple):
    """The keys of a train step: one for each discriminator update, `[n_critic]`, and the generator update's."""

    d: Array
    g: Key


@flax.struct.dataclass
class Player:
    """What one player has learned: parameters, optimizer state, and every other collection of its variables.

    Attributes:
      params: the module's parameters.
      collections: the module's other variables by collection: "batch_stats" (BatchNorm, spectral norm), or custom ones.
      opt_state: the optimizer's state.
    """

    params: Params
    collections: Any  # `Collections`, or what replaces them in transformed pytrees.
    opt_state: Any

    @property
    def variables(self) -> dict[str, Any]:
        """What `module.apply` takes."""
        return {"params": self.params, **self.collections}


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


class _Keys(NamedTuple):
    """One minibatch's keys by purpose: the only place where a minibatch's key is split."""

    z: Key
    condition: Key
    generator: Key
    real: Key
    fake: Key
    penalty: Key


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class GAN:
    """A generative adversarial network as a value: its parts, and nothing that it has learned.

        state          = gan.init(rng, batch)
        state, metrics = gan.train_step(state, batch, rng)
        images         = gan.sample(state, rng, n)

    Python values (modules, losses, n_critic) are static. Numbers inside optimizers and penalties, and `ema_decay`, may
    be traced arrays (build the GAN inside the mapped function to train a population with a value per member) or
    schedules (`gan_jax.schedules`).

    A GAN can be pickled if its parts can: those of `gan_jax` can, optax's optimizers, which are closures, through
    `scheduled(optax.adam, 2e-4)`.

    Both modules are called as `module(inputs, y, train)`, positionally. They may draw from the rng streams `STREAMS`,
    keep variables in collections of their own, and sow per-example terms `[B]` into the collection "losses": those of D
    are averaged and added to the losses of both players (such as AC-GAN's classifier), those of G to G's loss only.

    Attributes:
      generator: Flax module, `(z [B, Z], y, train) -> x [B, *shape]`.
      discriminator: Flax module, `(x [B, *shape], y, train) -> logits [B]`, or logits `[B, rows, columns]` of patches,
        over which the loss is averaged too.
      loss: the adversarial game, see `gan_jax.losses`.
      g_optimizer, d_optimizer: optax transformations. They get the number of generator updates as the extra
        argument `step`, for `gan_jax.transforms.scheduled`.
      prior: `(rng, n) -> z [n, Z]`.
      n_critic: discriminator updates per generator update, each with a fresh minibatch.
      penalty: added to the discriminator's loss, see `gan_jax.penalties`.
      g_penalty: `(real, fake, step) -> scalar`, added to the generator's loss: how far examples made from a condition
        are from the real ones that have it, see `penalties.l1`.
      conditioning: what the GAN is conditioned on, see `gan_jax.conditioning`.
      data_range: (low, high) that image data is scaled to: (-1, 1) for tanh, (0, 1) for sigmoid outputs.
      ema_decay: decay of the generator's running average, or None. The average is warmed up,
        min(decay, (1 + step) / (10 + step)), so that the random start is forgotten at once.
      accumulate: micro-batches per update. Each minibatch is divided into that many equal parts, which are processed
        one after the other to save memory, and their gradients are averaged. Up to rounding this is the update of the
        whole minibatch if nets have no batch statistics and neither nets nor penalties draw noise. BatchNorm normalises
        each part by its own statistics.
      axis_name: mapped axis (pmap, shard_map, vmap) over which gradients, metrics and statistics are averaged. Noise
        differs per device even if the key does not. Modules with BatchNorm need the same axis_name.

    Raises:
      ValueError: n_critic or accumulate is below 1, or data_range is empty.
    """

    generator: Any
    discriminator: Any
    loss: Loss
    g_optimizer: optax.GradientTransformation
    d_optimizer: optax.GradientTransformation
    prior: Prior
    n_critic: int = 1
    penalty: Penalty = penalties.none
    g_penalty: GPenalty = penalties.no_distance
    conditioning: Conditioning = _UNCONDITIONAL
    data_range: tuple[float, float] = (-1.0, 1.0)
    ema_decay: Number | None = None
    accumulate: int = 1
    axis_name: str | None = None

    def __post_init__(self) -> None:
        for name in ("n_critic", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.data_range[0] < self.data_range[1]:
            raise ValueError(f"data_range must be (low, high) with low < high, got {self.data_range}")

    def replace(self, **changes: Any) -> "GAN":
        """The same GAN with some fields changed."""
        return dataclasses.replace(self, **changes)

    def init(self, rng: Key, batch: Batch) -> GANState:
        """A fresh state for batches like `batch`.

        Args:
          rng: decides the parameters of both players.
          batch: leaves `[n_critic, B, ...]`; only shapes and dtypes matter.

        Raises:
          ValueError: the batch's leading axis is not n_critic, x is not float, or y not what `conditioning` says; the
            generator makes examples of another shape than x, or can't reach all of data_range.
        """
        self._check_minibatches(batch)
        g_rng, d_rng, z_rng = jax.random.split(rng, 3)
        x, y = jax.tree.map(lambda leaf: leaf[0, :1], batch)
        z = self.prior(z_rng, 1)
        generator, fake = _player(self.generator, self.g_optimizer, g_rng, z, y)
        if fake.shape != x.shape:
            raise ValueError(
                f"the generator makes examples of shape {fake.shape[1:]} and the data has {x.shape[1:]}: give both the "
                "same, images as [H, W, C]"
            )
        self._check_range(generator, z, y, x)
        return GANState(
            step=jnp.zeros((), jnp.int32),
            generator=generator,
            discriminator=_player(self.discriminator, self.d_optimizer, d_rng, x, y)[0],
            ema=None if self.ema_decay is None else jax.tree.map(jnp.copy, generator.variables),
        )

    def step_keys(self, rng: Key) -> StepKeys:
        """The keys that `train_step` gives to its discriminator updates and to its generator update."""
        d_rng, g_rng = jax.random.split(rng)
        return StepKeys(jax.random.split(d_rng, self.n_critic), g_rng)

    def train_step(
        self, state: GANState, batch: Batch, rng: Key, *, norms: Array | None = None
    ) -> tuple[GANState, Metrics]:
        """n_critic times `d_step`, each on its own minibatch, then one `g_step` (on the last minibatch).

        Args:
          state: what `init` or the last step returned.
          batch: leaves `[n_critic, B, ...]`.
          rng: this step's key.
          norms: whether to take the norms of gradients, a bool scalar; where it is false they are `NOT_TAKEN`, which
            saves time on CPUs. None takes them.

        Returns:
          The next state, and the metrics of the last `d_step` and of `g_step`.

        Raises:
          ValueError: the batch's leading axis is not n_critic; also as in `d_step`.
        """
        self._check_minibatches(batch)
        keys = self.step_keys(rng)
        # G does not change while D does, so all fakes can be made at once: in larger matrix products, which are faster.
        fakes = jax.vmap(self.fakes, (None, 0, 0))(state, batch, keys.d)
        state, d_metrics = lax.scan(
            lambda state, inputs: self.d_step(state, *inputs, norms=norms), state, (batch, keys.d, fakes)
        )
        last_batch, d_metrics = jax.tree.map(lambda leaf: leaf[-1], (batch, d_metrics))
        state, g_metrics = self.g_step(state, last_batch, keys.g, norms=norms)
        return state, d_metrics | g_metrics

    def d_step(
        self, state: GANState, batch: Batch, rng: Key, fakes: Batch | None = None, *, norms: Array | None = None
    ) -> tuple[GANState, Metrics]:
        """One discriminator update on a minibatch; the generator does not change.

        Args:
          state: where to start.
          batch: real examples, leaves `[B, ...]`.
          rng: this update's key.
          fakes: what `fakes` returns for the same arguments; None to generate them here.
          norms: as in `train_step`.

        Returns:
          The state after the update, and the metrics of the minibatch before it.

        Raises:
          ValueError: the discriminator's logits are not `[B]`, `accumulate` does not divide B, x is not float, or y not
            what `conditioning` says.
        """
        fakes = self.fakes(state, batch, rng) if fakes is None else fakes

        def loss(params: Params, collections: Collections, inputs: tuple[Batch, Batch], rng: Key) -> Any:
            player = dataclasses.replace(state.discriminator, collections=collections)
            return self.d_loss(params, dataclasses.replace(state, discriminator=player), *inputs, rng)

        player, metrics, norm = self._update(
            loss, state.discriminator, self.d_optimizer, (batch, fakes), rng, state.step, norms
        )
        return dataclasses.replace(state, discriminator=player), metrics | {"d_grad": norm}

    def g_step(
        self, state: GANState, batch: Batch, rng: Key, *, norms: Array | None = None
    ) -> tuple[GANState, Metrics]:
        """One generator update against a minibatch; the discriminator does not change.

        `state.step` counts these updates.

        Args:
          state: where to start.
          batch: real examples, leaves `[B, ...]`: conditions, and data for losses that compare with it.
          rng: this update's key.
          norms: as in `train_step`.

        Returns:
          The state after the update, and the metrics of the minibatch before it.

        Raises:
          ValueError: the discriminator's logits are not `[B]`, `accumulate` does not divide B, x is not float, or y not
            what `conditioning` says.
        """

        def loss(params: Params, collections: Collections, inputs: tuple[Batch, Inputs], rng: Key) -> Any:
            player = dataclasses.replace(state.generator, collections=collections)
            batch, noise = inputs
            return self.g_loss(params, dataclasses.replace(state, generator=player), batch, rng, noise)

        inputs = batch, self.inputs(batch, rng)
        player, metrics, norm = self._update(loss, state.generator, self.g_optimizer, inputs, rng, state.step, norms)
        ema = state.ema
        if ema is not None:
            assert self.ema_decay is not None
            decay = jnp.minimum(at(self.ema_decay, state.step), (1 + state.step) / (10 + state.step))
            ema = optax.incremental_update(player.variables, ema, 1 - decay)
        state = dataclasses.replace(state, step=state.step + 1, generator=player, ema=ema)
        return state, metrics | {"g_grad": norm}

    def d_loss(
        self, d_params: Params, state: GANState, batch: Batch, fakes: Batch, rng: Key
    ) -> tuple[Scalar, tuple[Collections, Metrics]]:
        """The discriminator's loss at d_params, with the penalty.

        Real and fake pass through D one after the other, so BatchNorm normalises each by its own statistics.

        Args:
          d_params: parameters of D, such as `state.discriminator.params`.
          state: everything else.
          batch: real examples, leaves `[B, ...]`.
          fakes: generated ones, see `fakes`.
          rng: this minibatch's key.

        Returns:
          The scalar to minimise; then D's other collections after both passes, and the metrics of `d_step`.

        Raises:
          ValueError: the discriminator's logits are not `[B]`, real and generated examples have different shapes, x is
            not float, or y not what `conditioning` says.
        """
        self._check(batch)
        if fakes.x.shape[1:] != batch.x.shape[1:]:
            raise ValueError(f"real examples have shape {batch.x.shape[1:]} and generated ones {fakes.x.shape[1:]}")
        keys, collections = self._keys(rng), state.discriminator.collections

        def critic(x: Data) -> Logits:
            logits = self._logits(d_params, collections, Batch(x, batch.y), keys.penalty)[0]
            return jnp.mean(logits, axis=tuple(range(1, logits.ndim)))

        real_logits, real_terms, after = self._logits(d_params, collections, batch, keys.real)
        fake_logits, fake_terms, after = self._logits(d_params, after, fakes, keys.fake)
        adversarial = self.loss.d(real_logits, fake_logits)
        d_loss = adversarial + real_terms + fake_terms
        penalty = self.penalty(critic, batch.x, fakes.x, keys.penalty, state.step)
        metrics: Metrics = {
            "d_loss": d_loss,
            "penalty": penalty,
            "estimate": self.loss.estimate(adversarial),
            "d_real": jnp.mean(self.loss.score(real_logits)),
            "d_fake": jnp.mean(self.loss.score(fake_logits)),
            "saturated": self._saturated(real_logits, fake_logits),
        }
        return d_loss + penalty, (after, metrics)

    def g_loss(
        self, g_params: Params, state: GANState, batch: Batch, rng: Key, inputs: Inputs | None = None
    ) -> tuple[Scalar, tuple[Collections, Metrics]]:
        """The generator's loss at g_params.

        Args:
          g_params: parameters of G, such as `state.generator.params`.
          state: everything else.
          batch: real examples, leaves `[B, ...]`: conditions, and data for losses that compare with it.
          rng: this minibatch's key.
          inputs: what `inputs` returns for the same batch and key; None to draw them here.

        Returns:
          The scalar to minimise; then G's other collections, and the metrics of `g_step`.

        Raises:
          ValueError: the discriminator's logits are not `[B]`.
        """
        keys, d = self._keys(rng), state.discriminator
        # Per device, like the data: custom derivatives may need both operands to vary over the same axes.
        d_params = self._per_device(d.params)
        inputs = self.inputs(batch, rng) if inputs is None else inputs
        fake, terms, after = _applied(self.generator, g_params, state.generator.collections, inputs, keys.generator)
        real_logits, _, _ = self._logits(d_params, d.collections, batch, keys.real)
        fake_logits, fake_terms, _ = self._logits(d_params, d.collections, Batch(fake, inputs.y), keys.fake)
        distance = self.g_penalty(batch.x, fake, state.step)
        g_loss = self.loss.g(real_logits, fake_logits) + terms + fake_terms + distance
        return g_loss, (after, {"g_loss": g_loss, "d_fake_after": jnp.mean(self.loss.score(fake_logits))})

    def inputs(self, batch: Batch, rng: Key) -> Inputs:
        """The generator's inputs for a minibatch with leaves `[B, ...]`: latents, and the conditions of the fakes."""
        self._check(batch)
        keys = self._keys(rng)
        return Inputs(self.prior(keys.z, batch.x.shape[0]), self.conditioning.for_fakes(keys.condition, batch.y))

    def fakes(self, state: GANState, batch: Batch, rng: Key) -> Batch:
        """The fakes that `d_step` with this key uses for a minibatch `[B, ...]`, from G in training mode."""
        g, inputs = state.generator, self.inputs(batch, rng)
        x, _, _ = _applied(self.generator, g.params, g.collections, inputs, self._keys(rng).generator)
        return Batch(x, inputs.y)

    def discriminate(self, state: GANState, x: Data, y: Condition = None) -> Logits:
        """D(x, y) in inference mode: logits `[B]` of data `[B, *shape]` in `data_range`.

        Raises:
          ValueError: x is not float, or y not what `conditioning` says.
        """
        x, y = jnp.asarray(x), conditions.as_arrays(y)
        self._check(Batch(x, y))
        return self.discriminator.apply(state.discriminator.variables, x, y, False)

    def generate(self, state: GANState, z: Latents, y: Condition = None, rng: Key | None = None) -> Data:
        """G(z, y) with the averaged generator if there is one, in inference mode: `[B, *shape]` in `data_range`.

        Args:
          state: the trained state.
          z: latents `[B, Z]`.
          y: conditions, leaves `[B, ...]`.
          rng: needed by generators that draw noise of their own in inference mode.

        Raises:
          ValueError: y is not what `conditioning` says.
        """
        z, y = jnp.asarray(z), conditions.as_arrays(y)
        conditions.check(self.conditioning, y, z.shape[:1])
        variables = state.generator.variables if state.ema is None else state.ema
        return self.generator.apply(variables, z, y, False, rngs=None if rng is None else _streams(rng))

    def sample(self, state: GANState, rng: Key, n: int, y: Condition = None) -> Data:
        """n samples `[n, *shape]` in `data_range`, from `generate`.

        Args:
          state: the trained state.
          rng: decides latents, conditions and the generator's own noise.
          n: number of samples.
          y: conditions, leaves `[n, ...]`, or one label for all; None to draw them, see `Conditioning.draw`.

        Raises:
          InputError: y is None, and the GAN is conditioned on data.
          ValueError: y is not what `conditioning` says.
        """
        z_rng, y_rng, g_rng = jax.random.split(rng, 3)
        y = self.conditioning.draw(y_rng, n) if y is None else conditions.as_arrays(y)
        if self.conditioning.kind == "labels" and y.ndim == 0:
            y = jnp.broadcast_to(y, (n,))
        return self.generate(state, self.prior(z_rng, n), y, g_rng)

    def _check(self, batch: Batch, axes: int = 1) -> None:
        """Checks a minibatch, leaves `[B, ...]`, or several; from shapes and dtypes, which cost nothing under jit."""
        if not jnp.issubdtype(batch.x.dtype, jnp.floating):
            raise ValueError(
                f"x must be float32 in data_range {self.data_range}, got {batch.x.dtype}: "
                "gan_jax.training.as_batch scales uint8 images"
            )
        conditions.check(self.conditioning, batch.y, batch.x.shape[:axes])

    def _check_minibatches(self, batch: Batch) -> None:
        sizes = {leaf.shape[:1] for leaf in jax.tree.leaves(batch)}
        if sizes != {(self.n_critic,)}:
            raise ValueError(
                f"every leaf of the batch must be [n_critic={self.n_critic}, B, ...], a fresh minibatch for each "
                f"discriminator update; got shapes {[leaf.shape for leaf in jax.tree.leaves(batch)]}"
            )
        self._check(batch, axes=2)

    def _check_range(self, generator: Player, z: Latents, y: Condition, x: Data) -> None:
        if x.ndim != 4:  # Only images are scaled to data_range.
            return
        low, high = reach(lambda z, y: self.generator.apply(generator.variables, z, y, False), z, y)
        if self.data_range[0] < low or high < self.data_range[1]:
            raise ValueError(
                f"the generator's outputs lie between {low:g} and {high:g} and data_range is {self.data_range}: set "
                "data_range to what the generator's last activation reaches, (-1, 1) of tanh, (0, 1) of sigmoid"
            )

    def _keys(self, rng: Key) -> _Keys:
        if self.axis_name is not None:
            rng = jax.random.fold_in(rng, lax.axis_index(self.axis_name))
        return _Keys(*jax.random.split(rng, len(_Keys._fields)))

    def _per_device(self, params: Params) -> Params:
        """The same numbers, marked as varying over the axis: as by `lax.pcast`, which fails under vmap in jax 0.10."""
        if self.axis_name is None:
            return params
        here = lax.axis_index(self.axis_name) >= 0
        return jax.tree.map(lambda p: jnp.where(here, p, p), params)

    def _logits(
        self, params: Params, collections: Collections, batch: Batch, rng: Key
    ) -> tuple[Logits, Scalar, Collections]:
        logits, terms, after = _applied(self.discriminator, params, collections, batch, rng)
        if logits.shape[:1] != batch.x.shape[:1] or logits.ndim not in (1, 3):
            raise ValueError(
                f"the discriminator must return logits [B] = {batch.x.shape[:1]}, got {logits.shape}; only those of "
                "patches are [B, rows, columns]"
            )
        return logits, terms, after

    def _saturated(self, real_logits: Logits, fake_logits: Logits) -> Scalar:
        """The share of D's outputs that its loss hardly depends on any more, see `Metrics`."""
        logits = lax.stop_gradient((real_logits, fake_logits))
        pulls = jax.grad(self.loss.d, argnums=(0, 1))(*logits)
        real, fake = (jnp.mean(jnp.abs(pull) * pull.size < SATURATED) for pull in pulls)
        return (real + fake) / 2

    def _update(
        self,
        loss: Callable[[Params, Collections, Any, Key], tuple[Scalar, tuple[Collections, Metrics]]],
        player: Player,
        optimizer: optax.GradientTransformation,
        inputs: Any,
        rng: Key,
        step: Step,
        norms: Array | None,
    ) -> tuple[Player, Metrics, Scalar]:
        """The player after one update; the metrics of the loss, and the norm of its gradient, before it."""
        # Where shard_map tracks replication, the gradient of replicated parameters would already be summed over
        # devices; taken per device, the mean below is the same under pmap, shard_map and vmap.
        params = self._per_device(player.params)
        gradient = jax.grad(loss, has_aux=True)
        if self.accumulate == 1:
            gradients, (collections, metrics) = gradient(params, player.collections, inputs, rng)
        else:
            gradients, collections, metrics = self._accumulated(gradient, params, player.collections, inputs, rng)
        if self.axis_name is not None:
            gradients, collections, metrics = lax.pmean((gradients, collections, metrics), self.axis_name)
        optimizer = optax.with_extra_args_support(optimizer)
        updates, opt_state = optimizer.update(gradients, player.opt_state, player.params, step=step)
        player = Player(optax.apply_updates(player.params, updates), collections, opt_state)
        return player, metrics, _norm(gradients, norms)

    def _accumulated(
        self, gradient: Callable[..., Any], params: Params, collections: Collections, inputs: Any, rng: Key
    ) -> tuple[Any, Collections, Metrics]:
        """Gradients and metrics, each the mean over micro-batches, and the collections after the last one."""
        k = self.accumulate
        size = jax.tree.leaves(inputs)[0].shape[0]
        if size % k:
            raise ValueError(
                f"a minibatch of {size} can't be divided into accumulate={k} equal parts: choose a multiple of {k}"
            )
        parts = jax.tree.map(lambda leaf: leaf.reshape(k, size // k, *leaf.shape[1:]), inputs)

        def of_part(collections: Collections, i: Any) -> tuple[Any, Collections, Metrics]:
            part = jax.tree.map(lambda leaf: leaf[i], parts)
            gradients, (after, metrics) = gradient(params, collections, part, jax.random.fold_in(rng, i))
            return gradients, after, metrics

        def body(carry: Any, i: Any) -> tuple[Any, None]:
            gradients, collections, metrics = carry
            more, collections, found = of_part(collections, i)
            gradients, metrics = jax.tree.map(jnp.add, (gradients, metrics), (more, found))
            return (gradients, collections, metrics), None

        sums, _ = lax.scan(body, of_part(collections, 0), jnp.arange(1, k))
        gradients, collections, metrics = sums
        gradients, metrics = jax.tree.map(lambda leaf: leaf / k, (gradients, metrics))
        return gradients, collections, metrics


def _norm(gradients: Any, taken: Array | None) -> Scalar:
    """The gradient's norm, or `NOT_TAKEN` where `taken` is given and false."""
    # Behind a barrier: as one more reader of the gradients the norm could change how XLA fuses, and rounds.
    gradients = lax.optimization_barrier(gradients)
    if taken is None:
        return optax.tree.norm(gradients)

    def nothing(gradients: Any) -> Scalar:
        return jnp.full_like(optax.tree.norm(gradients), NOT_TAKEN)

    # A CPU saves the time of a branch that is not taken. An accelerator waits for the host at each, which takes longer.
    return lax.platform_dependent(
        gradients,
        taken,
        cpu=lambda gradients, taken: lax.cond(taken, optax.tree.norm, nothing, gradients),
        default=lambda gradients, taken: jnp.where(taken, optax.tree.norm(gradients), NOT_TAKEN),
    )


def _streams(rng: Key) -> dict[str, Key]:
    return dict(zip(STREAMS, jax.random.split(rng, len(STREAMS)), strict=True))


def _player(
    module: Any, optimizer: optax.GradientTransformation, rng: Key, inputs: Array, y: Condition
) -> tuple[Player, Array]:
    """A fresh player, and its output."""
    output, variables = module.init_with_output(_streams(rng), inputs, y, False)
    params = variables.get("params", {})  # A player without any is a fixed function.
    kept = {name: value for name, value in variables.items() if name not in ("params", "losses", "intermediates")}
    return Player(params, kept, optimizer.init(params)), output


def _applied(
    module: Any, params: Params, collections: Collections, inputs: Batch | Inputs, rng: Key
) -> tuple[Array, Scalar, Collections]:
    """The module's output in training mode, the sum of the means of its sown terms, and its collections afterwards."""
    output, after = module.apply(
        {"params": params, **collections}, *inputs, True, rngs=_streams(rng), mutable=[*collections, "losses"]
    )
    terms = sum((jnp.mean(term) for term in jax.tree.leaves(after.pop("losses", {}))), start=jnp.zeros(()))
    return output, terms, after
