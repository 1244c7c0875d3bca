"""dlib's face detector and 68-point shape predictor (Kazemi and Sullivan 2014), with the models of a pip package.

The predictor is trained on iBUG 300-W, whose licence excludes commercial use.
"""

import numpy as np

from data_pipelines.labels.trackers import model_file, versions

ENLARGE_BELOW = 256
"""Pixels of a picture's shorter side below which it is enlarged twofold for the detector, which knows no face of less
than about 80."""


class ShapePredictor:
    """See `Tracker`."""

    def __init__(self):
        # The package that holds the models imports pkg_resources, which is gone: it is only looked into.
        model = model_file("face_recognition_models", "models/shape_predictor_68_face_landmarks.dat")
        import dlib

        self.version = versions("dlib-bin", "face_recognition_models")
        self._detect, self._predict = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(model))

    def faces(self, image: np.ndarray) -> list[np.ndarray]:
        """See `Tracker`."""
        boxes = self._detect(image, int(min(image.shape[:2]) < ENLARGE_BELOW))
        # dlib's pixel (0, 0) has its centre at 0.
        return [np.array([(point.x, point.y) for point in self._predict(image, box).parts()], np.float32)
                + np.float32(0.5) for box in boxes]
