"""The line of dirfa once, as a user types it: corpus, mapper, generator across a resume, both on one photograph."""

import itertools
import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from data_pipelines.media import probe
from data_pipelines.synthetic.preview import contact_sheet
from tests import test_whole_line
from thjax.checkpoint import load_run
from thjax.core.errors import UserError
from thjax.evaluate import command
from thjax.evaluate.animated import FIELDS, ONE_DRAW, AnimatedSource, collect_animated
from thjax.evaluate.collected import Collected
from thjax.evaluate.run import open_split
from thjax.evaluate.transcripts import Transcripts
from thjax.generate.motion_files import CHANNELS, read_motion

pytestmark = [pytest.mark.multi_process, pytest.mark.timeout(1500)]

CORPUS = ("--speakers", "4", "--clips", "2", "--size", "64", "--motion", "natural", "--test_speakers", "1",
          "--validation_speakers", "1")
# Narrow enough to compile in seconds; the topologies are those of the small variants.
MAPPER = ("--mapper.width", "16", "--mapper.layers", "1", "--mapper.heads", "2", "--schedule.steps", "2",
          "--data.batch", "4", "--train.log_every", "1", "--train.evaluate_every", "0")
GENERATOR = (
    "--generator.detector_channels", "4", "6", "8", "--generator.detector_volume", "4",
    "--generator.channels", "4", "6",
    "--generator.volume_channels", "4", "--generator.motion_channels", "4", "6", "--generator.decoder_features", "6",
    "--generator.decoder_channels", "4", "--discriminator.channels", "4", "6", "8", "--data.batch", "4",
    "--schedule.reconstruction_steps", "0", "--schedule.steps", "3", "--losses.perceptual", "0",
    "--train.log_every", "1", "--train.evaluate_every", "3", "--train.evaluate_clips", "1",
    "--train.checkpoint_every", "1",
)


def thjax(*arguments, cwd):
    return test_whole_line.thjax(*arguments, cwd=cwd, flags=test_whole_line.HURRIED)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dirfa")
    thjax("data", "synth", *CORPUS, "--out", "corpus", cwd=folder)
    thjax("train", "dirfa:demo", "--data", "corpus", "--out", "mapper", *MAPPER, cwd=folder)
    train = ("train", "dirfa_generator:tiny", "--data", "corpus", "--out", "generator", *GENERATOR)
    thjax(*train, "--train.steps", "2", cwd=folder)
    thjax(*train, cwd=folder)
    return folder


def test_the_generator_trains_across_a_resume_and_is_looked_at(work):
    lines = [json.loads(line) for line in (work / "generator" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["kind"], line["step"]) for line in lines] == [
        ("train", 1), ("train", 2), ("train", 3), ("validation", 3)]
    with Image.open(work / "generator" / "evaluations" / "3" / "strip.png") as strip:
        assert strip.size == (9 * 64 + 4, 64)  # first frame, four true ones, four drawn ones


LABELS = np.concatenate([np.linspace(0.2, 4, 17), [0, 0, 0], [0.05, -0.1, 0.02]])
"""Of the photograph, as a motion counts: translation from where it begins."""


@pytest.fixture(scope="module")
def animate(work):
    """Runs `thjax generate` with both networks on one photograph; returns the motions [T, 23] that it writes."""
    Image.fromarray(contact_sheet(people=1, size=96, seed=5)[:96, :96]).save(work / "face.png")
    np.savez(work / "face.npz", au=LABELS[:17], pose=LABELS[17:] + np.array([5, -3, 800, 0, 0, 0]))
    rng = np.random.default_rng(0)
    speech = 3000 * rng.standard_normal(16_000) * np.sin(np.arange(16_000) / 900) ** 2
    wavfile.write(work / "speech.wav", 16_000, speech.astype(np.int16))

    def run(out, *words, samples=1):
        thjax("generate", "--checkpoint", "mapper", "--checkpoint", "generator", "--image", "face.png", "--labels",
              "face.npz", "--audio", "speech.wav", "--out", f"{out}.mp4", "--samples", str(samples), *words, cwd=work)
        found = probe(work / f"{out}.mp4")
        assert (found.width, found.height, found.frames) == (64 * samples, 64, 25)
        endings = [""] if samples == 1 else [f"-{number + 1}" for number in range(samples)]
        return [read_motion(work / f"{out}{ending}.csv") for ending in endings]

    return run


@pytest.mark.thorough
def test_one_photograph_moves_in_three_ways_that_begin_where_it_is(animate):
    motions = animate("three", samples=3)
    for motion in motions:
        np.testing.assert_allclose(motion[0], LABELS, atol=1e-6)
    assert all((a[1:] != b[1:]).mean() > 0.5 for a, b in itertools.combinations(motions, 2))


@pytest.mark.thorough
def test_a_photograph_moves_from_the_begin_token_by_control_and_as_another_did(animate, work):
    [free] = animate("free", "--start", "bos")
    assert (np.abs(free[0] - LABELS)[:17] > 0.1).any()
    (work / "smile.csv").write_text("frame,AU12\n3,1\n9,4\n")
    [smiling] = animate("smiling", "--control", "smile.csv")
    np.testing.assert_allclose(smiling[3:10, CHANNELS.index("AU12")], np.linspace(1, 4, 7), atol=1e-6)
    np.testing.assert_allclose(smiling[0], LABELS, atol=1e-6)
    [played] = animate("played", "--driver", "free.csv")
    np.testing.assert_array_equal(played, free)


def test_a_generator_alone_is_not_evaluated_and_the_error_names_the_way(work):
    with pytest.raises(UserError, match="hears no speech; name the mapper's run before it: --checkpoint MAPPER"):
        command.run(["--checkpoint", str(work / "generator"), "--data", str(work / "corpus"), "--which", "latest"])


class Recording:
    """An animator that keeps what it is asked for."""

    frame_size = (64, 64)

    def __init__(self):
        self.asked = []

    def encode(self, picture, z):
        return picture, z

    def frames(self, source, vectors, rest):
        self.asked.append((*source, np.array(vectors), np.array(rest)))
        return np.zeros((len(vectors), 64, 64, 3), np.uint8)


def test_motion_begins_at_the_photograph(work):
    """Drawn motion counts translation from its start; the true one is placed by the labels of the first frame."""
    mapper, generator = (load_run(work / name, which="latest") for name in ("mapper", "generator"))
    clips, audio = (open_split(work / "corpus", "test", generator, fields=fields) for fields in (FIELDS, ("audio",)))
    transcripts = Transcripts(clips.manifest, "test")
    source = AnimatedSource(mapper, generator, clips, audio, transcripts, 0, Collected({}, len(clips)))
    source._animators = [Recording()]
    with pytest.raises(UserError, match="dirfa_generator:tiny is no mapper; give --checkpoint MAPPER"):
        collect_animated(generator, mapper, work / "corpus", "test", 0)
    truths = source.truths([0, 1])
    rows = dict(source.rows(truths))
    films = {row: rows[row]()[0] for row in ("ours", "true_motion")}
    asked = source._animators[0].asked
    for number, truth in truths.items():
        picture, z, vectors, rest = asked[number]
        assert (picture == truth.frames[0]).all() and len(films["ours"][number]) == len(truth.frames) == len(vectors)
        np.testing.assert_array_equal(vectors[0], np.concatenate([z[:17], np.zeros(3), z[20:]]))
        np.testing.assert_array_equal(rest, 0)
        _, z, vectors, rest = asked[2 + number]
        np.testing.assert_array_equal(vectors[0], z)
        np.testing.assert_array_equal(rest, z[17:20])


@pytest.mark.thorough
def test_both_together_are_a_table_with_controls(work):
    both = ("evaluate", "--checkpoint", "mapper", "--checkpoint", "generator", "--data", "corpus")
    thjax(*both, "--metrics", "basic", cwd=work)
    table = json.loads((work / "generator" / "evaluate-test" / "table.json").read_text())
    assert list(table["rows"]) == ["re_encoded_truth", "ours", "copy_first_frame", "wrong_audio", "silent_audio",
                                   "true_motion"]
    assert table["about"]["system"] == "dirfa:demo with dirfa_generator:tiny" and table["about"]["clips"] == 2
    assert {"psnr", "ssim", "mouth_psnr", "jitter"} <= set(table["rows"]["ours"])


@pytest.mark.thorough
def test_judges_measure_both_together(work):
    """The paper's tables 1 and 4 on the pair: identity, landmarks, sync and blinks, as our judges see them."""
    thjax("evaluate", "--checkpoint", "mapper", "--checkpoint", "generator", "--data", "corpus", "--out", "judged",
          cwd=work)
    table = json.loads((work / "judged" / "table.json").read_text())
    assert table["about"]["judges"] and "circular" not in json.dumps(table["about"])
    value = lambda row, name: next(cell["mean"] for metric, cell in table["rows"][row].items()
                                   if metric.partition("[")[0] == name)
    for metric in ("lmd", "lse_d"):  # an untrained generator is worse than the truth by each of them
        assert 0 <= value("re_encoded_truth", metric) < value("ours", metric), metric
    assert value("re_encoded_truth", "sync_confidence") > value("ours", "sync_confidence")
    # Identity is held against the still, which a head that moves is less like than its own copy.
    assert value("copy_first_frame", "acd") < value("re_encoded_truth", "acd")
    assert value("copy_first_frame", "csim") > value("re_encoded_truth", "csim")
    assert value("copy_first_frame", "blink_rate_au45") == value("copy_first_frame", "blink_rate_ear") == 0
    assert {"static_pose", "replayed_pose", "independent_pose"} <= set(table["rows"])  # beside which HS stands
    assert "diversity" in json.dumps(table["left_out"][ONE_DRAW])
