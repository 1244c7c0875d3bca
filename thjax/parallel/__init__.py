"""The only room with meshes and collectives: contexts, executors jit | shard_map | pmap, ahead-of-time compilation."""

from thjax.parallel.aot import CompiledCost, compile_cost, topology_mesh
from thjax.parallel.contexts import AxisContext
from thjax.parallel.executors import Evaluator, Executor, compile_evaluate, compile_step
from thjax.parallel.mesh import check_batch, make_mesh, parts_of_batch, place_global, replicate
from thjax.parallel.sharding import LogicalAxes, bytes_per_device

__all__ = [
    "AxisContext",
    "CompiledCost",
    "Evaluator",
    "Executor",
    "LogicalAxes",
    "bytes_per_device",
    "check_batch",
    "compile_cost",
    "compile_evaluate",
    "compile_step",
    "make_mesh",
    "parts_of_batch",
    "place_global",
    "replicate",
    "topology_mesh",
]
