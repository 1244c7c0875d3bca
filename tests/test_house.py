"""The house keeps its shape: no paper's name below `systems`, one version, packages that ship what they need."""

import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).parent.parent
BELOW_SYSTEMS = ("core", "audio", "face3d", "blocks", "optim", "engine", "parallel", "losses", "metrics")
# Systems and first authors; a docstring may cite a paper, a name or a line of code may not depend on one.
PAPERS = re.compile(
    r"temporal_gan|action_unit_gan|landmark_gan|head_pose_gan|dirfa|vougioukas|chen2021|wang2020|yi2020|wu2023", re.I
)


def code_without_docstrings(path: pathlib.Path) -> str:
    """Source with comments and string literals that stand alone removed."""
    import ast

    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
            node.body = kept or [ast.Pass()]
    return ast.unparse(tree)


def test_no_paper_is_named_below_systems():
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for room in BELOW_SYSTEMS
        for path in sorted((ROOT / "thjax" / room).rglob("*.py"))
        for match in PAPERS.finditer(path.name + "\n" + code_without_docstrings(path))
    ]
    assert not found


def test_the_check_for_paper_names_finds_one(tmp_path):
    planted = tmp_path / "block.py"
    planted.write_text('"""Cites vougioukas2019."""\nsystem = "temporal_gan"\n')
    assert [m.group() for m in PAPERS.finditer(code_without_docstrings(planted))] == ["temporal_gan"]


def test_every_top_level_folder_of_the_wheel_is_found():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert config["tool"]["setuptools"]["packages"]["find"]["include"] == ["thjax*", "configs*", "data_pipelines*"]


def test_every_python_package_has_an_init():
    missing = [
        str(path.parent.relative_to(ROOT))
        for top in ("thjax", "configs", "data_pipelines")
        for path in (ROOT / top).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    ]
    assert not sorted(set(missing))


def test_commands_name_themselves_without_importing_jax():
    code = "import sys, thjax.cli; thjax.cli.main(['--help']); print('jax' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip().endswith("False"), result.stdout + result.stderr
    for command in ("demo", "data", "label", "train", "generate", "evaluate", "judges", "weights"):
        assert command in result.stdout


def test_no_two_test_files_share_a_name():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    twice = sorted({name for name in names if names.count(name) > 1})
    assert not twice, f"pytest takes test files by name and reads one of {twice} only; rename the other"
