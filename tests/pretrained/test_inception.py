"""The InceptionV3 of Frechet distances beside its twin in torch, written block by block from the public description."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from tests.pretrained.twins import apply, assert_fits, channels_last, close, randomise, save  # noqa: E402
from thjax.pretrained import inception, networks  # noqa: E402


class Unit(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def mean(x):
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class Block(nn.Module):
    """Units by name; a subclass says how they are joined."""

    def __init__(self, *args):
        super().__init__()
        for name, unit in self.units(*args).items():
            setattr(self, name, Unit(*unit))

    def chain(self, x, stem, *numbers):
        for n in numbers:
            x = getattr(self, f"{stem}_{n}")(x)
        return x


class A(Block):
    def units(self, n, pool):
        return {"branch1x1": (n, 64, 1), "branch5x5_1": (n, 48, 1), "branch5x5_2": (48, 64, 5, 1, 2),
                "branch3x3dbl_1": (n, 64, 1), "branch3x3dbl_2": (64, 96, 3, 1, 1),
                "branch3x3dbl_3": (96, 96, 3, 1, 1), "branch_pool": (n, pool, 1)}

    def forward(self, x):
        return torch.cat([self.branch1x1(x), self.chain(x, "branch5x5", 1, 2), self.chain(x, "branch3x3dbl", 1, 2, 3),
                          self.branch_pool(mean(x))], 1)


class B(Block):
    def units(self, n):
        return {"branch3x3": (n, 384, 3, 2), "branch3x3dbl_1": (n, 64, 1), "branch3x3dbl_2": (64, 96, 3, 1, 1),
                "branch3x3dbl_3": (96, 96, 3, 2)}

    def forward(self, x):
        return torch.cat([self.branch3x3(x), self.chain(x, "branch3x3dbl", 1, 2, 3), F.max_pool2d(x, 3, 2)], 1)


class C(Block):
    def units(self, n, w):
        wide, tall = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
        return {"branch1x1": (n, 192, 1), "branch7x7_1": (n, w, 1), "branch7x7_2": (w, w, *wide),
                "branch7x7_3": (w, 192, *tall), "branch7x7dbl_1": (n, w, 1), "branch7x7dbl_2": (w, w, *tall),
                "branch7x7dbl_3": (w, w, *wide), "branch7x7dbl_4": (w, w, *tall), "branch7x7dbl_5": (w, 192, *wide),
                "branch_pool": (n, 192, 1)}

    def forward(self, x):
        return torch.cat([self.branch1x1(x), self.chain(x, "branch7x7", 1, 2, 3),
                          self.chain(x, "branch7x7dbl", 1, 2, 3, 4, 5), self.branch_pool(mean(x))], 1)


class D(Block):
    def units(self, n):
        return {"branch3x3_1": (n, 192, 1), "branch3x3_2": (192, 320, 3, 2), "branch7x7x3_1": (n, 192, 1),
                "branch7x7x3_2": (192, 192, (1, 7), 1, (0, 3)), "branch7x7x3_3": (192, 192, (7, 1), 1, (3, 0)),
                "branch7x7x3_4": (192, 192, 3, 2)}

    def forward(self, x):
        return torch.cat([self.chain(x, "branch3x3", 1, 2), self.chain(x, "branch7x7x3", 1, 2, 3, 4),
                          F.max_pool2d(x, 3, 2)], 1)


class E(Block):
    def units(self, n, pool):
        self.pool = pool
        wide, tall = (384, 384, (1, 3), 1, (0, 1)), (384, 384, (3, 1), 1, (1, 0))
        return {"branch1x1": (n, 320, 1), "branch3x3_1": (n, 384, 1), "branch3x3_2a": wide, "branch3x3_2b": tall,
                "branch3x3dbl_1": (n, 448, 1), "branch3x3dbl_2": (448, 384, 3, 1, 1), "branch3x3dbl_3a": wide,
                "branch3x3dbl_3b": tall, "branch_pool": (n, 192, 1)}

    def forward(self, x):
        one, two = self.branch3x3_1(x), self.chain(x, "branch3x3dbl", 1, 2)
        return torch.cat([self.branch1x1(x), self.branch3x3_2a(one), self.branch3x3_2b(one), self.branch3x3dbl_3a(two),
                          self.branch3x3dbl_3b(two), self.branch_pool(self.pool(x))], 1)


class Twin(nn.Module):
    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = Unit(3, 32, 3, 2), Unit(32, 32, 3)
        self.Conv2d_2b_3x3, self.Conv2d_3b_1x1 = Unit(32, 64, 3, 1, 1), Unit(64, 80, 1)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = A(192, 32), A(256, 64), A(288, 64)
        self.Mixed_6a, self.Mixed_6b, self.Mixed_6c = B(288), C(768, 128), C(768, 160)
        self.Mixed_6d, self.Mixed_6e, self.Mixed_7a = C(768, 160), C(768, 192), D(768)
        self.Mixed_7b, self.Mixed_7c = E(1280, mean), E(2048, lambda x: F.max_pool2d(x, 3, 1, 1))
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x):
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, 2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean((2, 3))


def test_the_code_is_the_twins(tmp_path):
    twin = randomise(Twin())
    state = twin.state_dict()
    path = save(state, tmp_path / "pt_inception-2015-12-05-6726825d.pth")
    net, variables = inception.network(), networks.convert("inception", [path])
    x = np.random.default_rng(0).uniform(-1, 1, (1, 107, 91, 3)).astype(np.float32)
    assert_fits(net, variables, x)
    with torch.no_grad():
        theirs = twin(torch.tensor(x.transpose(0, 3, 1, 2)))
    close(apply(net, variables, x), theirs)
    parameters = sum(value.numel() for key, value in state.items() if "running" not in key and "tracked" not in key)
    assert parameters - sum(p.numel() for p in twin.fc.parameters()) == 21_785_568  # InceptionV3 without its head


@pytest.mark.parametrize("size", [(40, 64), (400, 310)])
def test_pictures_are_resized_as_by_the_public_program(size):
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    pictures = torch.tensor(frames.transpose(0, 3, 1, 2) / 255, dtype=torch.float32)
    theirs = 2 * F.interpolate(pictures, size=(299, 299), mode="bilinear", align_corners=False) - 1
    close(np.asarray(inception.prepare(frames)), channels_last(theirs))


def test_small_pictures_are_named():
    import jax

    with pytest.raises(ValueError, match="75 pixels a side or more"):
        inception.network().init(jax.random.key(0), np.zeros((1, 74, 80, 3)))
