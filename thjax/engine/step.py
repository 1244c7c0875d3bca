"""`make_step`: a stage's declarations become one pure function of (state, batch, key)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from thjax.core.config import GuardConfig
from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine.guard import all_finite, finite_examples, global_norm, judge
from thjax.engine.remat import SaveNames
from thjax.engine.stage import GradPhase, Stage, WritePhase
from thjax.engine.state import Batch, Metrics, TrainState, params_of
from thjax.optim import average, average_decay, updates_made

StepFn = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]


def make_step(stage: Stage, ctx: Context, guard: GuardConfig = GuardConfig(), accumulate: int = 1) -> StepFn:
    """Builds the training step of a stage: no jit, no mesh, no clock, no IO.

    Args:
        stage: what to train; its optimizers already hold back updates when accumulating (see `with_accumulation`).
        ctx: reductions over the global batch.
        guard: what to do with results that are not finite.
        accumulate: micro-steps per update. They share the random key of their update and the turns of `every`, so
            that `accumulate` micro-steps draw what one step on the large batch draws. A micro-step that the guard
            throws away is not made up for on time: the update comes after `accumulate` kept ones.

    Returns:
        (state, batch, key) -> (state, metrics). `key` is the key of the whole run: the step folds its counter in.
    """

    def step(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        """One step of the stage; see `make_step`."""
        rngs = Rngs(jax.random.fold_in(key, state.step // accumulate), batch["example_id"])
        turn = state.stage_step // accumulate
        nets, scalars, per_example, losses, norms = _run_phases(stage, state.nets, turn, batch, rngs, ctx)
        changed = [name for name in nets if nets[name] is not state.nets[name]]
        # Inputs are judged as well: a label that nothing reads today must not spoil the first loss that does.
        inputs_finite = finite_examples(batch)
        # Finite gradients make a finite update. Asking the new weights themselves would keep the compiler from updating
        # them in one pass: a fifth of the time of a step of wide layers on CPU.
        finite = all_finite(([nets[name].variables for name in changed], losses, norms))
        finite &= ctx.psum(jnp.sum(~inputs_finite)) == 0
        ran = jnp.array([turn % phase.every == 0 for phase in stage.gradient_phases], bool)
        judged, keep = judge(state.guard, guard, finite, norms, ran)
        for name in changed:
            nets[name] = jax.tree.map(lambda new, old: jnp.where(keep, new, old), nets[name], state.nets[name])
        ema, ema_updates = _average(stage, state, nets, keep)
        verdict = {
            "gradient_norm": jnp.sqrt((norms**2).sum()),
            "bad_steps": judged.bad_steps,
            "spikes": judged.spikes,
            "kept": keep,
            "halted": judged.halted,
        }
        _add(scalars, verdict, stage)
        _add(per_example, {"inputs_finite": inputs_finite}, stage)
        new = TrainState(
            step=state.step + 1,
            stage_step=state.stage_step + 1,
            nets=nets,
            ema=ema,
            ema_updates=ema_updates,
            guard=judged,
        )
        return new, Metrics(scalars, per_example)

    return step


def _run_phases(stage: Stage, start, turn, batch, rngs, ctx):
    """All phases, not yet judged: (nets, scalars, per-example values, [P] losses, [P] gradient norms)."""
    nets = dict(start)
    scalars, per_example, losses, norms = {}, {}, [], []
    remat = None if stage.remat is None else SaveNames(stage.remat)

    def run_shared(params):
        return stage.shared(params, start, batch, rngs, ctx)

    params = params_of(start, stage.shared_trains)
    shared, pull, variables = jax.vjp(_recomputed(run_shared, remat), params, has_aux=True)
    for name, value in variables.items():
        nets[name] = nets[name].replace(variables=value)

    for phase in stage.phases:
        if isinstance(phase, WritePhase):
            written = phase.write(nets[phase.net].variables, nets, shared, batch, rngs, ctx)
            nets[phase.net] = nets[phase.net].replace(variables=written)
            continue
        run = _grad_phase(phase, stage, start, shared, pull, remat, batch, rngs, ctx)
        updated, metrics, examples, loss, norm = (
            run(nets) if phase.every == 1 else _on_turn(turn % phase.every == 0, run, nets)
        )
        nets.update(updated)
        _add(scalars, metrics, stage)
        _add(per_example, examples, stage)
        losses.append(loss)
        norms.append(norm)
    if remat:
        remat.check()
    return nets, scalars, per_example, jnp.array(losses), jnp.array(norms)


def _recomputed(function, remat: SaveNames | None):
    """`function`, its activations recomputed in the backward pass where the stage asks for it."""
    return function if remat is None else jax.checkpoint(function, policy=remat)


def _add(collected: dict, new, stage: Stage):
    """Adds named values; two values of one name would hide one of them."""
    if twice := sorted(collected.keys() & new.keys()):
        raise ValueError(f"stage {stage.name!r} reports {twice} twice; give each phase its own names")
    collected.update(new)


def _grad_phase(phase: GradPhase, stage: Stage, start, shared, pull, remat, batch, rngs, ctx):
    """A function nets -> (updated nets of this phase, metrics, per-example values, loss, gradient norm)."""
    names = [trained.net for trained in phase.trains]

    def run(nets):
        """Trains the phase's networks, reading those in `nets` or those of the start."""
        seen = nets if phase.reads == "updated" else start

        def loss(params, shared):
            return phase.loss(params, seen, shared, batch, rngs, ctx)

        params = params_of(nets, names)
        argnums = (0, 1) if phase.through_shared else (0,)
        grad_fn = jax.value_and_grad(_recomputed(loss, remat), argnums, has_aux=True, allow_int=True)
        (value, aux), (grads, *cotangent) = grad_fn(params, shared)
        if phase.through_shared:
            (back,) = pull(*cotangent)
            grads = {n: jax.tree.map(jnp.add, grads[n], back[n]) if n in back else grads[n] for n in names}
        if foreign := sorted(aux.variables.keys() - set(names)):
            raise ValueError(f"stage {stage.name!r}: a phase that trains {names} returns variables of {foreign}")
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
        # The loss may be NaN where its gradient is not: a NaN that no parameter reaches. All shards must judge alike.
        return updated, aux.metrics, aux.per_example, ctx.pmean(value), global_norm(grads)

    return run


def _on_turn(turn, run, nets):
    """Runs a phase when its turn has come; an idle phase leaves its networks alone and reports NaN."""

    def floating(x):  # NaN needs a floating type; counts and flags have none
        return x.astype(jnp.promote_types(x.dtype, jnp.float32))

    def busy(nets):
        updated, metrics, examples, loss, norm = run(nets)
        return updated, jax.tree.map(floating, metrics), jax.tree.map(floating, examples), loss, norm

    def idle(nets):
        updated, *reports, loss, norm = jax.eval_shape(busy, nets)

        def blank(shape):
            return jnp.full(shape.shape, jnp.nan, shape.dtype)

        same = {name: nets[name] for name in updated}
        return same, *jax.tree.map(blank, reports), jnp.zeros(loss.shape, loss.dtype), jnp.zeros(norm.shape, norm.dtype)

    return jax.lax.cond(turn, busy, idle, nets)


def _average(stage: Stage, state: TrainState, nets, keep):
    """The averaged weights after this step and how many updates they have seen; they move with kept updates only."""
    ema, counts = {}, {}
    for name in stage.ema.nets:
        moves = keep & updates_made(state.nets[name].opt_state, nets[name].opt_state)
        counts[name] = state.ema_updates[name] + moves
        decay = average_decay(stage.ema.decay, state.ema_updates[name] + 1)
        ema[name] = average(state.ema[name], nets[name].params, decay, moves)
    return ema, counts
