"""`make_step`: a stage's declarations become one pure function of (state, batch, key)."""

from typing import Callable

import jax
import jax.numpy as jnp
import optax

from thjax.core.config import GuardConfig
from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine.guard import all_finite, finite_examples, judge
from thjax.engine.stage import GradPhase, Stage, WritePhase
from thjax.engine.state import Batch, Metrics, TrainState, params_of

StepFn = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]


def make_step(stage: Stage, ctx: Context, guard: GuardConfig = GuardConfig(), accumulate: int = 1) -> StepFn:
    """Builds the training step of a stage: no jit, no mesh, no clock, no IO.

    Args:
        stage: what to train; its optimizers already hold back updates when accumulating (see `enter_stage`).
        ctx: reductions over the global batch.
        guard: what to do with results that are not finite.
        accumulate: micro-steps per update; the EMA moves with the updates.

    Returns:
        (state, batch, key) -> (state, metrics). `key` is the key of the whole run: the step folds its counter in.
    """

    def step(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        rngs = Rngs(jax.random.fold_in(key, state.step), batch["example_id"])
        start, nets = state.nets, dict(state.nets)
        scalars, per_example, norms = {}, {}, []

        def run_shared(params):
            return stage.shared(params, start, batch, rngs, ctx)

        shared, pull, variables = jax.vjp(run_shared, params_of(start, stage.shared_trains), has_aux=True)
        for name, value in variables.items():
            nets[name] = nets[name].replace(variables=value)

        for phase in stage.phases:
            if isinstance(phase, WritePhase):
                written = phase.write(nets[phase.net].variables, nets, shared, batch, rngs, ctx)
                nets[phase.net] = nets[phase.net].replace(variables=written)
                continue
            run = _grad_phase(phase, stage, start, shared, pull, batch, rngs, ctx)
            updated, metrics, examples, norm = _every(phase.every, state.stage_step, run, nets)
            nets.update(updated)
            scalars |= metrics
            per_example |= examples
            norms.append(norm)

        norm = jnp.sqrt(sum(n**2 for n in norms)) if norms else jnp.float32(0)
        finite = all_finite((nets, norm))
        judged, keep = judge(state.guard, guard, finite, norm)
        nets = jax.tree.map(lambda new, old: jnp.where(keep, new, old), nets, dict(start))
        ema = _average(stage, state, nets, keep, accumulate)
        scalars |= {
            "gradient_norm": norm, "bad_steps": judged.bad_steps, "spikes": judged.spikes,
            "kept": keep, "halted": judged.halted,
        }
        per_example |= {"inputs_finite": finite_examples(batch)}
        new = TrainState(step=state.step + 1, stage_step=state.stage_step + 1, nets=nets, ema=ema, guard=judged)
        return new, Metrics(scalars, per_example)

    return step


def _grad_phase(phase: GradPhase, stage: Stage, start, shared, pull, batch, rngs, ctx):
    """A function nets -> (updated nets of this phase, metrics, per-example values, gradient norm)."""
    names = [trained.net for trained in phase.trains]

    def run(nets):
        seen = nets if phase.reads == "updated" else start

        def loss(params, shared):
            return phase.loss(params, seen, shared, batch, rngs, ctx)

        params = params_of(nets, names)
        if phase.through_shared:
            grad_fn = jax.value_and_grad(loss, (0, 1), has_aux=True, allow_int=True)
            (_, aux), (grads, cotangent) = grad_fn(params, shared)
            (back,) = pull(cotangent)
            grads = {n: jax.tree.map(jnp.add, grads[n], back[n]) if n in back else grads[n] for n in names}
        else:
            (_, aux), grads = jax.value_and_grad(loss, has_aux=True)(params, shared)
        # With check_vma=False psum transposes to psum, so the mean of the shards' gradients is the gradient of a
        # loss built of ctx.mean; reducing anywhere else, or twice, scales it by the number of devices.
        grads = ctx.pmean(grads)
        updated = {}
        for trained in phase.trains:
            net = nets[trained.net]
            updates, opt_state = trained.optimizer.update(grads[trained.net], net.opt_state, net.params)
            updated[trained.net] = net.replace(
                params=optax.apply_updates(net.params, updates),
                opt_state=opt_state,
                variables=aux.variables.get(trained.net, net.variables),
            )
        return updated, aux.metrics, aux.per_example, optax.global_norm(grads)

    return run


def _every(every: int, stage_step, run, nets):
    """Runs a phase when its turn has come; an idle phase returns its networks untouched and NaN metrics."""
    if every == 1:
        return run(nets)
    updated, metrics, examples, norm = jax.eval_shape(run, nets)

    def idle(nets):
        def blank(shape):
            return jnp.full(shape.shape, jnp.nan, shape.dtype)

        same = {name: nets[name] for name in updated}
        return same, jax.tree.map(blank, metrics), jax.tree.map(blank, examples), jnp.zeros(norm.shape, norm.dtype)

    return jax.lax.cond(stage_step % every == 0, run, idle, nets)


def _average(stage: Stage, state: TrainState, nets, keep, accumulate: int):
    """The EMA after this step, with a warm-up of the decay; it stands still while gradients accumulate."""
    updates = (state.stage_step + 1) // accumulate
    applied = keep & ((state.stage_step + 1) % accumulate == 0)
    decay = jnp.minimum(stage.ema.decay, (1.0 + updates) / (10.0 + updates))

    def blend(old, new):
        return jnp.where(applied, (decay * old + (1 - decay) * new).astype(old.dtype), old)

    return {name: jax.tree.map(blend, state.ema[name], nets[name].params) for name in stage.ema.nets}
