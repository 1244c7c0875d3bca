"""VGG-19, ResNet-18 and LPIPS on AlexNet beside their twins in torch."""

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.pretrained.twins import apply, assert_fits, channels_last, close, converted, randomise, save  # noqa: E402
from thjax.core.errors import UserError  # noqa: E402
from thjax.pretrained import lpips, networks, resnet18, vgg19  # noqa: E402


def pictures(n, height, width, low=-1.0, seed=0):
    return np.random.default_rng(seed).uniform(low, 1, (n, height, width, 3)).astype(np.float32)


def to_torch(x):
    return torch.tensor(x.transpose(0, 3, 1, 2))


def vgg(depths=(2, 2, 4, 4, 4), widths=(64, 128, 256, 512, 512)):
    layers, inputs = [], 3
    for width, depth in zip(widths, depths, strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return nn.ModuleDict({"features": nn.Sequential(*layers), "classifier": nn.Sequential(nn.Linear(4, 4))})


def test_vgg19(tmp_path):
    twin = randomise(vgg())
    net, variables = vgg19.network(), networks.convert("vgg19", [save(twin, tmp_path / "vgg19-dcbb9e9d.pth")])
    x = pictures(1, 50, 33, 0.0)
    assert_fits(net, variables, x)
    ours = apply(net, variables, np.asarray(vgg19.normalise(x)))
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    taps, y = {}, to_torch(x).sub(mean[:, None, None]).div(std[:, None, None])
    with torch.no_grad():
        for i, layer in enumerate(twin["features"]):
            y = taps[i] = layer(y)
    assert list(ours) == [f"relu{s}_{i}" for s, n in enumerate((2, 2, 4, 4, 4), start=1) for i in range(1, n + 1)]
    for index, name in {1: "relu1_1", 6: "relu2_1", 11: "relu3_1", 20: "relu4_1", 29: "relu5_1", 35: "relu5_4"}.items():
        close(ours[name], channels_last(taps[index]))
    assert list(jax.eval_shape(vgg19.VGG19(last=4).apply, variables, x))[-1] == "relu4_4"


class Residual(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.downsample = None
        if inputs != width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inputs = 64
        for stage, width in enumerate((64, 128, 256, 512), start=1):
            first = Residual(inputs, width, 1 if stage == 1 else 2)
            setattr(self, f"layer{stage}", nn.Sequential(first, Residual(width, width, 1)))
            inputs = width
        self.fc = nn.Linear(512, 1000)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        code = self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))
        return code, self.fc(code)


def test_resnet18(tmp_path):
    twin = randomise(ResNet())
    path = save(twin, tmp_path / "resnet18-5c106cde.pth", zipped=False)
    net, variables = resnet18.network(), networks.convert("resnet18", [path])
    x = pictures(2, 70, 64)
    assert_fits(net, variables, x)
    with torch.no_grad():
        theirs = twin(to_torch(x))
    for ours, code in zip(apply(net, variables, x), theirs, strict=True):
        close(ours, code)


class Alex(nn.Module):
    def __init__(self):
        super().__init__()
        conv, pool = nn.Conv2d, nn.MaxPool2d
        self.features = nn.Sequential(
            conv(3, 64, 11, 4, 2), nn.ReLU(), pool(3, 2), conv(64, 192, 5, padding=2), nn.ReLU(), pool(3, 2),
            conv(192, 384, 3, padding=1), nn.ReLU(), conv(384, 256, 3, padding=1), nn.ReLU(),
            conv(256, 256, 3, padding=1), nn.ReLU(), pool(3, 2))
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(8, 8))

    def taps(self, x):
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        x, found = (x - shift[:, None, None]) / scale[:, None, None], []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in (1, 4, 7, 9, 11):
                found.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found


@pytest.fixture(scope="module")
def alex(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lpips")
    twin = randomise(Alex())
    heads = {f"lin{i}.model.1.weight": torch.rand(1, n, 1, 1) for i, n in enumerate((64, 192, 384, 256, 256))}
    paths = save(twin, folder / "alexnet-owt-7be5be79.pth"), save(heads, folder / "alex.pth", zipped=False)
    return twin, heads, paths


def test_lpips(alex):
    twin, heads, paths = alex
    net, variables = converted("lpips", *paths)
    x, y = pictures(2, 64, 71), pictures(2, 64, 71, seed=1)
    assert_fits(net, variables, x, y)
    with torch.no_grad():
        pairs = zip(twin.taps(to_torch(x)), twin.taps(to_torch(y)), heads.values(), strict=True)
        theirs = sum(((a - b).square() * head[0]).sum(1).mean((1, 2)) for a, b, head in pairs)
    close(apply(net, variables, x, y), theirs)
    assert np.abs(apply(net, variables, x, x)).max() < 1e-12


def test_lpips_has_a_gradient_where_features_vanish():
    flat = jax.numpy.zeros((1, 2, 2, 4))
    assert np.isfinite(jax.grad(lambda x: lpips._unit(x).sum())(flat)).all()


def test_lpips_needs_both_files(alex):
    _, _, (backbone, heads) = alex
    with pytest.raises(UserError, match=r"alexnet-owt-7be5be79\.pth and alex\.pth; 1 file"):
        networks.convert("lpips", [backbone])
    with pytest.raises(UserError, match="as has a file before it"):
        networks.convert("lpips", [heads, heads])


def test_pictures_that_are_too_small_are_named():
    with pytest.raises(ValueError, match="31 pixels or more"):
        lpips.network().init(jax.random.key(0), *2 * [np.zeros((1, 30, 64, 3))])
    with pytest.raises(ValueError, match="cannot be halved 4 times"):
        vgg19.network().init(jax.random.key(0), np.zeros((1, 15, 64, 3)))
