"""The whole line once, as a user types it: corpus, training, resuming, a video, a table."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from data_pipelines.media import probe
from data_pipelines.synthetic.preview import contact_sheet
from thjax.demo import command as demo
from thjax.train import command as train

pytestmark = [pytest.mark.multi_process, pytest.mark.timeout(1500)]

CORPUS = ("--speakers", "8", "--clips", "2", "--size", "64", "--test_speakers", "4", "--validation_speakers", "2")
# Narrow enough to compile in seconds; the topology is the demo's.
NARROW = (
    "--generator.channels", "8", "12", "16", "24", "--generator.context", "16", "--generator.audio_code", "16",
    "--generator.audio_channels", "4", "4", "8", "8", "8", "8",
    "--discriminators.frame_channels", "8", "8", "16", "16", "--discriminators.sequence_channels", "8", "8", "8", "16",
    "--discriminators.audio_channels", "4", "4", "4", "8", "8", "8",
    "--discriminators.code", "8", "--discriminators.context", "8", "--discriminators.hidden", "8",
    "--schedule.reconstruction_steps", "4", "--schedule.steps", "4", "--train.log_every", "2",
    "--train.evaluate_every", "4", "--train.evaluate_clips", "2", "--train.checkpoint_every", "4",
)

# For programs that run a handful of steps: optimising them takes longer than that.
HURRIED = "--xla_backend_optimization_level=0"


def thjax(*arguments, cwd, flags=""):
    # The commands share compiled programs, most of their time otherwise.
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cwd / "compiled"), "XLA_FLAGS": flags}
    result = subprocess.run(
        [sys.executable, "-m", "thjax.cli", *map(str, arguments)], cwd=cwd, env=environment, capture_output=True,
        text=True, timeout=580,
    )
    assert result.returncode == 0, f"thjax {' '.join(map(str, arguments))}\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("line")
    thjax("data", "synth", *CORPUS, "--out", "corpus", cwd=folder)
    train = ("train", "temporal_gan:demo", "--data", "corpus", "--out", "run", *NARROW)
    thjax(*train, "--train.steps", "6", cwd=folder, flags=HURRIED)
    thjax(*train, cwd=folder, flags=HURRIED)
    return folder


def test_two_stages_are_trained_across_a_resume(work):
    lines = [json.loads(line) for line in (work / "run" / "metrics.jsonl").read_text().splitlines()]
    trained = [line for line in lines if line["kind"] == "train"]
    assert [line["stage"] for line in trained] == ["reconstruction"] * 2 + ["adversarial"] * 2
    assert [line["step"] for line in trained] == [2, 4, 6, 8]


def test_a_face_speaks(work):
    Image.fromarray(contact_sheet(people=1, size=96, seed=5)[:96, :96]).save(work / "face.png")
    rng = np.random.default_rng(0)
    speech = 3000 * rng.standard_normal(16_000) * np.sin(np.arange(16_000) / 900) ** 2
    wavfile.write(work / "speech.wav", 16_000, speech.astype(np.int16))
    files = ("--image", "face.png", "--audio", "speech.wav", "--out", "out.mp4")
    thjax("generate", "--checkpoint", "run", *files, cwd=work)
    found = probe(work / "out.mp4")
    assert (found.width, found.height, found.frames) == (48, 64, 25)


@pytest.mark.thorough
def test_a_table_with_controls(work):
    printed = thjax("evaluate", "--checkpoint", "run", "--data", "corpus", "--out", "table", cwd=work)
    rows = json.loads((work / "table" / "table.json").read_text())["rows"]
    assert list(rows) == ["re_encoded_truth", "ours", "copy_first_frame", "wrong_audio", "silent_audio", "static_pose",
                          "replayed_pose", "independent_pose"]
    judged = {"wer[synthetic]", "lse_c[synthetic]", "lmd[synthetic]", "acd[synthetic, head 64]", "hs[synthetic]"}
    assert judged <= rows["ours"].keys()
    assert rows["re_encoded_truth"]["wer[synthetic]"]["mean"] < rows["copy_first_frame"]["wer[synthetic]"]["mean"]
    assert rows["re_encoded_truth"]["mouth_psnr"]["mean"] > rows["copy_first_frame"]["mouth_psnr"]["mean"]
    assert "mouth_psnr_vs_copy_first_frame" in printed
    assert (work / "table" / "report.html").stat().st_size > 10_000


def test_the_demo_resumes_and_writes_what_it_promises(work, monkeypatch, capsys):
    """Over the same corpus and run, which lie where the demo puts its own."""
    trained, shards = train.run, [path.stat().st_mtime_ns for path in sorted((work / "corpus").glob("*.array_record"))]
    monkeypatch.setattr(demo, "CORPUS", CORPUS)
    monkeypatch.setattr(train, "run", lambda argv: trained([*argv, *NARROW]))
    before = (work / "run" / "metrics.jsonl").read_bytes()
    assert demo.run(["--out", str(work), "--resume"]) == 0
    assert shards == [path.stat().st_mtime_ns for path in sorted((work / "corpus").glob("*.array_record"))]
    assert (work / "run" / "metrics.jsonl").read_bytes() == before
    made = json.loads((work / "metrics.json").read_text())
    assert {"psnr", "ssim", "mouth_psnr", "lip_gap_r", "jitter"} <= set(made["metrics"])
    assert {"mouth_psnr_vs_copy_first_frame", "mouth_psnr_vs_shuffled_audio"} <= set(made["paired"])
    for value in (*made["metrics"].values(), *made["paired"].values()):
        assert value["ci95"][0] <= value["mean"] <= value["ci95"][1]
    found = probe(work / "generated.mp4")
    assert (found.frames, found.fps, found.codecs) == (75, 25.0, ("h264", "aac"))
    for name in ("contact_sheet.png", "curves.png"):
        assert min(Image.open(work / name).size) > 200
    page = (work / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "wrong_audio" in page
    assert "done in" in capsys.readouterr().out
