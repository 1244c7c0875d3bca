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
    "arcface": Entry(
        "ArcFace iresnet100 (Deng et al. 2019): identity of an aligned face in 512 numbers",
        ("backbone.pth",), "deepinsight/insightface, arcface_torch",
        "code MIT; weights for non-commercial research only",
        "aligned faces [112, 112, RGB in [-1, 1]]", "CSIM, identity losses",
    ),
    "inception": Entry(
        "InceptionV3 of 2015-12-05 (Szegedy et al. 2015), variant of Frechet distances: 2,048 numbers per picture",
        ("pt_inception-2015-12-05-6726825d.pth",), "mseitzer/pytorch-fid, release fid_weights",
        "Apache-2.0; trained on ImageNet, whose pictures are for non-commercial research",
        "pictures [299, 299, RGB in [-1, 1]]", "FID, KID",
    ),
    "lipnet": Entry(
        "LipNet (Assael et al. 2016): letters from silent video of a mouth, trained on GRID",
        ("unseen-weights178.h5",), "rizkiarm/LipNet; overlapped-weights368.h5 converts as well",
        "code and weights MIT; GRID is for research", "mouths [T, 100, 50, RGB in [0, 1]], columns before rows",
        "WER of Vougioukas et al. 2019",
    ),
    "lpips": Entry(
        "LPIPS 0.1 on AlexNet (Zhang et al. 2018): perceptual distance of two pictures",
        ("alexnet-owt-7be5be79.pth", "alex.pth"), "torchvision; richzhang/PerceptualSimilarity, lpips/weights/v0.1",
        f"AlexNet: {_IMAGENET}; heads BSD-2-Clause",
        "pictures [31 or more, 31 or more, RGB in [-1, 1]]", "LPIPS",
    ),
    "openface": Entry(
        "OpenFace nn4.small2 (Amos et al. 2016): identity of an aligned face in 128 numbers",
        ("nn4.small2.v1.t7",), "cmusatyalab/openface", "Apache-2.0", "aligned faces [96, 96, RGB in [0, 1]]",
        "ACD of Vougioukas et al. 2019",
    ),
    "resnet18": Entry(
        "ResNet-18 (He et al. 2016): features of a picture", ("resnet18-f37072fd.pth",), "torchvision", _IMAGENET,
        "pictures [H, W, RGB], normalised as ImageNet's", "keys of the memory in Yi et al. 2020",
    ),
    "syncnet": Entry(
        "SyncNet (Chung and Zisserman 2016): embeddings of speech and mouth, close where they belong together",
        ("syncnet_v2.model",), "joonson/syncnet_python",
        "code MIT; trained on BBC video, ask its authors before commercial use",
        "windows of 5 frames [224, 224, BGR 0-255] and of 20 columns of 13 MFCC",
        "S_conf, S_off, LSE-D, LSE-C",
    ),
    "vgg19": Entry(
        "VGG-19 (Simonyan and Zisserman 2015), convolutions: features of a picture", ("vgg19-dcbb9e9d.pth",),
        "torchvision", _IMAGENET, "pictures [H, W, RGB], normalised as ImageNet's", "perceptual losses",
    ),
}
