"""`thjax.load` and what a model says about itself."""

import dataclasses

import numpy as np
import pytest

import thjax
from tests.generate import small_run
from tests.generate.toy_sampler import face, speech
from thjax import systems
from thjax.core.errors import UserError
from thjax.engine import NetState
from thjax.generate.load import drawing_system, weights_hash
from thjax.systems.temporal_gan.converted import from_sda


def test_a_model_is_loaded_compiled_and_says_what_it_is(tmp_path):
    model = thjax.load(small_run.write(tmp_path))
    sizes = [function._cache_size() for function in (model.sampler._plan, model.sampler._chunk)]
    frames = model.generate(face(32, 32), speech(7 * 640))
    assert frames.shape == (7, 32, 32, 3) and frames.dtype == np.uint8
    assert [function._cache_size() for function in (model.sampler._plan, model.sampler._chunk)] == sizes == [1, 1]
    facts = model.provenance
    assert facts["version"] == thjax.__version__ and facts["system"] == "temporal_gan"
    assert len(facts["weights_sha256"]) == 64
    session = model.stream(face(32, 32))
    pieces = [session.push(piece) for piece in np.array_split(speech(7 * 640), 11)] + [session.close()]
    np.testing.assert_array_equal(np.concatenate(pieces), frames)


def test_the_hash_is_of_names_shapes_and_values():
    net = NetState(params={"a": np.ones(3), "b": np.zeros((2, 2))}, variables={"c": np.ones(1)})
    base = weights_hash({"net": net})
    assert base == weights_hash({"net": net.replace(opt_state=7)})
    assert base != weights_hash({"other": net})
    assert base != weights_hash({"net": net.replace(params={"a": np.ones(3), "b": np.zeros(4)})})
    assert base != weights_hash({"net": net.replace(variables={"c": np.ones(1) + 1e-7})})


def test_a_model_trained_in_bf16_draws_in_f32_on_a_cpu():
    system = systems.build(dataclasses.replace(from_sda(small_run.SIZES), precision="bf16"))
    assert drawing_system(system).config == dataclasses.replace(system.config, precision="f32")
    same = systems.build(from_sda(small_run.SIZES))
    assert drawing_system(same) is same


def test_no_checkpoint_is_told(tmp_path):
    with pytest.raises(UserError, match="no checkpoint in .*missing: the directory does not exist"):
        thjax.load(tmp_path / "missing")
    with pytest.raises(UserError, match="no checkpoint in .*thjax train"):
        thjax.load(tmp_path)
