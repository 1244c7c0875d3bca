"""Public networks in an evaluation, with random weights: names, perfect copies, the public procedures' own values."""

import numpy as np
import pytest
import skimage.data

from tests.evaluate import planted
from thjax.core.errors import UserError
from thjax.evaluate.judges import Judges
from thjax.evaluate.measures import features_of, measure_clip
from thjax.evaluate.public_networks import PublicNetworks
from thjax.metrics.sync import PRESETS
from thjax.pretrained import arcface, inception, lipnet, lpips, openface, rules, syncnet, syncnet_crop, syncnet_score

AUDIO = slice(3200, -3200)


def random_network(module, net=None):
    """(network, variables) of a public network, drawn through its own conversion rules."""
    net = module.network() if net is None else net
    rng, table = np.random.default_rng(0), module.rules(net)
    tensors = {rule.source: np.abs(rng.normal(0.05, 0.05, rule.shape)).astype(np.float32) + 0.01 for rule in table}
    signed = {name: x * rng.choice([-1, 1], x.shape).astype(np.float32) if x.ndim > 1 and "lin" not in name else x
              for name, x in tensors.items()}
    return net, rules.apply(table, signed, "random")


def judges_with(preset="lrs", **networks):
    ours = planted.judges()
    return Judges(ours.sync, ours.lips, ours.identity, ours.face, PublicNetworks(networks, preset))


@pytest.fixture(scope="module")
def truth():
    return planted.clip(count=8)


@pytest.fixture(scope="module")
def faces():
    return judges_with(lpips=random_network(lpips), openface=random_network(openface),
                       arcface=random_network(arcface, arcface.IResNet((1, 1, 1, 1))))


def test_a_still_is_itself_and_noise_is_not_under_names_with_network_crop_and_size(faces):
    truth = planted.clip(count=8)
    truth.frames[:] = truth.still
    noise = np.random.default_rng(1).integers(0, 255, truth.frames.shape).astype(np.uint8)
    noise[:, 0] = truth.frames[:, 0]
    same, other = (measure_clip(truth, made, faces).values for made in (truth.frames, noise))
    for name in ("lpips[alex-0.1, frame 64]", "acd[arcface-r100, aligned 112]",
                 "acd[openface-nn4.small2, aligned 96]"):
        assert same[name].value < 1e-6 < 1e-5 < other[name].value, name
    assert "acd_mse[openface-nn4.small2, aligned 96]" in same
    assert same["csim[arcface-r100, aligned 112]"].value == pytest.approx(1)


def test_lips_of_a_stranger_s_face_on_the_still_leave_identity_out(truth, faces):
    made = planted.changed(truth, planted.FOUND, 0)
    assert measure_clip(truth, made, faces).left_out["csim[arcface-r100, aligned 112]"] == "no frame with a face"


@pytest.mark.parametrize("preset", ["lrs", "tracked", "lrs lossless", "tracked lossless"])
def test_sync_is_what_the_public_procedure_gives(truth, preset, monkeypatch):
    monkeypatch.setattr(syncnet_score, "_BATCH", 3)
    net, variables = random_network(syncnet)
    judges = judges_with(preset, syncnet=(net, variables))
    assert judges.about["sync_preset"] == preset  # so shards of two presets are no shards of one evaluation
    found = measure_clip(truth, truth.frames, judges).values
    points = planted.judges().face.measure(truth.frames).landmarks
    jpeg = PRESETS[preset].jpeg
    if PRESETS[preset].crop == "frame":  # JPEG at the clip's own size, then resized
        pictures = syncnet_crop.whole_frames(syncnet_score.jpeg_pass(truth.frames) if jpeg else truth.frames)
    else:  # a track is cut out and resized first
        pictures = syncnet_crop.face_track(truth.frames, points)
        pictures = syncnet_score.jpeg_pass(pictures) if jpeg else pictures
    theirs = syncnet_score.score(net, variables, pictures, truth.audio[AUDIO], lossless=True)
    place = f"syncnet{'' if jpeg else ' lossless'}, {PRESETS[preset].crop} 224"
    assert found[f"lse_d[{place}]"].value == pytest.approx(theirs.distance, rel=1e-6)
    assert found[f"lse_c[{place}]"].value == pytest.approx(theirs.confidence, rel=1e-6)
    assert found[f"sync_offset[{place}]"].value == theirs.offset
    assert found[f"sync_offset_error[{place}]"].value == 0


def test_lipnet_reads_commands_alone(truth):
    judges = judges_with(lipnet=random_network(lipnet))
    assert measure_clip(truth, truth.frames, judges).values["wer[lipnet]"].value > 0
    free = planted.clip(count=8)
    free.words = [("hello", 0.1, 0.5)]
    assert measure_clip(free, free.frames, judges).left_out["wer[lipnet]"].startswith("not a GRID command")


def test_inception_s_features_are_of_whole_frames():
    judges, short = judges_with(inception=random_network(inception)), planted.clip(count=1)
    found = features_of(short, short.seen(judges), judges)
    assert found["inception-2015", "frame", 64].shape == (1, 2048)
    assert set(found) == {("inception-2015", "frame", 64), ("synthetic", "head", 64)}


@pytest.mark.parametrize("size", [(64, 48), (224, 300), (480, 360)])
def test_pictures_are_resized_without_a_low_pass_filter(size):
    torch = pytest.importorskip("torch")
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    theirs = torch.nn.functional.interpolate(torch.tensor(frames).permute(0, 3, 1, 2).double(), (224, 224),
                                             mode="bilinear", align_corners=False).permute(0, 2, 3, 1).numpy()
    assert np.abs(syncnet_crop.whole_frames(frames) - theirs).max() < 0.501  # rounded


def test_a_face_track_is_the_square_of_the_public_script():
    frames = np.repeat(skimage.data.astronaut()[None], 15, 0)
    landmarks = np.tile(np.random.default_rng(0).uniform(size=(68, 2)), (15, 1, 1))
    landmarks[:, :2] = [[0, 0], [1, 1]]
    landmarks = 100 + 80 * landmarks  # a box from 100 to 180: half of its side is 40, 40 % are added around it
    found = syncnet_crop.face_track(frames, landmarks)
    assert found.shape == (15, 224, 224, 3)
    # Past the six frames that the median filter's zeros reach into.
    np.testing.assert_array_equal(found[7], syncnet_crop.whole_frames(frames[:1, 100:212, 84:196])[0])
    outside = syncnet_crop.face_track(frames, landmarks - 150)[7]
    assert (outside[:80, :80] == 110).all() and (outside[150:, 150:] != 110).any()
    with pytest.raises(UserError, match="finite"):
        syncnet_crop.face_track(frames, np.full((15, 68, 2), np.nan))


@pytest.mark.parametrize("given, message", [
    (["lpips"], "must be NETWORK=FILE"),
    (["vgg19=a"], "'vgg19' measures nothing here; these do: lpips, syncnet"),
    (["lpips=none.safetensors"], "no converted weights; make them with `thjax weights convert lpips"),
])
def test_networks_that_cannot_be_used(given, message):
    with pytest.raises(UserError, match=message):
        PublicNetworks.load(given)
