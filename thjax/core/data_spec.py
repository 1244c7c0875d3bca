"""What a stage asks of the data: which corpus, which fields, how long a window, how it is cropped."""

import dataclasses
from typing import Literal

CropRecipe = Literal["canonical", "centre", "none"]


@dataclasses.dataclass(frozen=True)
class CropSpec:
    """How stored frames become the frames of a batch.

    `canonical` aligns the nose base and the eye corners of every frame to a template (vougioukas2019, section 3);
    `centre` takes the largest centred box of the wanted aspect; `none` takes frames as stored.
    """

    recipe: CropRecipe = "canonical"
    height: int = 128
    """Rows of a frame, in pixels."""
    width: int = 96
    """Columns of a frame, in pixels."""

    def __post_init__(self):
        if self.height < 1 or self.width < 1:
            raise ValueError(f"crop of {self.height} x {self.width} pixels is empty; use at least 1 x 1")


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """Records to examples. The loader turns it into a pure function of the position in the stream."""

    split: str = "train"
    """Split of the manifest."""
    fields: tuple[str, ...] = ("frames", "still", "audio")
    """Names of batch fields, see data_pipelines/schema.py; `example_id` and `valid` are always there."""
    window: int = 25
    """Frames of an example; 0 takes whole records, padded to the longest and masked."""
    stride: int = 1
    """Stored frames from one frame of the window to the next."""
    still: Literal["first", "random"] = "first"
    """The frame of the clip that shows the identity."""
    crop: CropSpec = CropSpec()
    order: Literal["records", "speakers"] = "records"
    """`records`: all records are shuffled, and each comes once an epoch. `speakers`: every speaker comes equally often,
    whatever he has said; an epoch has as many examples as there are records."""
    mirror: bool = False
    """Mirror half of the examples, labels included."""
    batch: int = 16
    """Examples of a step over all hosts and devices."""

    def __post_init__(self):
        if self.window < 0 or self.stride < 1 or self.batch < 1:
            raise ValueError(
                f"window {self.window}, stride {self.stride}, batch {self.batch}: "
                "use window >= 0, stride >= 1, batch >= 1"
            )
