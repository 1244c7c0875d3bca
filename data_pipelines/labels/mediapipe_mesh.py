"""MediaPipe's face mesh (Kartynnik et al. 2019; lips, lids and irises refined: Grishchenko et al. 2020).

Version 0.10.14 is the last that holds its models and needs no old numpy; later ones ask for a downloaded file.
"""

import os
import warnings

import numpy as np

from data_pipelines.labels.trackers import model_file, versions

MOST_FACES = 4
"""Faces that are looked for in a picture."""
TO_IBUG = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,  # jaw
    46, 63, 105, 66, 107, 336, 296, 334, 293, 276,  # brows
    168, 197, 5, 4, 75, 97, 2, 326, 305,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # lids
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,  # lips
)
"""Vertices of the mesh that stand for iBUG's 68 points. The jaw's are fixed on the face and do not slide to its rim."""


class FaceMesh:
    """See `Tracker`. Pictures are taken as stills: a result depends on no picture before."""

    def __init__(self):
        model_file("mediapipe", "modules/face_landmark/face_landmark_with_attention.tflite")
        # What mediapipe tells of its threads, and protobuf of mediapipe, would stand in the middle of the bar.
        os.environ.setdefault("GLOG_minloglevel", "2")
        warnings.filterwarnings("ignore", message=r"SymbolDatabase\.GetPrototype", category=UserWarning)
        import mediapipe

        self.version = versions("mediapipe")
        self._mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=MOST_FACES,
                                                            refine_landmarks=True)

    def faces(self, image: np.ndarray) -> list[np.ndarray]:
        """See `Tracker`."""
        size = (image.shape[1], image.shape[0])
        return [np.array([(point.x, point.y) for point in face.landmark], np.float32)[list(TO_IBUG)] * np.float32(size)
                for face in self._mesh.process(image).multi_face_landmarks or ()]
