"""A tracker that is not installed is named with the extra that brings it."""

import importlib.util

import pytest

from data_pipelines.labels import command, mediapipe_mesh
from data_pipelines.labels.trackers import TRACKERS, model_file
from data_pipelines.schema import DataError


@pytest.mark.parametrize("name", ["mediapipe", "dlib"])
def test_a_missing_tracker_names_the_extra(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(DataError, match=rf"--tracker {name} cannot be loaded here .*'\.\[media,track\]'"):
        TRACKERS[name]


def test_a_missing_tracker_is_told_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(DataError, match="mediapipe is not installed"):
        command.run(["--tracker", "mediapipe", "--corpus", "folder", "--root", str(tmp_path), "--out",
                     str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_package_without_its_model_is_told():
    with pytest.raises(ImportError, match="holds no face.tflite: another version of numpy than the extra pins"):
        model_file("numpy", "models/face.tflite")


def test_there_are_68_different_vertices():
    assert len(set(mediapipe_mesh.TO_IBUG)) == len(mediapipe_mesh.TO_IBUG) == 68
    assert all(0 <= vertex < 468 for vertex in mediapipe_mesh.TO_IBUG)
