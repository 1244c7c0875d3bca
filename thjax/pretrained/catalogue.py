"""The public networks that can be converted: what each is, where its file comes from, and under which terms."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of `thjax weights list`.

    Attributes:
        what: it is.
        files: public names of the files to give, in this order.
        source: who publishes them.
        licence: terms as their publishers state them; a note, not advice.
        input: that the network takes.
        used_by: what in thjax, or in the papers, reads it.
    """

    what: str
    files: tuple[str, ...]
    source: str
    licence: str
    input: str
    used_by: str


_IMAGENET = "code BSD-3-Clause; trained on ImageNet, whose pictures are for non-commercial research"

NETWORKS = {
    "syncnet": Entry(
        "SyncNet (Chung and Zisserman 2016): embeddings of speech and mouth, close where they belong together",
        ("syncnet_v2.model",), "joonson/syncnet_python",
        "code MIT; trained on BBC video, ask its authors before commercial use",
        "windows of 5 frames [224, 224, BGR 0-255] and of 20 columns of 13 MFCC",
        "S_conf, S_off, LSE-D, LSE-C",
    ),
}
