"""Why a clip is not in a prepared corpus. Readers have codes of their own, see data_pipelines/readers/reference.py."""

from thjax.core.errors import UserError

REASONS = {
    "missing": "the file is gone since the scan, or may not be read",
    "empty_file": "a file of 0 bytes",
    "unreadable": "ffmpeg finds no media in it, or its header is gone",
    "truncated": "more than 12 frames that its header announces are not there",
    "no_video": "no video stream, or no frame in it",
    "no_audio": "no sound, neither its own nor beside it",
    "silent_audio": "sound that never rises above -60 dB of full scale",
    "damaged_audio": "sound that cannot be decoded",
    "av_mismatch": "sound that ends too long before the picture",
    "bad_timestamps": "more than one frame in twenty without a time, or not after the one before",
    "long_gap": "frames are missing for more than 12 frames' time",
    "masked_frames": "more than a fifth of the frames are missing, of one colour or without a face",
    "too_small": "what would be stored has fewer pixels in the source than the corpus stores",
    "too_short": "shorter than the shortest clip wanted",
    "too_long": "longer than the longest clip wanted",
    "label_mismatch": "labels that were made on another video or do not fit it",
    "no_labels": "labels are asked for and there are none of this clip",
    "no_face": "a tracker found no face in any picture",
    "duplicate_key": "another clip has its key already",
    "name_not_utf8": "a name that is no UTF-8 text",
    "decode_hung": "took longer than the time a clip may take",
    "decode_crashed": "killed the process that decoded it, twice",
    "failed": "an error that nobody foresaw; its text is in the ledger",
}
"""Reason codes of clips that were found and could not be written."""


class BadClip(Exception):
    """A clip that cannot be used. It costs itself alone.

    Attributes:
        reason: a code of `REASONS`.
        detail: the value and the rule it breaks.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class TooManyBad(UserError):
    """More clips are bad than the user accepts."""

    exit_code = 3
