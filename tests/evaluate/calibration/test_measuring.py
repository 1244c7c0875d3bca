"""What names the folder of measured clips."""

import numpy as np

from thjax.core.code_hash import imported
from thjax.evaluate.calibration import measuring
from thjax.evaluate.calibration.measuring import tensors_hash
from thjax.judges import shipped


def test_notes_beside_the_weights_make_no_other_judge_and_other_weights_do(tmp_path):
    hashes = []
    for number, (weight, notes) in enumerate([(1.0, {}), (1.0, {"figures": {"wer": 0.04}}), (2.0, {})]):
        path = tmp_path / f"{number}.safetensors"
        shipped.save(path, {"params": {"kernel": np.full((3, 2), weight)}}, {"name": "lips_metric", **notes})
        hashes.append(tensors_hash(path))
    assert hashes[0] == hashes[1] != hashes[2]


def test_clips_are_named_by_the_weights_and_by_code_that_measures(tmp_path, monkeypatch):
    counted = {path.name for path in imported(measuring.__name__, shipped.FOLDER.parents[2])}
    assert {"faults.py", "sync.py", "crops.py", "conv_cpu.py"} <= counted
    assert not {"matrix.py", "verdicts.py", "scores.py", "report.py", "command.py"} & counted
    ours = measuring.version()
    assert ours == measuring.version()
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    assert ours != measuring.version()
