"""Clips as functions of settings and key: exact labels, audio and motion without rendering, nothing cut."""

import numpy as np
import pytest

from data_pipelines.synthetic import corpus as corpus_module
from data_pipelines.synthetic import espeak, features
from data_pipelines.synthetic.expression import EXPRESSION_INDEX
from data_pipelines.synthetic.settings import Corpus

TINY = Corpus(speakers=3, clips=2, size=48, motion="natural", seed=1)


def test_labels_are_what_was_asked_of_the_head():
    place = TINY.places["synthetic/train_0000/0001"]
    with espeak.Espeak() as engine:
        said = corpus_module.make_speech(TINY, place, engine)
        clip = corpus_module.make_clip(TINY, place, engine)
    moved = corpus_module.make_motion(TINY, place, said)  # without any rendering
    np.testing.assert_array_equal(clip["audio"], said.audio)
    np.testing.assert_allclose(clip["au"], 5 * moved.expression[:, :17], atol=1e-5)
    np.testing.assert_array_equal(clip["blink"], moved.expression[:, EXPRESSION_INDEX["AU45"]] > 0.5)
    np.testing.assert_allclose(clip["pose"][:, 3:], moved.pose[:, 3:], atol=1e-6)
    assert clip["av_offset"] == 0 and clip["sentence"] == said.sentence and len(clip["words"]) == 6
    assert clip["phonemes"][0][0] == "_" and clip["phonemes"][-1][2] == pytest.approx(3.0)


def test_other_takes_are_other_motions_of_the_same_audio():
    place = TINY.places["synthetic/test_0000/0000"]
    with espeak.Espeak() as engine:
        said = corpus_module.make_speech(TINY, place, engine)
    takes = [corpus_module.make_motion(TINY, place, said, take) for take in (0, 0, 1)]
    assert np.array_equal(takes[0].pose, takes[1].pose) and not np.array_equal(takes[0].pose, takes[2].pose)


def test_clips_do_not_depend_on_how_many_there_are():
    small, large = Corpus(speakers=6, clips=2, seed=3), Corpus(speakers=30, clips=50, seed=3)
    place = small.places["synthetic/train_0003/0001"]
    with espeak.Espeak() as engine:
        assert np.array_equal(corpus_module.make_speech(small, place, engine).audio,
                              corpus_module.make_speech(large, place, engine).audio)
    faces = [corpus_module.make_identity(corpus, place) for corpus in (small, large)]
    assert np.array_equal(faces[0].shape, faces[1].shape) and np.array_equal(faces[0].albedo, faces[1].albedo)


def test_sentences_longer_than_a_record_get_more_records():
    """Nothing is cut: the words of a free sentence are all there, spread over the records of its clip."""
    corpus = Corpus(speakers=1, clips=6, size=48, sentences="free", seed=2)
    with espeak.Espeak() as engine:
        said = {key: corpus_module.make_speech(corpus, place, engine) for key, place in corpus.places.items()}
    assert max(speech.frames for speech in said.values()) > 106
    longest = max(said.values(), key=lambda speech: speech.frames)
    assert longest.words[-1][2] < longest.frames / 25
    assert len(longest.words) == len(longest.sentence.split())


def test_without_pixels_a_clip_says_and_does_the_same():
    place = TINY.places["synthetic/train_0000/0001"]
    with espeak.Espeak() as engine:
        rendered, clip = (make(TINY, place, engine) for make in (corpus_module.make_clip, features.make_clip))
    assert set(rendered) - set(clip) == {"frames", "landmarks", "coefficients"}
    for name in (*features.LABELS, "audio"):
        np.testing.assert_array_equal(clip[name], rendered[name])
        assert clip[name].dtype == rendered[name].dtype
    assert {name: clip[name] for name in ("words", "phonemes", "sentence", "key", "split")} == {
        name: rendered[name] for name in ("words", "phonemes", "sentence", "key", "split")}
