"""Mel columns against librosa, and that a stream hears what a file does."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from thjax.audio.mel_magnitude import MelColumns, mel_levels


def speechlike(samples, seed=0):
    rng = np.random.default_rng(seed)
    tone = np.sin(np.arange(samples) * 0.05) + 0.3 * np.sin(np.arange(samples) * 0.61)
    loudness = np.repeat(rng.uniform(0, 1, samples // 320 + 1), 320)[:samples]
    return ((tone + 0.2 * rng.normal(size=samples)) * loudness * 8000).astype(np.int16)


def test_levels_equal_librosa():
    frames, mel = 9, MelColumns()
    audio = speechlike(frames * 640)
    padded = np.pad(audio, (mel.behind, mel.ahead))
    ours = np.asarray(jax.jit(mel)(padded)).reshape(frames, 20, 20)
    heard = librosa.feature.melspectrogram(
        y=audio / 32768, sr=16000, n_fft=1280, hop_length=160, n_mels=20, fmin=125, fmax=7600, power=1.0, center=True,
        pad_mode="constant",
    )
    levels = np.clip((20 * np.log10(np.maximum(1e-5, heard)) - 20 + 100) / 100, 0, 1).T
    # Column j of frame t is librosa's column 4 t + 2 + j - 10, where that exists.
    places = np.arange(frames)[:, None] * 4 - 8 + np.arange(20)
    inside = (places >= 0) & (places < len(levels))
    assert inside.mean() > 0.7 and np.ptp(levels) > 0.3
    np.testing.assert_allclose(ours[inside], levels[places[inside]], atol=2e-5)


def test_a_piece_of_audio_gives_a_piece_of_the_features():
    mel = MelColumns(bands=20, columns=20)
    audio = speechlike(12 * 640 + mel.behind + mel.ahead)
    listen = jax.jit(mel)
    whole = np.asarray(listen(audio))
    pieces = [listen(audio[640 * t : 640 * (t + 3) + mel.behind + mel.ahead]) for t in range(0, 12, 3)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)
    assert (mel.behind, mel.ahead, mel.features) == (1920, 1760, 400)


def test_silence_is_zero_and_loudness_adds():
    audio = speechlike(1280 * 4).astype(np.float32)
    listen = jax.jit(lambda sound: mel_levels(sound, 20))
    assert not np.asarray(listen(jnp.zeros(1280 * 4))).any()
    soft, loud = (np.asarray(listen(audio * gain)) for gain in (1.0, 10.0))
    unclipped = (soft > 0) & (loud < 1)
    assert unclipped.mean() > 0.5
    np.testing.assert_allclose((loud - soft)[unclipped], 0.2, atol=1e-4)


@pytest.mark.parametrize("make, message", [
    (lambda: MelColumns(columns=5), "even"),
    (lambda: MelColumns(bands=0), "bands 0"),
    (lambda: MelColumns(fps=30), "whole columns"),
    (lambda: MelColumns()(jnp.zeros(4000)), "1920 \\+ T x 640 \\+ 1760"),
])
def test_what_cannot_work_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
