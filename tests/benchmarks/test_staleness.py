"""What makes a committed result stale: code that it reaches, not comments, not code that it never imports."""

import pytest

from benchmarks import staleness

SOURCES = {
    "ours/__init__.py": "",
    "ours/system.py": "from ours import block\n\ndef f():\n    from ours.late import value\n    return value\n",
    "ours/block.py": "import numpy\n\ndef f():\n    \"\"\"Old.\"\"\"\n    return 1\n",
    "ours/late.py": "value = 1\n",
    "ours/aside.py": "value = 1\n",
}


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A house of five modules, one of which nobody imports; returns a function that writes one and hashes all."""
    monkeypatch.setattr(staleness, "ROOT", tmp_path)
    (tmp_path / "ours").mkdir()
    for name, source in SOURCES.items():
        (tmp_path / name).write_text(source)

    def hashed(name="ours/__init__.py", source="", reached_from="ours.system"):
        (tmp_path / name).write_text(source)
        staleness.imported.cache_clear()
        return staleness.code_hash(("ours",), reached_from)

    yield hashed
    staleness.imported.cache_clear()


def test_comments_do_not_count_and_code_does(house):
    assert house() == house("ours/block.py", 'import numpy\n\ndef f():  # new\n    """New."""\n    return 1\n')
    assert house() != house("ours/block.py", "def f():\n    return 2\n")


def test_only_what_is_imported_counts_wherever_the_import_stands(house):
    assert house() == house("ours/aside.py", "value = 2\n")
    assert house() != house("ours/late.py", "value = 2\n")


def test_without_a_root_everything_in_a_folder_counts(house):
    assert house(reached_from=None) != house("ours/aside.py", "value = 2\n", reached_from=None)


def test_a_root_that_is_not_there_is_no_empty_hash(house):
    with pytest.raises(FileNotFoundError, match="ours.nowhere"):
        house(reached_from="ours.nowhere")
