"""Networks taken from another run or from converted weights."""

import dataclasses

import numpy as np
import pytest

from thjax import systems
from thjax.checkpoint import load_run
from thjax.core.errors import UserError
from thjax.engine import Source
from thjax.pretrained import weights_file
from thjax.train.donors import load_donors


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory):
    """A run of two steps."""
    out = tmp_path_factory.mktemp("donor") / "run"
    assert toy.here(out, "--train.steps", 2) == 0
    return out


def taking(kind, path, width=8):
    """The toy system, and its stage with the generator taken from elsewhere."""
    from configs.toy import get_config

    config = get_config("demo")
    system = systems.build(dataclasses.replace(config, toy=dataclasses.replace(config.toy, width=width)))
    init = dict(system.stages[0].init) | {"generator": Source(kind, str(path))}
    return system, dataclasses.replace(system.stages[0], init=init)


def test_from_another_run(trained):
    donors, origins = load_donors(*taking("checkpoint", trained))
    expected = load_run(trained).nets["generator"].params["Dense_0"]["kernel"]
    assert np.array_equal(donors["generator"].params["Dense_0"]["kernel"], expected)
    assert origins["generator"]["kind"] == "checkpoint" and origins["generator"]["step"] == 2


def test_from_converted_weights(trained, tmp_path):
    params = load_run(trained).nets["generator"].params
    weights_file.write(tmp_path / "weights.safetensors", {"generator": {"params": params}}, {"layout": "toy"})
    donors, origins = load_donors(*taking("weights", tmp_path))
    assert np.array_equal(donors["generator"].params["Conv_0"]["bias"], params["Conv_0"]["bias"])
    assert len(origins["generator"]["sha256"]) == 64


def test_what_does_not_fit_is_named(trained, tmp_path):
    with pytest.raises(
        UserError, match=r"does not fit network 'generator': 5 arrays differ, the first is params/Conv_0/bias"
    ):
        load_donors(*taking("checkpoint", trained, width=9))
    with pytest.raises(UserError, match="no checkpoint in .*nowhere"):
        load_donors(*taking("checkpoint", tmp_path / "nowhere"))
    with pytest.raises(UserError, match="has none; `thjax weights convert`"):
        load_donors(*taking("weights", tmp_path))
    weights_file.write(tmp_path / "weights.safetensors", {"judge": {"params": {"w": np.zeros(3)}}}, {"layout": "toy"})
    with pytest.raises(UserError, match=r"has networks \['judge'\], and 'generator' is wanted"):
        load_donors(*taking("weights", tmp_path))


def test_origins_are_kept_in_checkpoints(toy, trained, tmp_path, monkeypatch):
    from thjax.systems.toy import system

    make = system.System.make_stages

    def with_donor(self):
        stages = make(self)
        init = dict(stages[-1].init) | {"generator": Source("checkpoint", str(trained))}
        return *stages[:-1], dataclasses.replace(stages[-1], init=init)

    monkeypatch.setattr(system.System, "make_stages", with_donor)
    assert toy.here(tmp_path / "run", "--train.steps", 2) == 0
    assert load_run(tmp_path / "run").pretrained["generator"]["path"] == str(trained)
    assert toy.here(tmp_path / "run", "--train.steps", 4) == 0
    assert load_run(tmp_path / "run").pretrained["generator"]["step"] == 2
