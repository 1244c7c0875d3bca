"""Phonemes to mouth shapes: targets, co-articulation, closures, and the rule that turns lip shapes into action units.

Targets are blended per coefficient by overlapping dominance functions (Cohen and Massaro 1993, "Modeling coarticulation
in synthetic visual speech"): a phoneme rules a coefficient in proportion to its dominance there, with Gaussian edges.
Lips reach before they sound, so rounding has the widest edges. p, b and m then close the lips whatever the neighbours
want, for long enough that a camera of 25 frames per second sees it.

Frame t shows the instant (t + 0.5) / 25 s.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.special

from data_pipelines import schema
from data_pipelines.synthetic.expression import EXPRESSION_INDEX, EXPRESSION_NAMES
from data_pipelines.synthetic.speech import PAUSE, STRESS_MARKS, Phoneme

SHAPES = ("AU10", "AU12", "AU17", "AU20", "AU25", "AU26", "pucker", "funnel")
"""Coefficients that visemes set; closures set `press`."""
EDGE_SECONDS = {"AU26": 0.040, "pucker": 0.055, "funnel": 0.045}
"""Width (standard deviation) of the edges of a phoneme's reign; `DEFAULT_EDGE_SECONDS` for the lips' other shapes."""
DEFAULT_EDGE_SECONDS = 0.032
UNSTRESSED_GAIN = 0.85
"""Opening of a vowel without the word's main stress, relative to one that carries it."""


@dataclasses.dataclass(frozen=True)
class Viseme:
    """A mouth shape.

    Attributes:
        shape: coefficients by name, 0 to 1; those not named are 0.
        dominance: how strongly the shape insists against its neighbours, 1 for vowels.
        rounding_dominance: the same for `pucker` and `funnel`; low where the tongue alone makes the sound.
    """

    shape: dict[str, float]
    dominance: float = 1.0
    rounding_dominance: float = 1.0


VISEMES = {
    "rest": Viseme({}, dominance=0.8, rounding_dominance=0.8),
    "bilabial": Viseme({}, dominance=0.5, rounding_dominance=0.2),
    "labiodental": Viseme({"AU25": 0.20, "AU10": 0.25, "AU17": 0.30, "AU26": 0.05}, 1.6, rounding_dominance=0.6),
    "alveolar": Viseme({"AU25": 0.45, "AU26": 0.12, "AU20": 0.15}, dominance=0.6, rounding_dominance=0.15),
    "sibilant": Viseme({"AU25": 0.50, "AU20": 0.35, "AU26": 0.04}, dominance=1.1, rounding_dominance=0.4),
    "velar": Viseme({"AU25": 0.45, "AU26": 0.22}, dominance=0.5, rounding_dominance=0.15),
    "lateral": Viseme({"AU25": 0.50, "AU26": 0.25}, dominance=0.6, rounding_dominance=0.2),
    "rhotic": Viseme({"pucker": 0.45, "AU25": 0.35, "AU26": 0.12}, dominance=0.8),
    "labiovelar": Viseme({"pucker": 0.90, "AU25": 0.15}, dominance=1.3, rounding_dominance=1.5),
    "postalveolar": Viseme({"funnel": 0.80, "AU25": 0.50}, dominance=1.1, rounding_dominance=1.3),
    "dental": Viseme({"AU25": 0.50, "AU26": 0.12, "AU20": 0.10}, dominance=0.9, rounding_dominance=0.3),
    "glottal": Viseme({"AU25": 0.40, "AU26": 0.25}, dominance=0.3, rounding_dominance=0.1),
    "see": Viseme({"AU20": 0.75, "AU25": 0.55, "AU26": 0.10, "AU12": 0.15}),
    "sit": Viseme({"AU20": 0.40, "AU25": 0.50, "AU26": 0.22}),
    "set": Viseme({"AU20": 0.40, "AU25": 0.60, "AU26": 0.42}),
    "sat": Viseme({"AU25": 0.70, "AU26": 0.75, "AU20": 0.10}),
    "spa": Viseme({"AU25": 0.65, "AU26": 0.85}),
    "cut": Viseme({"AU25": 0.55, "AU26": 0.50}),
    "saw": Viseme({"pucker": 0.55, "funnel": 0.30, "AU25": 0.50, "AU26": 0.50}),
    "soon": Viseme({"pucker": 0.95, "AU25": 0.30, "AU26": 0.12}),
    "schwa": Viseme({"AU25": 0.40, "AU26": 0.25}, dominance=0.7, rounding_dominance=0.5),
    "nurse": Viseme({"pucker": 0.40, "AU25": 0.45, "AU26": 0.25}),
}

PHONEME_VISEMES = {
    **dict.fromkeys(("p", "b", "m"), ("bilabial",)),
    **dict.fromkeys(("f", "v"), ("labiodental",)),
    **dict.fromkeys(("t", "d", "n", "t#", "t[", "d[", "n-", "n[", "*"), ("alveolar",)),
    **dict.fromkeys(("s", "z"), ("sibilant",)),
    **dict.fromkeys(("k", "g", "N", "x"), ("velar",)),
    **dict.fromkeys(("l", "l#", "l^"), ("lateral",)),
    **dict.fromkeys(("r", "r-", "R"), ("rhotic",)),
    **dict.fromkeys(("w", "w#"), ("labiovelar",)),
    **dict.fromkeys(("S", "Z", "tS", "dZ"), ("postalveolar",)),
    **dict.fromkeys(("T", "D"), ("dental",)),
    **dict.fromkeys(("h", "?", "C"), ("glottal",)),
    **dict.fromkeys(("j", ";", "i:", "i"), ("see",)),
    **dict.fromkeys(("I", "I2", "I#", "y"), ("sit",)),
    **dict.fromkeys(("E", "E2", "e", "e:"), ("set",)),
    **dict.fromkeys(("a", "aa", "a2", "&"), ("sat",)),
    **dict.fromkeys(("A:", "A@", "0", "A", "02", "0#"), ("spa",)),
    **dict.fromkeys(("V", "V2"), ("cut",)),
    **dict.fromkeys(("O:", "O", "O@", "o@", "O2", "o", "o:"), ("saw",)),
    **dict.fromkeys(("u:", "u", "U", "u2"), ("soon",)),
    **dict.fromkeys(("@", "@2", "@5", "a#", "3"), ("schwa",)),
    **dict.fromkeys(("3:", "VR", "V3"), ("nurse",)),
    "@L": ("schwa", "lateral"),
    "eI": ("set", "sit"),
    **dict.fromkeys(("aI", "aI2", "aI3"), ("sat", "sit")),
    "OI": ("saw", "sit"),
    "aU": ("sat", "soon"),
    **dict.fromkeys(("oU", "@U"), ("saw", "soon")),
    **dict.fromkeys(("i@", "i@3"), ("see", "schwa")),
    "e@": ("set", "schwa"),
    "U@": ("soon", "schwa"),
    **dict.fromkeys(("aI@", "aI3@"), ("sat", "sit", "schwa")),
    "aU@": ("sat", "soon", "schwa"),
    PAUSE: ("rest",),
}
"""Espeak's phonemes to visemes; diphthongs and triphthongs share their time equally. ";" is the palatal glide."""
BILABIALS = ("p", "b", "m")
VOWEL_LETTERS = "aAeEiIoOuUV@03&"
"""First letters of the engine's vowels."""

CLOSURE_SECONDS = 0.06
"""Shortest time of full closure. It exceeds a frame (0.04 s), so some frame always lies inside it."""
CLOSURE_RAMP_SECONDS = 0.045
"""Time in which the lips come together, and part."""
JAW_IN_CLOSURE = 0.2
"""Share of the jaw's drop that remains behind closed lips."""
PUCKER_IN_CLOSURE = 0.5
"""Share of the pucker that remains in a closure."""


def frame_times(frames: int) -> np.ndarray:
    """[T] seconds: the instants that frames show."""
    return (np.arange(frames) + 0.5) / schema.FPS


def viseme_names(phoneme: str) -> tuple[str, ...]:
    """Names of the phoneme's mouth shapes, in order.

    Raises:
        ValueError: a phoneme that the map does not hold.
    """
    name = phoneme.lstrip(STRESS_MARKS)
    if name not in PHONEME_VISEMES:
        raise ValueError(f"phoneme {phoneme!r} has no viseme; known: {' '.join(PHONEME_VISEMES)}")
    return PHONEME_VISEMES[name]


def mouth(phonemes: Sequence[Phoneme], frames: int, gain: np.ndarray | float = 1.0) -> np.ndarray:
    """The mouth that says these phonemes.

    Args:
        phonemes: without gaps, in seconds from the clip's start.
        frames: T.
        gain: scalar or [T], articulation: scales every shape but closures.

    Returns:
        [T, 20] in 0..1, order `EXPRESSION_NAMES`: mouth only, action units coupled (`couple_action_units`).
    """
    times = frame_times(frames)
    expression = np.zeros((frames, len(EXPRESSION_NAMES)))
    starts, ends, targets, dominance = _segments(phonemes)
    for column, name in enumerate(SHAPES):
        edge = EDGE_SECONDS.get(name, DEFAULT_EDGE_SECONDS) * np.sqrt(2)
        reign = 0.5 * (scipy.special.erf((times[:, None] - starts) / edge)
                       - scipy.special.erf((times[:, None] - ends) / edge))
        weight = reign * dominance[:, column]
        blended = weight @ targets[:, column] / np.maximum(weight.sum(axis=1), 1e-9)
        expression[:, EXPRESSION_INDEX[name]] = blended * gain
    expression[:, EXPRESSION_INDEX["press"]] = closures(phonemes, times)
    return couple_action_units(np.clip(expression, 0, 1))


def closures(phonemes: Sequence[Phoneme], times: np.ndarray) -> np.ndarray:
    """`press`: 1 through every p, b and m, and for at least `CLOSURE_SECONDS`, with raised-cosine ramps outside.

    A stop with a silent closure opens at its release, where the burst is heard.

    Args:
        phonemes: in seconds.
        times: [T] seconds.

    Returns:
        [T] in 0..1.
    """
    press = np.zeros(len(times))
    for phoneme in phonemes:
        if phoneme.name in BILABIALS:
            opening = phoneme.end if phoneme.release is None else phoneme.release
            middle, half = (phoneme.start + opening) / 2, max(opening - phoneme.start, CLOSURE_SECONDS) / 2
            outside = np.clip((np.abs(times - middle) - half) / CLOSURE_RAMP_SECONDS, 0, 1)
            press = np.maximum(press, 0.5 + 0.5 * np.cos(np.pi * outside))
    return press


def couple_action_units(expression: np.ndarray) -> np.ndarray:
    """The stated rule by which lip shapes show in action units: OpenFace has no pucker, press or funnel.

    Closed lips first, with P = press:  AU10 AU12 AU20 AU25 funnel *= 1 - P;  AU26 *= 1 - 0.8 P;  pucker *= 1 - 0.5 P.
    Then:  AU10 += 0.30 funnel + 0.12 AU26;  AU14 = 0.60 P;  AU15 = 0.20 P;  AU17 += 0.35 pucker + 0.30 P;
    AU23 = 0.80 pucker + 0.45 P. So AU23 - 0.75 AU14 = 0.80 pucker: the pucker can be read back from action units.

    Args:
        expression: [T, 20] in 0..1; AU14, AU15 and AU23 are replaced.

    Returns:
        [T, 20] in 0..1.
    """
    result = expression.copy()
    column = {name: result[:, index] for name, index in EXPRESSION_INDEX.items()}  # views
    press = column["press"]
    for name in ("AU10", "AU12", "AU20", "AU25", "funnel"):
        column[name] *= 1 - press
    column["AU26"] *= 1 - (1 - JAW_IN_CLOSURE) * press
    column["pucker"] *= 1 - (1 - PUCKER_IN_CLOSURE) * press
    column["AU10"] += 0.30 * column["funnel"] + 0.12 * column["AU26"]
    column["AU14"][:] = 0.60 * press
    column["AU15"][:] = 0.20 * press
    column["AU17"] += 0.35 * column["pucker"] + 0.30 * press
    column["AU23"][:] = 0.80 * column["pucker"] + 0.45 * press
    return np.clip(result, 0, 1)


def _segments(phonemes: Sequence[Phoneme]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Starts [N] and ends [N] in seconds, targets [N, 8] and dominance [N, 8] of all mouth shapes in a row."""
    starts, ends, targets, dominance = [], [], [], []
    for phoneme in phonemes:
        names = viseme_names(phoneme.name)
        step = (phoneme.end - phoneme.start) / len(names)
        for index, name in enumerate(names):
            viseme = VISEMES[name]
            vowel = phoneme.name[0] in VOWEL_LETTERS
            scale = UNSTRESSED_GAIN if vowel and not phoneme.stressed else 1.0
            starts.append(phoneme.start + index * step)
            ends.append(phoneme.start + (index + 1) * step)
            targets.append([scale * viseme.shape.get(shape, 0.0) for shape in SHAPES])
            dominance.append([viseme.rounding_dominance if shape in ("pucker", "funnel") else viseme.dominance
                              for shape in SHAPES])
    starts[0], ends[-1] = -np.inf, np.inf  # the clip's silence goes on outside it
    return np.array(starts), np.array(ends), np.array(targets), np.array(dominance)
