"""The engine: how networks are trained, for any system. Knows no mesh, no file and no paper."""

from thjax.engine.enter import enter_stage, init_network, with_accumulation
from thjax.engine.stage import Ema, GradPhase, Patience, Source, Stage, Trained, Until, WritePhase
from thjax.engine.state import Aux, Batch, Metrics, NetState, TrainState, params_of
from thjax.engine.step import StepFn, make_step
from thjax.engine.system import Evaluation, GenerateRequest, Network, Sampler, System

__all__ = [
    "Aux", "Batch", "Ema", "Evaluation", "GenerateRequest", "GradPhase", "Metrics", "NetState", "Network", "Patience",
    "Sampler", "Source", "Stage", "StepFn", "System", "Trained", "TrainState", "Until", "WritePhase", "enter_stage",
    "init_network", "make_step", "params_of", "with_accumulation",
]
