"""What readers cannot see, preparing must: every planted clip is written, or lost for the reason it was planted for."""

import pytest

from data_pipelines.fixtures.corpora import CORPORA
from data_pipelines.prepare.clip import Settings, make_clip
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers import READERS
from data_pipelines.readers.reference import ClipReference


@pytest.mark.parametrize("name", CORPORA)
def test_preparing_finds_what_scanning_could_not(planted, name):
    root, expected = planted(name)
    for clip in READERS[CORPORA[name][0]].scan(root, 1):
        if isinstance(clip, ClipReference):
            fate = expected[clip.key]
            try:
                made = make_clip(clip, Settings(size=32, min_seconds=0.5))
            except BadClip as bad:
                assert (fate.stage, fate.reason) == ("prepare", bad.reason), (fate, bad.detail)
            else:
                assert fate.stage == "usable", fate
                assert made["key"] == clip.key and abs(len(made["audio"]) - 640 * len(made["video"])) <= 640
                assert made.get("words") or not clip.words
