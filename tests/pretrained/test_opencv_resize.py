import numpy as np
import pytest

from thjax.pretrained.opencv_resize import area


def grey(values):
    return np.repeat(np.array(values, np.uint8)[None, :, :, None], 3, axis=3)


@pytest.mark.parametrize("given, side, opencv", [
    ([[10, 200], [60, 120], [250, 30]], 4, [[10, 10, 200, 200], [43, 43, 146, 146], [123, 123, 90, 90],
                                            [250, 250, 30, 30]]),
    (np.arange(30).reshape(5, 6) * 8, 4, [[12, 23, 36, 47], [70, 81, 94, 105], [127, 138, 151, 162],
                                          [185, 196, 209, 220]]),
])
def test_equals_what_opencv_printed(given, side, opencv):
    """`cv2.resize(given, (side, side), interpolation=cv2.INTER_AREA)` of opencv-python-headless 5.0.0."""
    got = area(grey(given), side)[0, :, :, 0].astype(int)
    assert np.abs(got - opencv).max() <= 1


def test_whole_factors_by_hand():
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(area(frames, 16), frames.repeat(2, 1).repeat(2, 2))
    means = frames.reshape(2, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    assert np.abs(area(frames, 4) - means).max() <= 0.5
    np.testing.assert_array_equal(area(frames, 8), frames)
