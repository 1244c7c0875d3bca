"""Public checkpoints of speech-driven animation, fabricated, converted, and run beside their torch twin."""

import jax
import numpy as np
import pytest
import torch
from scipy import signal

import thjax
from tests.pretrained.sda_twin import Twin, windows_of
from thjax.checkpoint import load_run
from thjax.core.errors import UserError
from thjax.generate.load import template
from thjax.judges import shipped
from thjax.pretrained import sda, weights_file
from thjax.pretrained.command import run
from thjax.systems.temporal_gan.inputs import clip_noise


def speech(samples: int) -> np.ndarray:
    """Tones below 3 kHz that come and go, int16: nothing that a resampling filter's edge could alter."""
    time = np.arange(samples) / 16_000
    tones = sum(np.sin(2 * np.pi * f * time + f) for f in (180, 410, 900, 2100))
    return (6000 * tones * np.sin(2 * np.pi * 3 * time) ** 2).astype(np.int16)


def picture(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (2 * x + y) % 256], -1).astype(np.uint8)


CASES = {
    "released": dict(),
    "16 kHz, 0.16 s, shorter": dict(rate=16_000, window=2_560, size=(64, 64), channels=(8, 16, 32), first=2),
    "no noise GRU": dict(sequential=False, size=(64, 48), channels=(8, 16, 32, 64)),
    "no noise": dict(noise=0, sequential=False, size=(32, 32), channels=(8, 16)),
}


@pytest.mark.parametrize("case, zipped", zip(CASES, [False, True, False, True], strict=True))
def test_the_forward_pass_is_the_twins(tmp_path, case, zipped):
    twin = Twin(**CASES[case])
    twin.save(tmp_path / "a.dat", zipped)
    assert run(["convert", "sda", "--in", str(tmp_path / "a.dat"), "--out", str(tmp_path / "run")]) == 0
    loaded = load_run(tmp_path / "run")
    rng = np.random.default_rng(0)
    still, windows = rng.uniform(-1, 1, (2, *twin.size, 3)), rng.uniform(-1, 1, (2, 3, twin.window))
    noise = 0.33 * rng.standard_normal((2, 3, twin.noise))
    net = loaded.nets["generator"]
    ours = jax.jit(loaded.system.networks["generator"].module.apply)(
        {"params": net.params, **net.variables}, *(x.astype(np.float32) for x in (still, windows, noise)))
    theirs = twin(*(torch.tensor(x, dtype=torch.float32) for x in (still.transpose(0, 3, 1, 2), windows, noise)))
    theirs = theirs.numpy().transpose(0, 1, 3, 4, 2)
    assert ours.shape == theirs.shape
    assert np.abs(theirs).max() > 0.2
    assert np.abs(np.asarray(ours) - theirs).max() <= 1e-4 * np.abs(theirs).max()


def test_generated_frames_are_the_public_programs(tmp_path):
    twin = Twin()
    twin.save(tmp_path / "grid.dat")
    run(["convert", "sda", "--in", str(tmp_path / "grid.dat"), "--out", str(tmp_path / "grid.safetensors")])
    model = thjax.load(tmp_path / "grid.safetensors")
    audio, still = speech(9 * 640), picture(*twin.size)
    frames = model.generate(still, audio, seed=5)

    samples = signal.resample_poly(audio / 32768, twin.rate // 1000, 16)
    windows = windows_of(torch.tensor(samples, dtype=torch.float32), twin.window, twin.rate // 25)
    noise = clip_noise(load_run(tmp_path / "grid.safetensors").config.generator, jax.random.key(5), np.arange(9))
    pixels = torch.tensor(still.transpose(2, 0, 1)[None] / 127.5 - 1, dtype=torch.float32)
    theirs = twin(pixels, windows[None], torch.tensor(np.asarray(noise))[None])[0].numpy().transpose(0, 2, 3, 1)
    assert frames.shape == theirs.shape == (9, *twin.size, 3)
    assert np.abs(frames - (theirs + 1) * 127.5).max() < 0.6  # rounding is half a level
    session = model.stream(still, seed=5)
    pieces = [session.push(piece) for piece in np.array_split(audio, 7)] + [session.close()]
    np.testing.assert_array_equal(np.concatenate(pieces), frames)
    assert model.provenance["pretrained"]["generator"]["source"] == "grid.dat"


def test_the_range_of_arrays_is_folded_into_the_first_kernel(tmp_path):
    twin = Twin(size=(32, 32), channels=(4, 8))
    twin.save(tmp_path / "a.dat")
    once, _ = sda.convert(tmp_path / "a.dat")
    twice, _ = sda.convert(tmp_path / "a.dat", audio_scale=2.0)
    first = lambda tree: tree["params"]["audio"]["conv_0"]
    np.testing.assert_array_equal(first(twice)["kernel"], 2 * first(once)["kernel"])
    np.testing.assert_array_equal(first(twice)["bias"], first(once)["bias"])


def test_sizes_come_from_the_file_and_the_mean_face_becomes_the_template(tmp_path):
    face = np.random.default_rng(0).uniform(0, 96, (68, 2))
    Twin(size=(64, 48), channels=(4, 8, 16), identity=7).save(tmp_path / "a.dat", mean_face=face)
    run(["convert", "sda", "--in", str(tmp_path / "a.dat"), "--out", str(tmp_path / "run")])
    loaded = load_run(tmp_path / "run", which="latest", ema=False)
    g = loaded.config.generator
    assert (g.audio_rate, g.audio_window, g.audio_channels) == (50_000, 10_000, (4, 8, 16, 32, 64))
    assert (g.audio_code, g.context, g.identity, g.noise, g.channels) == (24, 20, 7, 10, (4, 8, 16))
    assert g.noise_std == 0.33
    assert (loaded.config.data.crop.height, loaded.config.data.crop.width) == (64, 48)
    np.testing.assert_allclose(template(loaded), face[[33, 36, 39, 42, 45]], rtol=1e-6)


def broken(twin, **changes):
    content = twin.content()
    for key, value in changes.items():
        state, name = key.split("__")
        name = name.replace("_DOT_", ".")
        if value is None:
            del content[state][name]
        else:
            content[state][name] = value
    return content


def test_missing_unexpected_and_misshaped_keys_are_all_named(tmp_path):
    content = broken(Twin(size=(32, 32), channels=(4, 8)), generator__dcl_DOT_3_DOT_weight=torch.zeros(2),
                     encoder__rnn_DOT_bias_hh_l1=None, encoder_id__cl_DOT_2_DOT_0_DOT_weight=torch.zeros(12, 8, 4, 4))
    torch.save(content, tmp_path / "a.dat")
    with pytest.raises(UserError) as raised:
        sda.convert(tmp_path / "a.dat")
    message = str(raised.value)
    assert "missing encoder/rnn.bias_hh_l1 (60,)" in message
    assert "unexpected generator/dcl.3.weight (2,)" in message
    assert "encoder_id/cl.2.0.weight has shape (12, 8, 4, 4), not (12, 8, 8, 8)" in message


@pytest.mark.parametrize("change, message", [
    ({"video_rate": 30}, "video_rate 30; only 25"),
    ({"audio_feat_samples": 9999}, "do not fit"),
    ({"audio_feat_samples": "long"}, "not a whole number"),
    ({"mean_face": np.zeros((5, 2))}, r"mean_face has shape \(5, 2\)"),
    ({"encoder": [1, 2]}, "encoder is not a state dict"),
    ({"generator": {"dcl.0.0.weight": torch.full((42, 8, 8, 8), float("nan"))}}, "not finite"),
])
def test_contradictions_are_named(tmp_path, change, message):
    Twin(size=(32, 32), channels=(4, 8)).save(tmp_path / "a.dat", **change)
    with pytest.raises(UserError, match=message):
        sda.convert(tmp_path / "a.dat")


def test_files_of_something_else_are_named(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="lacks img_size, audio_rate.*found state_dict"):
        sda.convert(tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UserError, match="holds a list"):
        sda.convert(tmp_path / "list.pt")


def test_the_released_sizes_fit_the_released_files():
    """221,156,392 bytes of tensors were counted for these sizes; the files hold little more."""
    sizes = sda.Sizes(128, 96, 50_000, 10_000, (16, 32, 64, 128, 256), 256, 256, 128, 10, 1, (64, 128, 256, 512, 1024))
    table = sda.rules(sizes)
    counters = sum(rule.source.endswith("running_mean") for rule in table)  # one int64 a norm that we do not read
    assert 4 * sum(int(np.prod(rule.shape)) for rule in table) + 8 * counters == 221_156_392
    assert counters == 5 + 5 + 9


def test_damaged_converted_weights_are_named(tmp_path):
    Twin(size=(32, 32), channels=(4, 8)).save(tmp_path / "a.dat")
    run(["convert", "sda", "--in", str(tmp_path / "a.dat"), "--out", str(tmp_path / "w.safetensors")])
    tree, header = weights_file.read(tmp_path / "w.safetensors")
    content = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:-100])
    with pytest.raises(UserError, match=r"cut\.safetensors: not a whole safetensors file"):
        load_run(tmp_path / "cut.safetensors")
    del tree["generator"]["params"]["audio"]["code_conv"]["bias"]
    weights_file.write(tmp_path / "lack.safetensors", tree, header)
    with pytest.raises(UserError, match="differs in 1 tensors"):
        load_run(tmp_path / "lack.safetensors")
    weights_file.write(tmp_path / "new.safetensors", tree, header | {"layout": "unheard of"})
    with pytest.raises(UserError, match="'unheard of' is unknown; this version draws with sda"):
        load_run(tmp_path / "new.safetensors")
    with pytest.raises(UserError, match="layout 'none' is unknown; this version draws with sda"):
        load_run(shipped.FOLDER / "sync_metric.safetensors")  # a judge draws nothing


def test_the_same_file_gives_the_same_bytes(tmp_path, capsys):
    Twin(size=(32, 32), channels=(4, 8)).save(tmp_path / "a.dat")
    for name in ("one", "two"):
        run(["convert", "sda", "--in", str(tmp_path / "a.dat"), "--out", str(tmp_path / name)])
    one, two = (tmp_path / name / "weights.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert "audio 50000 Hz in windows of 10000 samples (0.2 s)" in capsys.readouterr().err
    assert run(["list"]) == 0
    assert "grid.dat" in capsys.readouterr().out
