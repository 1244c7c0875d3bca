"""The tables of benchmarks/README.md, from the JSON files in benchmarks/results: `python -m benchmarks.table`."""

import json
import pathlib

from benchmarks.timing import RESULTS

README = pathlib.Path(__file__).parent / "README.md"
BEGIN, END = "<!-- tables: python -m benchmarks.table -->", "<!-- end of tables -->"


def table(result: dict) -> str:
    """Markdown of one result: a row each, a column per metric, the 95 % interval behind a figure that has one."""
    metrics = list(dict.fromkeys(metric for row in result["rows"].values() for metric in row))
    lines = [f"| | {' | '.join(metrics)} |", "|---" * (len(metrics) + 1) + "|"]
    for name, row in result["rows"].items():
        lines.append(f"| {name} | {' | '.join(cell(row.get(metric)) for metric in metrics)} |")
    return "\n".join(lines)


def cell(figure: dict | None) -> str:
    """A figure to three digits; nothing where it was not measured."""
    if figure is None:
        return ""
    interval = figure.get("ci95")
    return f"{figure['mean']:.3g}" + (f" [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else "")


def section(path: pathlib.Path) -> str:
    """Heading, command, machine and table of one file."""
    result = json.loads(path.read_text())
    about = ", ".join(f"{key} {value}" for key, value in result.get("about", {}).items())
    return f"### {path.stem}\n\n    {result['command']}\n\n{about}\n\n{table(result)}\n"


def main() -> None:
    """Rewrites the part of the README between the two marks."""
    text = README.read_text()
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    sections = "\n".join(section(path) for path in sorted(RESULTS.glob("*.json")))
    README.write_text(f"{before}{BEGIN}\n\n{sections}\n{after}")
    print(f"wrote {README}")


if __name__ == "__main__":
    main()
