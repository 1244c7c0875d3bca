"""Several corpora in one stream: exact shares, epochs of their own, the same examples on any host and in any worker."""

import collections
import dataclasses
import json
import shutil

import numpy as np
import pytest

from data_pipelines import mixture
from data_pipelines.loader import Loader
from data_pipelines.manifest import Manifest
from data_pipelines.mixture import BLOCK, Mixture, Part
from data_pipelines.schema import DataError
from tests.data_pipelines.toy_corpus import equal, write_toy_corpus
from thjax.core.config import LoaderConfig
from thjax.core.data_spec import CropSpec, DataSpec

SPEC = DataSpec(fields=("frames", "audio", "speaker", "pose"), window=6, batch=4, mirror=True,
                crop=CropSpec("canonical", 16, 12))


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixture")
    return [write_toy_corpus(folder / "first", speakers=5, frames=(20, 9)).directory,
            write_toy_corpus(folder / "second", speakers=3, frames=(40,)).directory]


def test_a_block_holds_every_corpus_in_its_exact_share_in_another_order_each_time(corpora):
    mixed = Mixture([Part(corpora[0], 3.0), Part(corpora[1], 1.0)], SPEC)
    blocks = [[mixed.source_at(block * BLOCK + offset)[0] for offset in range(BLOCK)] for block in (0, 1, 7)]
    assert all(collections.Counter(block) == {0: 768, 1: 256} for block in blocks)
    assert blocks[0] != blocks[1] != blocks[2]
    # Nowhere in a block are there long runs of one corpus: the order is shuffled, not sorted.
    assert 0.6 < np.mean(blocks[0][:128]) / np.mean(blocks[0]) < 1.5


def test_each_corpus_is_gone_through_in_epochs_of_its_own(corpora):
    mixed = Mixture([Part(corpora[0], 2.0), Part(corpora[1], 1.0)], SPEC, seed=3)
    places = {0: [], 1: []}
    for position in range(3000):
        which, place = mixed.source_at(position)
        places[which].append(place)
    for which, found in places.items():
        assert found == list(range(len(found)))
        records = mixed.loaders[which].examples
        keys = [mixed.loaders[which].key_at(place) for place in found[:records]]
        assert len(set(keys)) == records, "an epoch takes every record once"


def test_an_example_is_that_of_its_corpus_drawn_for_the_position(corpora):
    mixed = Mixture([Part(part) for part in corpora], SPEC, seed=1)
    alone = [Loader(part, SPEC, seed=1) for part in corpora]
    speakers = len(Manifest.load(corpora[0]).speakers)
    for position in range(40):
        which, place = mixed.source_at(position)
        wanted = alone[which].drawn(place, position)
        wanted["speaker"] = np.int32(wanted["speaker"] + which * speakers)
        assert equal(mixed.example_at(position), wanted)
        assert mixed.describe([position]) == [alone[which].key_at(place)]


def test_hosts_and_workers_change_no_byte(corpora):
    parts = [Part(part, weight) for part, weight in zip(corpora, (0.4, 0.6), strict=True)]
    whole = Mixture(parts, SPEC, seed=2)
    halves = [Mixture(parts, SPEC, seed=2, process_index=host, process_count=2) for host in (0, 1)]
    for step in (0, 5, 400):
        made = [half.batch_at(step) for half in halves]
        joined = {name: np.concatenate([batch[name] for batch in made]) for name in made[0]}
        assert equal(whole.batch_at(step), joined)
    with Mixture(parts, SPEC, seed=2, config=LoaderConfig(workers=1)).iterate(5) as ahead:
        assert equal(next(ahead), whole.batch_at(5))


def test_whole_records_are_padded_to_the_longest_of_all(corpora):
    whole = dataclasses.replace(SPEC, window=0)
    assert Mixture([Part(part) for part in corpora], whole).batch_at(0)["frames"].shape[1] == 40


def test_shares_are_largest_remainders():
    assert mixture.shares([1, 1, 1]).tolist() == [342, 341, 341]
    assert mixture.shares([0.7, 0.3]).sum() == BLOCK
    with pytest.raises(DataError, match="corpus 2 of the mixture has 0.0001 of the weight"):
        mixture.shares([1, 1e-4])


def test_a_mixture_on_the_command_line(corpora):
    first, second = map(str, corpora)
    assert mixture.parse(first) == (Part(corpora[0]),)
    assert mixture.parse(f"{first}=0.7,{second}=0.3") == (Part(corpora[0], 0.7), Part(corpora[1], 0.3))
    assert [part.weight for part in mixture.parse(f"{first},{second}")] == [None, None]
    for text, message in ((f"{first}=x", "must be DIR or DIR=WEIGHT"), (f"{first}=0,{second}=1", "weight above 0"),
                          (f"{first}=1,{second}", "give one to all or to none"), (f"{first},{first}", "comes twice")):
        with pytest.raises(DataError, match=message):
            mixture.parse(text)


def test_the_hash_tells_mixtures_apart(corpora):
    one, two = (Part(part, 1.0) for part in corpora)
    assert mixture.mixture_hash([one]) == Manifest.load(corpora[0]).hash
    hashes = {mixture.mixture_hash(parts) for parts in
              ([one, two], [two, one], [one, dataclasses.replace(two, weight=2.0)], [one])}
    assert len(hashes) == 4


def test_coefficients_of_two_face_models_do_not_mix(corpora, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(corpora[1], other)
    content = json.loads((other / "dataset.json").read_text())
    (other / "dataset.json").write_text(json.dumps(content | {"coefficients": ["size", "yaw", "jaw", "lips"]}))
    parts = [Part(corpora[0], 1.0), Part(other, 1.0)]
    spec = dataclasses.replace(SPEC, fields=("pose", "coefficients"), mirror=False)
    with pytest.raises(DataError, match=r"\(4: size, yaw, brow_left .*\(4: size, yaw, jaw .* are not the same"):
        Mixture(parts, spec)
    Mixture(parts, dataclasses.replace(spec, fields=("pose",)))
