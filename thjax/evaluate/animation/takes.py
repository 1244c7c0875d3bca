"""What else a head might have done: other true motions of the same audio. The embedded corpus alone knows them."""

import dataclasses
import json
import logging

import numpy as np

from data_pipelines.manifest import Manifest
from data_pipelines.synthetic import features
from data_pipelines.synthetic.corpus import make_motion, make_speech
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.expression import action_units
from data_pipelines.synthetic.scene import neutral_scene
from data_pipelines.synthetic.settings import DATASET, Corpus
from data_pipelines.synthetic.speech import SpeechError
from thjax.evaluate.animation.clips import TRANSLATION, MotionClip

log = logging.getLogger(__name__)
TAKES = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Takes:
    """Other true motions of a clip's audio.

    Attributes:
        vectors: [TAKES, T, 23].
        expression: [T, 20] of the clip itself, with the lip shapes that no action unit names.
    """

    vectors: np.ndarray
    expression: np.ndarray


class TakeMaker:
    """Performs the clips of an embedded corpus again.

    Args:
        corpus: settings that the corpus was drawn with.
    """

    def __init__(self, corpus: Corpus):
        self._corpus, self._scene = corpus, neutral_scene()
        self._espeak = Espeak()

    @classmethod
    def of(cls, manifest: Manifest) -> "TakeMaker | None":
        """For an embedded corpus on a machine with its voices; else None, with a notice."""
        if manifest.content.get("dataset") != DATASET:
            return None
        fields = {field.name for field in dataclasses.fields(Corpus)}
        settings = json.loads(manifest.content["source"])
        try:
            return cls(Corpus(**{name: value for name, value in settings.items() if name in fields}))
        except SpeechError as error:
            log.warning("no other takes of the clips, and no row of them: %s", error)
            return None

    def close(self) -> None:
        """Ends the engine of voices."""
        self._espeak.close()

    def of_clip(self, clip: MotionClip) -> Takes | None:
        """Other motions of the clip; None where today's code performs the clip itself otherwise."""
        place = self._corpus.places[clip.key]
        said = make_speech(self._corpus, place, self._espeak)
        itself = make_motion(self._corpus, place, said)
        if not np.allclose(action_units(itself.expression), clip.vectors[:, :17], atol=1e-4):
            return None
        vectors = []
        for take in range(1, TAKES + 1):
            labels = features.labels(make_motion(self._corpus, place, said, take), self._scene)
            vectors.append(np.concatenate([labels["au"], labels["pose"]], axis=1))
            vectors[-1][:, TRANSLATION] -= vectors[-1][0, TRANSLATION]
        return Takes(np.stack(vectors), itself.expression)
