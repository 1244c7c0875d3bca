"""The mouth crop of the public LipNet program, from the 68 landmarks of each frame.

Source: rizkiarm/LipNet, `lipnet/lipreading/videos.py`. Read closely: the centre is the mean of all twenty mouth points,
and the padding of 19 % is of the coordinates, not of the mouth's width, so that the scale depends on where in the
picture the first frame's mouth lies. The public weights were trained on such crops.
"""

import numpy as np
from PIL import Image

from thjax.core.errors import UserError
from thjax.pretrained.lipnet import HEIGHT, WIDTH

_PADDING = 0.19
_MOUTH = slice(48, 68)


def crop_mouths(frames: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Mouths as LipNet takes them, all at the scale of the first frame's.

    Args:
        frames: [T, H, W, 3] uint8 RGB, 25 per second; GRID's are 360 x 288.
        landmarks: [T, 68, 2] x, y in pixels, rounded to whole ones here as dlib gives them.

    Returns:
        [T, 100, 50, 3] float32 in [0, 1], columns before rows.

    Raises:
        UserError: other shapes; a crop that leaves the picture.
    """
    if frames.ndim != 4 or frames.dtype != np.uint8 or landmarks.shape != (len(frames), 68, 2):
        raise UserError(f"frames {frames.shape} of {frames.dtype} and landmarks {landmarks.shape}: "
                        "give [T, H, W, 3] uint8 and [T, 68, 2]")
    mouths = np.rint(landmarks[:, _MOUTH]).astype(int)
    x = mouths[0, :, 0]
    scale = WIDTH / float(x.max() * (1 + _PADDING) - x.min() * (1 - _PADDING))
    height, width = (int(side * scale) for side in frames.shape[1:3])
    found = []
    for t, (frame, mouth) in enumerate(zip(frames, mouths, strict=True)):
        centre = mouth.mean(0) * scale
        left, top = int(centre[0] - WIDTH / 2), int(centre[1] - HEIGHT / 2)
        if left < 0 or top < 0 or left + WIDTH > width or top + HEIGHT > height:
            raise UserError(f"frame {t}: the mouth crop at ({left}, {top}) leaves the picture, scaled to {width} x "
                            f"{height}; use frames with more room around the mouth")
        picture = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))
        found.append(picture[top:top + HEIGHT, left:left + WIDTH].swapaxes(0, 1))
    return np.stack(found).astype(np.float32) / 255
