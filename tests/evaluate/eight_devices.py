"""Evaluation on eight devices. Run by test_evaluate_devices.py in a process of its own."""

import logging
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.data_pipelines.toy_corpus import write_toy_corpus
from tests.evaluate import planted
from tests.evaluate.test_evaluate_run import NoisySampler, toy_run
from tests.systems.dirfa_narrow import KINDS, make_batch, narrow, random_weights, shard_statistics
from thjax import systems
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.engine import NetState
from thjax.evaluate import devices, public_networks
from thjax.evaluate.animation.run import Drawer
from thjax.evaluate.judges import Judges
from thjax.evaluate.run import evaluate_run
from thjax.evaluate.synthesis import Synthesiser
from thjax.judges import face, identity, lips, sync
from thjax.systems.dirfa.config import FIELDS


@pytest.fixture
def one_device(monkeypatch):
    """As on a machine with a single one."""
    def there():
        monkeypatch.setattr(devices.jax, "local_devices", lambda: jax.devices()[:1])
        monkeypatch.setattr(devices.jax, "local_device_count", lambda: 1)
    return there


class Watching(planted.Face):
    def __init__(self):
        self.used = set()

    def measure(self, frames):
        self.used.add(jnp.zeros(()).device)
        return super().measure(frames)


class Weighted(NoisySampler):
    """A sampler with weights."""

    def __init__(self, weights):
        self._weights = weights

    def plan(self, request):
        return {name: leaf + self._weights["bias"] for name, leaf in super().plan(request).items()}


def evaluate(corpus):
    run, judges = toy_run(), Judges(face=Watching())
    run.nets = {"bias": jax.device_put(np.float32(3), jax.devices()[0])}  # as checkpoints are loaded
    run.system = types.SimpleNamespace(stages=run.system.stages, sampler=lambda nets, stats: Weighted(nets))
    result, _, videos = evaluate_run(run, corpus, "test", 0, "thjax evaluate", metrics="all", judges=judges)
    return result, videos, judges.face.used


def test_a_table_is_the_same_and_every_device_has_worked(tmp_path, monkeypatch, one_device):
    write_toy_corpus(tmp_path, speakers=3, clips=8, frames=(8, 12), size=64)
    eight, videos, used = evaluate(tmp_path)
    assert len(used) == jax.device_count() == 8
    one_device()
    one, same, used = evaluate(tmp_path)
    assert len(used) == 1
    for row, made in videos.items():
        for here, there in zip(made, same[row], strict=True):
            np.testing.assert_array_equal(here, there)
    assert eight.rows.keys() == one.rows.keys()
    for row, metrics in eight.rows.items():
        for name, value in metrics.items():
            assert value.mean == pytest.approx(one.rows[row][name].mean, rel=1e-12), (row, name)


def test_a_sampler_s_batch_is_cut_over_all_devices(monkeypatch):
    places = []
    maker = Synthesiser(Weighted(devices.everywhere({"bias": np.float32(3)})), 8)
    compiled = maker._chunk

    def watched(carry, piece):
        carry, made = compiled(carry, piece)
        places.append(made.sharding.shard_shape(made.shape))
        return carry, made

    monkeypatch.setattr(maker, "_chunk", watched)
    made = maker(np.zeros((3, 64, 64, 3), np.uint8), np.zeros((3, 8 * 640 + 6400), np.int16), [0, 1, 2])
    assert made.shape == (3, 8, 64, 64, 3) and set(places) == {(2, 4, 64, 64, 3)}  # 12 clips are filled up to 16


def test_a_public_network_lies_where_its_thread_computes(monkeypatch):
    seen = []
    monkeypatch.setattr(public_networks, "_forward", lambda net, prepare, variables, x: seen.append(variables) or x)
    networks = public_networks.PublicNetworks({"inception": ("module", {"w": np.ones(2)})})
    for turn in (0, 3, 3):
        with devices.dealt(turn):
            networks.call("inception", np.zeros((2, 4)))
    assert [each["w"].device for each in seen] == [jax.devices()[n] for n in (0, 3, 3)]
    assert seen[1]["w"] is seen[2]["w"]


def test_batches_are_cut_where_they_divide():
    made = devices.cut({"rows": np.zeros((16, 3)), "odd": np.zeros((3, 2)), "number": 4})
    assert made["rows"].sharding.shard_shape((16, 3)) == (2, 3)
    assert made["odd"].sharding.is_fully_replicated and made["number"] == 4
    assert devices.rows_for(12) == 16 and devices.rows_for(8) == 8


def test_a_mapper_draws_and_scores_the_same(one_device):
    config = narrow(KINDS["mixture"], data=DataSpec(fields=FIELDS, window=8, batch=8, crop=CropSpec("none", 16, 16)))
    system, params, batch = systems.build(config), random_weights(config)[1]["params"], make_batch(config)
    stats = system.statistics(shard_statistics(config))
    nets = {"mapper": NetState(jax.device_put(params, jax.devices()[0]))}  # as checkpoints are loaded

    def drawn_and_scored():
        sampler = system.sampler(devices.everywhere(nets), stats)
        given = devices.cut({name: batch[name] for name in (*FIELDS, "valid")})
        return Drawer(sampler, motions=2)(batch["audio"], range(8)), jax.device_get(sampler.score(given)), given

    motion, scored, given = drawn_and_scored()
    assert given["audio"].sharding.shard_shape(given["audio"].shape)[0] == 1
    one_device()
    alone, scored_alone, given = drawn_and_scored()
    assert given["audio"].sharding.shard_shape(given["audio"].shape)[0] == 8
    assert motion.shape == (8, 2, 8, 23)
    np.testing.assert_allclose(motion, alone, rtol=1e-3, atol=1e-3)
    for name in ("cross_entropy", "cross_entropy_lips"):
        np.testing.assert_allclose(scored[name], scored_alone[name], rtol=1e-4)


def test_judges_that_ship_work_on_the_device_that_is_their_turn(caplog):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (30, 64, 64, 3), dtype=np.uint8)
    audio = rng.integers(-9000, 9000, 30 * 640 + 6400).astype(np.int16)
    points = np.tile(np.float32(planted._FACE * 64), (30, 1, 1))
    judges = {kind: module.Judge.load() for kind, module in (
        ("face", face), ("identity", identity), ("sync", sync), ("lips", lips))}
    looks = {
        "face": lambda: judges["face"].measure(frames).landmarks,
        "identity": lambda: judges["identity"].embed(frames, points),
        "sync": lambda: np.stack(judges["sync"].embed(frames, points, audio)),
        "lips": lambda: judges["lips"].read(frames, points),
    }
    for name, look in looks.items():
        here = look()
        with devices.dealt(11), jax.log_compiles(), caplog.at_level(logging.WARNING):
            assert devices.current() == jax.devices()[3]
            caplog.clear()
            there = look()
        np.testing.assert_array_equal(here, there, err_msg=name)
        # A program is compiled for each device: were it the first one's again, nothing would be compiled.
        assert "Finished XLA compilation" in caplog.text, name
