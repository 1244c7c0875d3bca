"""Long talks of a mapper's learning table: which clips they are made of, and their sound."""

import types

import numpy as np

from benchmarks.learning_talks import TALK_SECONDS, joined, talks_of
from data_pipelines.schema import AUDIO_CONTEXT, FPS, SAMPLES_PER_FRAME


class Clips(list):
    @property
    def speakers(self):
        return [clip.speaker for clip in self]


def clip(speaker, frames, number):
    spoken = np.full(frames * SAMPLES_PER_FRAME, number, np.int16)
    return types.SimpleNamespace(speaker=speaker, frames=frames, number=number, audio=np.pad(spoken, AUDIO_CONTEXT))


def test_talks_are_four_clips_of_one_speaker_that_last_long_enough():
    long, short = TALK_SECONDS * FPS // 4, TALK_SECONDS * FPS // 4 - 1
    lengths = {"a": [long] * 9, "b": [short] * 4, "c": [short] * 3 + [long + 3]}
    clips = Clips(clip(speaker, frames, 0) for speaker, own in lengths.items() for frames in own)
    for number, each in enumerate(clips):
        each.number = number
    # The ninth of a is too little for a talk, b's four last four frames too short.
    found = [[each.number for each in talk] for talk in talks_of(clips)]
    assert found == [[0, 1, 2, 3], [4, 5, 6, 7], [13, 14, 15, 16]]


def test_sound_is_joined_without_the_context_between_and_starts_again_at_its_end():
    sound = joined([clip("a", 15, 1), clip("a", 10, 2)], seconds=2)
    assert len(sound) == 2 * FPS * SAMPLES_PER_FRAME + 2 * AUDIO_CONTEXT and sound.dtype == np.int16
    assert not sound[:AUDIO_CONTEXT].any() and not sound[-AUDIO_CONTEXT:].any()
    per_frame = sound[AUDIO_CONTEXT:-AUDIO_CONTEXT].reshape(2 * FPS, SAMPLES_PER_FRAME)
    np.testing.assert_array_equal(per_frame, np.resize([1] * 15 + [2] * 10, 2 * FPS)[:, None].repeat(640, 1))
