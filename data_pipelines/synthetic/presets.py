"""Styles of motion by name."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Preset:
    """Amplitudes of a style of motion.

    Attributes:
        sway: standard deviation within a clip of the pose's random part, order `schema.POSE`, mm and rad.
        posture: standard deviation between clips of the mean pose, order `schema.POSE`, mm and rad.
        prosody_gain: multiplies the gains by which pose follows prosody.
        brows: multiplies brows, frown and smile.
        gaze: standard deviation of where the eyes look when away from the camera, (right, down), rad.
    """

    sway: tuple[float, ...]
    posture: tuple[float, ...]
    prosody_gain: float
    brows: float
    gaze: tuple[float, float]


PRESETS = {
    "still": Preset(sway=(0.10, 0.10, 0.15, 0.0008, 0.0010, 0.0006), posture=(2.0, 2.0, 4.0, 0.03, 0.07, 0.02),
                    prosody_gain=0.02, brows=0.5, gaze=(0.05, 0.03)),
    "natural": Preset(sway=(2.5, 1.5, 3.5, 0.030, 0.050, 0.020), posture=(3.0, 3.0, 6.0, 0.03, 0.08, 0.02),
                      prosody_gain=1.0, brows=1.0, gaze=(0.10, 0.05)),
    "strong": Preset(sway=(5.0, 3.0, 7.0, 0.060, 0.100, 0.040), posture=(4.0, 4.0, 8.0, 0.04, 0.09, 0.03),
                     prosody_gain=2.0, brows=1.5, gaze=(0.15, 0.08)),
}
"""`still`: seated before a camera as in GRID, the head moves by far less than a pixel within a clip. `natural`: talking
to somebody. `strong`: agitated."""


def preset(name: str) -> Preset:
    """A preset by name.

    Raises:
        ValueError: unknown name.
    """
    if name not in PRESETS:
        raise ValueError(f"motion {name!r} is unknown; use {', '.join(PRESETS)}")
    return PRESETS[name]
