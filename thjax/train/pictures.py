"""What an evaluation shows: a strip (still | truth | generated) as PNG, and one mp4 with sound."""

import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_pipelines.schema import AUDIO_CONTEXT, SAMPLES_PER_FRAME
from thjax.core import files

STRIP_CLIPS = 4
STRIP_FRAMES = 4
GAP = 2
log = logging.getLogger(__name__)


def strip(samples: list[Mapping[str, Any]]) -> np.ndarray:
    """One row per clip: the still, then frames of the truth, then the generated frames of the same moments.

    Args:
        samples: of `{"still": [H, W, 3], "frames": [T, H, W, 3], "generated": [T, H, W, 3], "valid": [T]}`, uint8;
            where a system takes no still, the first valid frame is shown, from which it drew the others.

    Returns:
        [rows, columns, 3] uint8, white between the three parts.
    """
    rows = []
    for sample in samples[:STRIP_CLIPS]:
        count = max(1, int(sample["valid"].sum()))
        moments = np.linspace(0, count - 1, STRIP_FRAMES).round().astype(int)
        frames = sample["frames"]
        still = sample["still"] if "still" in sample else frames[np.argmax(sample["valid"] > 0)]
        gap = np.full((len(still), GAP, 3), 255, np.uint8)
        rows += [np.concatenate([still, gap, *frames[moments], gap, *sample["generated"][moments]], 1)]
    return np.concatenate(rows, axis=0)


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes [H, W, 3] uint8, whole or not at all."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    files.write_bytes(path, content.getvalue())


class Films:
    """Writes one mp4 per evaluation where PyAV is installed; says once where it is not."""

    def __init__(self):
        self._told = False

    def write(self, path: Path, sample: Mapping[str, Any], step: int) -> bool:
        """Truth beside generated, with the speech. Returns whether the film was written.

        Args:
            path: of the mp4.
            sample: as `strip` takes it, and `"audio"` [T * 640 + 6400] int16 where the stage has audio.
            step: of the run, for the film's title.
        """
        from data_pipelines.media import write_mp4
        from data_pipelines.schema import DataError

        count = max(1, int(sample["valid"].sum()))
        frames = np.concatenate([sample["frames"][:count], sample["generated"][:count]], axis=2)
        audio = sample.get("audio")
        if audio is not None:
            audio = audio[AUDIO_CONTEXT : AUDIO_CONTEXT + count * SAMPLES_PER_FRAME]
        try:
            write_mp4(path, frames, audio, metadata={"title": f"step {step}: truth | generated"})
        except DataError as error:
            if not self._told:
                log.warning("evaluations come without films: %s", error)
                self._told = True
            return False
        return True
