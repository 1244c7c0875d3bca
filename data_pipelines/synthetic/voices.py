"""Who speaks: voices of espeak-ng, different ones for training, validation and test."""

import dataclasses

from data_pipelines.synthetic import seeding
from data_pipelines.synthetic.espeak import Utterance

VARIANTS = {
    "train": ("m1", "f1", "m3", "Andrea", "m4", "linda", "m6", "shelby", "robert", "max"),
    "validation": ("m5", "grandma", "boris"),
    "test": ("m7", "Annie", "Denis", "aunty"),
}
"""Timbres of espeak-ng 1.51 and later; none is heard in two splits. Only those without echo: an echo fills pauses and
the closures of stops with sound that nobody makes."""
ACCENTS = ("en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan")
"""Accents of every split."""
UNHEARD_ACCENTS = {"train": (), "validation": ("en-gb-x-gbcwmd",), "test": ("en-029", "en-us-nyc")}
"""Accents of every third speaker outside training: validation on known accents alone hides overfitting to voices."""
UNHEARD_EVERY = 3
RATES = (115, 165)
"""Words per minute, over speakers."""
RATE_JITTER = 0.06
"""Relative change of the rate from clip to clip."""
PITCHES = (25, 75)
PITCH_RANGES = (35, 65)
TRACTS = (0.94, 1.06)
"""The recording is played this much faster, which moves formants and pitch like a shorter vocal tract."""
LEVELS = (0.55, 0.9)
"""Gain of the recording."""


@dataclasses.dataclass(frozen=True)
class Voice:
    """A speaker's voice: `accent` and `variant` are espeak's names, the rest as the ranges above."""

    accent: str
    variant: str
    rate: int
    pitch: int
    pitch_range: int
    tract: float
    level: float

    def utterance(self, text: str, rate: float = 1.0) -> Utterance:
        """The text in this voice, `rate` times as fast as the speaker's habit."""
        return Utterance(text=text, voice=f"{self.accent}+{self.variant}", rate=round(self.rate * rate),
                         pitch=self.pitch, pitch_range=self.pitch_range)


def draw_voice(seed: int, split: str, index: int) -> Voice:
    """The voice of the split's speaker number `index`. Pairs of variant and accent are dealt out before any repeats.

    Raises:
        ValueError: unknown split.
    """
    if split not in VARIANTS:
        raise ValueError(f"split {split!r} is unknown; use {', '.join(VARIANTS)}")
    variants, unheard = VARIANTS[split], UNHEARD_ACCENTS[split]
    accent = ACCENTS[(index % len(variants) + index // len(variants)) % len(ACCENTS)]
    if unheard and index % UNHEARD_EVERY == UNHEARD_EVERY - 1:
        accent = unheard[index // UNHEARD_EVERY % len(unheard)]
    rng = seeding.generator(seed, "voice", split, index)
    return Voice(
        accent=accent, variant=variants[index % len(variants)], rate=int(rng.integers(*RATES)),
        pitch=int(rng.integers(*PITCHES)), pitch_range=int(rng.integers(*PITCH_RANGES)),
        tract=float(rng.uniform(*TRACTS)), level=float(rng.uniform(*LEVELS)))
