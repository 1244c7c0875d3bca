"""From every corpus as it is distributed to a generated film: fixtures, records, twenty steps, an mp4.

Minutes of compilation, so `make test` leaves this out: `pytest -m corpora`, a step of .ci/run.
"""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from data_pipelines.media import probe
from data_pipelines.synthetic.preview import contact_sheet
from tests.test_whole_line import NARROW, thjax

pytestmark = [pytest.mark.corpora, pytest.mark.multi_process, pytest.mark.timeout(1500)]

CORPORA = ("folder", "grid", "grid_sheffield", "tcd_timit", "lrw", "voxceleb2", "mead")
# What trains without landmarks, which no corpus brings along.
UNLABELLED = ("--data.crop.recipe", "centre", "--data.fields", "frames", "still", "audio",
              "--losses.reconstruction_map", "lower_half")
TWENTY_STEPS = ("--schedule.reconstruction_steps", "10", "--schedule.steps", "10", "--train.log_every", "10",
                "--train.evaluate_every", "10", "--train.checkpoint_every", "10")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A face, a voice, and the compiled programs that all corpora share."""
    folder = tmp_path_factory.mktemp("corpora")
    Image.fromarray(contact_sheet(people=1, size=96, seed=5)[:96, :96]).save(folder / "face.png")
    rng = np.random.default_rng(0)
    wavfile.write(folder / "speech.wav", 16_000, (1000 * rng.standard_normal(16_000)).astype(np.int16))
    return folder


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_corpus_becomes_a_film(corpus, folder):
    raw, records, run, film = (f"{corpus}-{part}" for part in ("raw", "records", "run", "film.mp4"))
    thjax("data", "fixtures", "--corpus", corpus, "--out", raw, "--shrink", "2", cwd=folder)
    thjax("data", "prepare", "--corpus", corpus.partition("_sheffield")[0], "--root", raw, "--out", records, "--size",
          "64", "--split", "clips_80_10_10", cwd=folder)
    counts = json.loads((folder / records / "dataset.json").read_text())["counts"]
    assert counts["written"] == counts["discovered"] - counts["quarantined"] - counts["excluded"] >= 3
    thjax("train", "temporal_gan:demo", "--data", records, "--out", run, *NARROW, *TWENTY_STEPS, *UNLABELLED,
          cwd=folder)
    logged = [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]
    assert max(line["step"] for line in logged) == 20
    thjax("generate", "--checkpoint", run, "--image", "face.png", "--audio", "speech.wav", "--out", film, cwd=folder)
    assert probe(folder / film).frames == 25
