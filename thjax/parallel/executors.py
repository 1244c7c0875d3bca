"""Executors: one training step over all devices, by jit, shard_map or pmap, with the same result."""

import abc
import dataclasses
from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from thjax.core.config import GuardConfig, ParallelConfig
from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine.stage import Nets, Stage
from thjax.engine.state import Batch, Metrics, TrainState
from thjax.engine.step import StepFn, make_step
from thjax.engine.system import EvaluateFn, Evaluation
from thjax.parallel.compilations import compilations_so_far
from thjax.parallel.contexts import AxisContext
from thjax.parallel.mesh import (
    AXIS,
    by_example,
    check_batch,
    make_mesh,
    parts_of_batch,
    place,
    place_global,
    place_whole,
    replicate,
    replicated,
)
from thjax.parallel.sharding import LogicalAxes, shardings


def compile_step(
    stage: Stage,
    config: ParallelConfig = ParallelConfig(),
    guard: GuardConfig = GuardConfig(),
    accumulate: int = 1,
    mesh: Mesh | None = None,
    axes: LogicalAxes | None = None,
) -> "Executor":
    """The training step of a stage over all devices of a mesh; compiled at its first call, once.

    Args:
        stage: to train, already `with_accumulation`; `stage.data.batch` is the global batch of a micro-step.
        config: which executor, what to recompute; `config.devices` where no mesh is given.
        guard: see `thjax.engine.guard`.
        accumulate: micro-steps per update.
        mesh: from `make_mesh`.
        axes: names of the parameters' axes, by which a mesh with more than the axis "data" cuts them.

    Raises:
        ValueError: the batch does not divide over the devices.
    """
    mesh = make_mesh(config.devices, config.fsdp, config.tensor) if mesh is None else mesh
    check_batch(stage.data.batch, parts_of_batch(mesh))
    if config.executor not in EXECUTORS:
        raise ValueError(f"parallel.executor {config.executor!r} is unknown; use {' | '.join(EXECUTORS)}")
    if config.remat != "none":
        kept = () if config.remat == "all" else tuple(name.strip() for name in config.remat.split(","))
        stage = dataclasses.replace(stage, remat=kept)
    ctx = Context() if config.executor == "jit" else AxisContext(AXIS, mesh.size)
    return EXECUTORS[config.executor](make_step(stage, ctx, guard, accumulate), mesh, axes or {})


class Executor(abc.ABC):
    """A compiled step and the placement of what it takes. The state is donated: use the returned one."""

    def __init__(self, step: StepFn, mesh: Mesh, axes: LogicalAxes):
        self.mesh, self._axes = mesh, axes
        self.compilations = 0
        """Programs compiled by `step` so far; a run needs one."""
        self._step = self._spread(step)
        self._key: tuple[jax.Array, jax.Array] | None = None

    @abc.abstractmethod
    def _spread(self, step: StepFn):
        """The jitted function (state, batch, key) -> (state, metrics) over the mesh."""

    def state_shardings(self, state: TrainState):
        """Where every leaf of a state of these shapes lies."""
        return shardings(state, self._axes, self.mesh)

    def place_state(self, state: TrainState) -> TrainState:
        """The state on its devices. Takes `state` over: the first step gives its buffers away."""
        return place(state, self.state_shardings(state), self.mesh)

    def place_batch(self, local: Mapping[str, np.ndarray]) -> Batch:
        """The global batch, from the contiguous rows {field: [rows, ...]} of this process."""
        return place_global(local, self.mesh)

    def step(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        """One step; returns before the devices are done.

        Args:
            state: from `place_state` or the step before; its buffers are given away.
            batch: from `place_batch`.
            key: typed key of the run, the same at every step.

        Returns:
            The new state, and metrics whose `per_example` values are [B] in global order.
        """
        key = self._placed_key(key)
        before = compilations_so_far()
        result = self._step(state, batch, key)
        self.compilations += compilations_so_far() - before
        return result

    def lower(self, state: TrainState, batch: Batch, key: jax.Array) -> jax.stages.Lowered:
        """The step lowered for arrays or `jax.ShapeDtypeStruct`s of global shape; nothing runs, nothing is placed."""
        everywhere = replicated(self.mesh)
        placed = jax.tree.map(shaped, state, self.state_shardings(state))
        return self._step.lower(placed, shaped(batch, by_example(self.mesh)), shaped(key, everywhere))

    def _placed_key(self, key: jax.Array) -> jax.Array:
        """The key on all devices; placed once, since the key of a run never changes."""
        if self._key is None or self._key[0] is not key:
            data = replicate(jax.random.key_data(key), self.mesh)
            self._key = (key, jax.random.wrap_key_data(data, impl=jax.random.key_impl(key)))
        return self._key[1]


class JitExecutor(Executor):
    """Global arrays: the compiler partitions the step along the batch, and along the axes that cut the state."""

    def _spread(self, step: StepFn):
        everywhere = replicated(self.mesh)
        metrics_go = Metrics(scalars=everywhere, per_example=by_example(self.mesh))
        if self.mesh.axis_names == (AXIS,):
            return jax.jit(step, donate_argnums=0, out_shardings=(everywhere, metrics_go))

        def stay(state, batch, key):
            moved, metrics = step(state, batch, key)
            return jax.lax.with_sharding_constraint(moved, self.state_shardings(moved)), metrics

        return jax.jit(stay, donate_argnums=0, out_shardings=(None, metrics_go))


class ShardMapExecutor(Executor):
    """One body per device, collectives written out."""

    def _spread(self, step: StepFn):
        whole, rows = PartitionSpec(), PartitionSpec(AXIS)
        # check_vma=True would scale the gradients by the number of devices, in silence.
        body = jax.shard_map(
            step,
            mesh=self.mesh,
            in_specs=(whole, rows, whole),
            out_specs=(whole, Metrics(scalars=whole, per_example=rows)),
            check_vma=False,
        )
        return jax.jit(body, donate_argnums=0)


class PmapExecutor(Executor):
    """The older parallel map. Kept for those who have it in their programs and to check the other two against.

    The state stays an ordinary replicated array between steps; the batch is [devices, b, ...]. Across processes
    pmap takes and returns arrays of this process alone; they are wrapped so that nobody else sees the difference.
    """

    def _spread(self, step: StepFn):
        self._here = make_mesh(self.mesh.local_devices)
        self._flat = jax.jit(
            lambda tree: jax.tree.map(lambda x: x.reshape((-1,) + x.shape[2:]), tree),
            out_shardings=by_example(self.mesh),
        )
        self._mapped = jax.pmap(
            step,
            axis_name=AXIS,
            in_axes=(None, 0, None),
            out_axes=(None, Metrics(scalars=None, per_example=0)),
            devices=list(self.mesh.devices.flat),
            donate_argnums=0,
        )
        return self._call

    def place_batch(self, local: Mapping[str, np.ndarray]) -> Batch:
        """The batch as [devices of this process, b, ...], from the contiguous rows of this process."""
        devices = self._here.size
        check_batch(len(next(iter(local.values()))), devices)
        split = {name: np.reshape(x, (devices, -1) + np.shape(x)[1:]) for name, x in local.items()}
        return place_global(split, self._here)

    def lower(self, state: TrainState, batch: Batch, key: jax.Array) -> jax.stages.Lowered:
        """The step lowered for arrays or `jax.ShapeDtypeStruct`s of global shape; nothing runs, nothing is placed."""
        devices = self.mesh.size

        def split(x):
            shape = (devices, x.shape[0] // devices) + tuple(x.shape[1:])
            return jax.ShapeDtypeStruct(shape, x.dtype, sharding=by_example(self.mesh))

        everywhere = replicated(self.mesh)
        return self._mapped.lower(shaped(state, everywhere), jax.tree.map(split, batch), shaped(key, everywhere))

    def _call(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        if self.mesh.is_multi_process:
            state, key = rewrap((state, key), replicated(self._here))
            state, metrics = self._mapped(state, batch, key)
            state, scalars = rewrap((state, metrics.scalars), replicated(self.mesh))
            metrics = Metrics(scalars, rewrap(metrics.per_example, by_example(self.mesh), self.mesh.size))
        else:
            state, metrics = self._mapped(state, batch, key)
        return state, metrics

    def step(self, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        """See `Executor.step`."""
        state, metrics = super().step(state, batch, key)
        return state, Metrics(metrics.scalars, self._flat(metrics.per_example))


EXECUTORS = {"jit": JitExecutor, "shard_map": ShardMapExecutor, "pmap": PmapExecutor}


def shaped(tree, sharding: NamedSharding):
    """`tree` without its values: shapes and types, placed by `sharding`."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


def rewrap(tree, sharding: NamedSharding, rows: int | None = None):
    """The same buffers of this process as arrays with another sharding; `rows` sets the length of the first axis."""

    def wrap(x):
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(wrap(jax.random.key_data(x)), impl=jax.random.key_impl(x))
        shape = x.shape if rows is None else (rows,) + x.shape[1:]
        return jax.make_array_from_single_device_arrays(shape, sharding, [s.data for s in x.addressable_shards])

    return jax.tree.map(wrap, tree)


class Evaluator:
    """A compiled evaluator. Its results are whole on every process: all decide alike on early stopping."""

    def __init__(self, fn: EvaluateFn, mesh: Mesh):
        self.mesh = mesh
        self.compilations = 0
        """Programs compiled so far; one for each shape of batch."""

        def evaluate(nets, batch, key):
            return fn(nets, batch, Rngs(key, batch["example_id"]), Context())

        self._evaluate = jax.jit(evaluate, out_shardings=replicated(mesh))

    def __call__(self, nets: Nets, batch: Mapping[str, np.ndarray], key: jax.Array) -> Evaluation:
        """Evaluates a batch.

        Args:
            nets: of a placed state, averaged parameters already put in where wanted. Not donated.
            batch: {field: [B, ...]} host arrays, the whole batch and the same on every process. It is spread over
                the devices where it divides over them, and repeated on each where it does not.
            key: of this evaluation. Training randomness never passes through here.

        Returns:
            per_example {metric: [B]} and frames [B, T, H, W, 3] or None, whole on every process.
        """
        placed = place_whole(batch, self.mesh)
        data = replicate(jax.random.key_data(key), self.mesh)
        before = compilations_so_far()
        result = self._evaluate(nets, placed, jax.random.wrap_key_data(data, impl=jax.random.key_impl(key)))
        self.compilations += compilations_so_far() - before
        return result


def compile_evaluate(fn: EvaluateFn, mesh: Mesh | None = None) -> Evaluator:
    """An evaluator over all devices; compiled at its first call. Takes the state of any executor.

    Args:
        fn: (nets, batch, rngs, ctx) -> Evaluation.
        mesh: the mesh of the training step; None uses all devices.
    """
    return Evaluator(fn, make_mesh() if mesh is None else mesh)
