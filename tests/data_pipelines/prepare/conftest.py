"""A folder of small films, good and bad, and a way to prepare it in this process."""

import functools
import shutil

import pytest

from data_pipelines.prepare import plan as planning
from data_pipelines.prepare import run as running
from data_pipelines.prepare.clip import Settings, make_clip
from data_pipelines.readers import READERS
from tests.data_pipelines.prepare.filming import NTSC, film

SETTINGS = Settings(size=16)


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """Four speakers with four films each, and three bad files: 16 good clips of 19."""
    root = tmp_path_factory.mktemp("films")
    for number, speaker in enumerate("abcd"):
        for clip in range(4):
            film(root / speaker / f"c{clip}.mp4", 12 + 3 * clip, NTSC if clip % 2 else 25, size=(32, 40), tone=0.3,
                 seed=number)
    (root / "a" / "empty.mp4").touch()
    (root / "b" / "junk.mp4").write_bytes(b"no film" * 999)
    film(root / "c" / "mute.mp4", 12, size=(32, 40), sound=None)
    return root


@pytest.fixture
def copy(tree, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(tree, tmp_path / "films")


def planned(root, out, settings=SETTINGS, again=False, split="auto"):
    return planning.make(READERS["folder"], planning.Wish("folder", str(root), settings, split), out, 1, again)


def prepared(root, out, max_bad=0.5, again=False, hands=running.Hands(0), make=None, settings=SETTINGS, **options):
    """Plans and writes; in this process where `hands` has no workers."""
    plan = planned(root, out, settings, again)
    make = make or functools.partial(make_clip, settings=settings, **options)
    with hands.makers(make) as makers:
        return running.write(plan, plan.writer(), makers, hands, max_bad)


def bytes_of(directory):
    paths = [path for path in sorted(directory.rglob("*")) if path.is_file() and not path.name.startswith(".lock")]
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


@pytest.fixture(scope="session")
def corpus(tree, tmp_path_factory):
    """The folder prepared; not to be changed."""
    return prepared(tree, tmp_path_factory.mktemp("corpus")).directory
