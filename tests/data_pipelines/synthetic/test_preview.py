"""The contact sheet."""

import numpy as np

from data_pipelines.synthetic.preview import COLUMNS, columns, contact_sheet


def test_sheet_shows_every_person_in_every_column():
    sheet = contact_sheet(2, 48, seed=1)
    assert sheet.shape == (96, 48 * len(COLUMNS), 3) and sheet.dtype == np.uint8
    tiles = sheet.reshape(2, 48, len(COLUMNS), 48, 3).swapaxes(1, 2).astype(int)
    assert np.abs(tiles[0] - tiles[1]).mean() > 5
    for row in tiles:
        assert all(np.abs(row[0] - tile).mean() > 1 for tile in row[1:])


def test_columns_name_real_units():
    expression, pose, gaze = columns()
    assert (expression.max(1)[1:] > 0).all() and np.abs(pose).sum() > 0 and np.abs(gaze).sum() > 0
