"""Fixtures of every corpus, each made once and never written to."""

import functools

import pytest

from data_pipelines.fixtures import corpora


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """name -> (root, what must become of every clip) of a fixture with defects."""

    @functools.cache
    def make(name):
        root = tmp_path_factory.mktemp("planted") / name
        return root, corpora.make(name, root, defects=True, shrink=4)

    return make
