"""The bar over clips by a clock of ours."""

from rich.console import Console

from data_pipelines.progress import clip_bar, lost


def shown(bar):
    console = Console(width=160, legacy_windows=False)
    with console.capture() as capture:
        console.print(bar.make_tasks_table(bar.tasks))
    return capture.get()


def test_it_shows_pace_time_to_go_and_what_was_lost():
    bar, seconds = clip_bar(), 0.0
    bar.get_time = lambda: seconds
    task = bar.add_task("prepare", total=100, lost="")
    assert "0/100" in shown(bar) and "- clips/s" in shown(bar) and "-:--:--" in shown(bar)
    for done in range(1, 21):
        seconds = 2.0 * done
        bar.update(task, completed=done, lost=lost({"truncated": 1, "no_face": 3}))
    line = shown(bar)
    assert "20/100" in line and "0.5 clips/s" in line
    assert "0:00:40" in line  # gone
    assert "0:02:40" in line  # to go: 80 clips of 2 s
    assert "(3 no_face, 1 truncated)" in line
