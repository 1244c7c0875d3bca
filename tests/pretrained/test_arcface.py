"""ArcFace beside its twin in torch, and the alignment beside scikit-image."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.pretrained.twins import apply, assert_fits, close, randomise, save  # noqa: E402
from thjax.core.errors import UserError  # noqa: E402
from thjax.pretrained import arcface, networks, rules  # noqa: E402
from thjax.pretrained.arcface_align import TEMPLATE, align, five_points, similarity  # noqa: E402


class Block(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, width, 3, 1, 1, bias=False)
        self.bn2, self.prelu = nn.BatchNorm2d(width), nn.PReLU(width)
        self.conv2, self.bn3 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return y + (x if self.downsample is None else self.downsample(x))


class Twin(nn.Module):
    def __init__(self, depths):
        super().__init__()
        self.conv1, self.bn1, self.prelu = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)
        inputs = 64
        for stage, (width, depth) in enumerate(zip((64, 128, 256, 512), depths, strict=True), start=1):
            blocks = []
            for i in range(depth):
                blocks.append(Block(inputs, width, 1 if i else 2))
                inputs = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.bn2, self.fc, self.features = nn.BatchNorm2d(512), nn.Linear(512 * 49, 512), nn.BatchNorm1d(512)

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(self.bn2(x).flatten(1)))


def test_codes_are_the_twins(tmp_path):
    """iresnet18: the blocks are those of iresnet100, fewer of each."""
    twin, net = randomise(Twin((2, 2, 2, 2))), arcface.IResNet((2, 2, 2, 2))
    variables = networks.convert("arcface", [save(twin, tmp_path / "backbone.pth")], net)
    faces = np.random.default_rng(0).uniform(-1, 1, (2, 112, 112, 3)).astype(np.float32)
    assert_fits(net, variables, faces)
    with torch.no_grad():
        theirs = twin(torch.tensor(faces.transpose(0, 3, 1, 2)))
    ours = apply(net, variables, faces)
    close(ours, theirs)
    close(np.asarray(arcface.unit(ours)), nn.functional.normalize(theirs))


def test_the_public_file_converts_whole():
    """Names and shapes of iresnet100; a quarter of a gigabyte need not be written for that."""
    with torch.device("meta"):
        state = {key: value for key, value in Twin((3, 13, 30, 3)).state_dict().items() if "batches" not in key}
    net = arcface.network()
    tensors = {key: np.broadcast_to(np.float32(0.5), value.shape) for key, value in state.items()}
    variables = rules.apply(arcface.rules(net), tensors, "backbone.pth")
    assert_fits(net, variables, np.zeros((1, 112, 112, 3), np.float32))
    size = sum(value.numel() for key, value in state.items() if "running" not in key)
    assert 65.1e6 < size < 65.2e6  # as published for iresnet100


def test_another_depth_is_named(tmp_path):
    path = save(Twin((1, 1, 1, 1)), tmp_path / "backbone.pth")
    with pytest.raises(UserError, match=r"unexpected layer4\.0\.bn1|missing layer1\.1\.bn1\.bias \(64,\)"):
        networks.convert("arcface", [path], arcface.IResNet((2, 2, 2, 2)))


def test_the_similarity_is_scikit_images():
    transform = pytest.importorskip("skimage.transform")
    rng = np.random.default_rng(0)
    for _ in range(20):
        points = rng.uniform(0, 200, (5, 2))
        theirs = transform.SimilarityTransform.from_estimate(points, TEMPLATE).params[:2]
        np.testing.assert_allclose(similarity(points, TEMPLATE), theirs, atol=1e-9)
    mirrored = TEMPLATE * [-1, 1]
    assert np.linalg.det(similarity(mirrored, TEMPLATE)[:, :2]) > 0
    with pytest.raises(UserError, match="fix no alignment"):
        similarity(np.ones((5, 2)), TEMPLATE)


def test_aligned_faces_are_scikit_images():
    transform = pytest.importorskip("skimage.transform")
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (90, 100, 3), dtype=np.uint8)
    turned = transform.SimilarityTransform(scale=0.6, rotation=0.3, translation=(50, 4))(TEMPLATE)
    (ours,) = align(frame[None], turned[None])
    back = transform.SimilarityTransform.from_estimate(TEMPLATE, turned)
    theirs = transform.warp(frame.astype(float), back, output_shape=(112, 112), order=1, preserve_range=True)
    assert ours.min() == -1  # black outside of the picture
    np.testing.assert_allclose(ours, theirs / 127.5 - 1, atol=1e-4)
    (still,) = align(np.tile(frame[:1, :1], (112, 112, 1))[None], TEMPLATE[None])
    np.testing.assert_allclose(still, np.broadcast_to(frame[0, 0] / 127.5 - 1, still.shape), atol=1e-5)


def test_five_points_of_sixty_eight():
    landmarks = np.arange(136.0).reshape(68, 2)
    expected = [(77, 78), (89, 90), (60, 61), (96, 97), (108, 109)]
    np.testing.assert_array_equal(five_points(landmarks), expected)
    assert five_points(np.zeros((7, 68, 2))).shape == (7, 5, 2)
