"""SyncNet beside its twin in torch, and the public procedure around it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.pretrained.twins import apply, assert_fits, close, converted, randomise, save  # noqa: E402
from thjax.core.errors import UserError  # noqa: E402
from thjax.pretrained import syncnet_score  # noqa: E402
from thjax.pretrained.speech_features import mfcc  # noqa: E402


def block(conv, norm, inputs, outputs, kernel, **geometry):
    return [conv(inputs, outputs, kernel, **geometry), norm(outputs), nn.ReLU()]


def head():
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))


class Twin(nn.Module):
    def __init__(self):
        super().__init__()
        two, three = (nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d)
        self.netcnnaud = nn.Sequential(
            *block(*two, 1, 64, 3, padding=1), nn.MaxPool2d(1, 1),
            *block(*two, 64, 192, 3, padding=1), nn.MaxPool2d(3, (1, 2)),
            *block(*two, 192, 384, 3, padding=1), *block(*two, 384, 256, 3, padding=1),
            *block(*two, 256, 256, 3, padding=1), nn.MaxPool2d(3, 2), *block(*two, 256, 512, (5, 4)))
        self.netcnnlip = nn.Sequential(
            *block(*three, 3, 96, (5, 7, 7), stride=(1, 2, 2)), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *block(*three, 96, 256, (1, 5, 5), stride=(1, 2, 2), padding=(0, 1, 1)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *block(*three, 256, 256, (1, 3, 3), padding=(0, 1, 1)),
            *block(*three, 256, 256, (1, 3, 3), padding=(0, 1, 1)),
            *block(*three, 256, 256, (1, 3, 3), padding=(0, 1, 1)), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *block(*three, 256, 512, (1, 6, 6)))
        self.netfcaud, self.netfclip = head(), head()

    def audio(self, x):
        return self.netfcaud(self.netcnnaud(x).flatten(1))

    def video(self, x):
        return self.netfclip(self.netcnnlip(x).flatten(1))


@pytest.fixture(scope="module")
def twin():
    return randomise(Twin())


@pytest.fixture(scope="module")
def ours(twin, tmp_path_factory):
    return converted("syncnet", save(twin, tmp_path_factory.mktemp("syncnet") / "syncnet_v2.model", zipped=False))


def test_both_towers_are_the_twins(twin, ours):
    rng = np.random.default_rng(0)
    mfcc, frames = 10 * rng.standard_normal((2, 13, 20)), rng.uniform(0, 255, (1, 5, 224, 224, 3))
    assert_fits(*ours, mfcc, frames)
    audio, video = apply(*ours, mfcc, frames)
    with torch.no_grad():
        close(audio, twin.audio(torch.tensor(mfcc[:, None], dtype=torch.float32)))
        close(video, twin.video(torch.tensor(frames.transpose(0, 4, 1, 2, 3), dtype=torch.float32)))


def pictures(count):
    y, x = np.mgrid[:224, :224]
    still = np.stack([128 + 100 * np.sin(x / 17), 128 + 100 * np.cos(y / 23), (x + y) / 2], -1)
    return np.stack([np.roll(still, 3 * i, 1) for i in range(count)]).astype(np.uint8)


def test_the_score_is_the_public_scripts(twin, ours):
    psf = pytest.importorskip("python_speech_features")
    frames = pictures(9)
    audio = (3000 * np.random.default_rng(1).standard_normal(9 * 640 + 100)).astype(np.int16)
    found = syncnet_score.score(*ours, frames, audio, lossless=True, shifts=2)

    video = torch.tensor(frames[..., ::-1].astype(np.float32)).permute(0, 3, 1, 2)
    speech = torch.tensor(psf.mfcc(audio, 16_000).T, dtype=torch.float32)
    with torch.no_grad():
        seen = twin.video(torch.stack([video[i:i + 5].transpose(0, 1) for i in range(4)]))
        heard = twin.audio(torch.stack([speech[None, :, 4 * i:4 * i + 20] for i in range(4)]))
    padded = nn.functional.pad(heard, (0, 0, 2, 2))
    curve = torch.stack([nn.functional.pairwise_distance(seen[i:i + 1].repeat(5, 1), padded[i:i + 5])
                         for i in range(4)]).mean(0)
    close(found.distances, curve)
    assert found.windows == 4
    assert found.offset == 2 - int(curve.argmin())
    np.testing.assert_allclose(found.distance, curve.min().item(), rtol=1e-4)
    spread = np.ptp(curve.numpy())
    np.testing.assert_allclose(found.confidence, (curve.median() - curve.min()).item(), atol=1e-2 * spread)


@pytest.mark.parametrize("late", [-3, 0, 4])
def test_a_late_video_has_a_positive_offset(late):
    codes = np.random.default_rng(0).standard_normal((60, 16))
    heard, seen = codes[10:50], codes[10 - late:50 - late]
    found = syncnet_score.from_distances(syncnet_score.shifted_distances(seen, heard), len(seen))
    assert found.offset == late
    assert found.confidence > 1


@pytest.mark.parametrize("samples", [1, 399, 400, 401, 560, 561, 7000])
def test_cepstra_are_python_speech_features(samples):
    psf = pytest.importorskip("python_speech_features")
    audio = (3000 * np.random.default_rng(samples).standard_normal(samples)).astype(np.int16)
    np.testing.assert_allclose(mfcc(audio), psf.mfcc(audio, 16_000), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mfcc(np.zeros(800)), psf.mfcc(np.zeros(800), 16_000), rtol=1e-9, atol=1e-9)


def test_jpeg_costs_a_little_and_keeps_order_and_colours():
    pytest.importorskip("av")
    frames = pictures(6)
    coded = syncnet_score.jpeg_pass(frames)
    assert coded.shape == frames.shape and coded.dtype == np.uint8
    error = np.abs(coded.astype(int) - frames).mean((1, 2, 3))
    assert (error > 0).all() and (error < 8).all()
    across = np.abs(coded[0].astype(int) - frames[3]).mean()
    assert across > 2 * error[0]


def test_clips_that_cannot_be_judged_are_named():
    with pytest.raises(UserError, match="5 frames and 9999 samples: SyncNet needs more than 5 frames"):
        syncnet_score.embed(None, {}, pictures(5), np.zeros(9999, np.int16))
    with pytest.raises(UserError, match=r"frames \(6, 96, 96, 3\) of uint8: resize to"):
        syncnet_score.embed(None, {}, np.zeros((6, 96, 96, 3), np.uint8), np.zeros(9999, np.int16))
