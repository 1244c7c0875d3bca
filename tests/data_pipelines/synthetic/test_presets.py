"""Styles of motion by name."""

import pytest

from data_pipelines import schema
from data_pipelines.synthetic.presets import PRESETS, preset


def test_presets_have_six_axes_and_known_names():
    assert list(PRESETS) == ["still", "natural", "strong"]
    for name, style in PRESETS.items():
        assert preset(name) is style
        assert len(style.sway) == len(style.posture) == len(schema.POSE)
    with pytest.raises(ValueError, match="'wild' is unknown; use still, natural, strong"):
        preset("wild")
