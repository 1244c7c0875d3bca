"""`thjax COMMAND ...`: finds the command's `run(argv) -> int` and turns expected errors into one message.

Nothing heavy is imported before the command is known, so that `thjax --help` answers at once.
"""

import difflib
import importlib
import logging
import sys
import traceback

from thjax import __version__

COMMANDS = {
    "demo": ("thjax.demo.command", "corpus, training, a talking head and its report in minutes"),
    "data": ("data_pipelines.command", "make or prepare a corpus"),
    "label": ("data_pipelines.labels.command", "track faces in a corpus: landmarks, head pose, action units"),
    "train": ("thjax.train.command", "train a system, or resume its run"),
    "generate": ("thjax.generate.command", "animate a face from speech"),
    "evaluate": ("thjax.evaluate.command", "measure a trained model beside its controls"),
    "judges": ("thjax.judge_training.command", "train the networks that measure lips, words and faces"),
    "weights": ("thjax.pretrained.command", "convert public weight files"),
}
OURS = ("thjax", "data_pipelines", "configs")
USER_ERROR = 2


def main(argv: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: arguments after the program's name; those of the process where it is None.

    Returns:
        Exit status: 0 finished; 1 a training run stopped by its guard, or a defect; 2 wrong use;
        130 and 143 interrupted by Ctrl-C and SIGTERM.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0 if argv else USER_ERROR
    if argv[0] == "--version":
        print(f"thjax {__version__}")
        return 0
    command, *rest = argv
    if command not in COMMANDS:
        print(unknown_command(command), file=sys.stderr)
        return USER_ERROR
    return guarded(command, rest)


def usage() -> str:
    """The text of `thjax --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {purpose}" for name, (_, purpose) in COMMANDS.items()]
    return "\n".join(["usage: thjax COMMAND ...", "", *lines, "", "`thjax COMMAND --help` says more about each."])


def unknown_command(command: str) -> str:
    """The message for a command that does not exist: the nearest one, and all that do."""
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f"did you mean `thjax {near[0]}`? " if near else ""
    return f"thjax: unknown command {command!r}; {hint}The commands are {', '.join(COMMANDS)}."


def guarded(command: str, argv: list[str]) -> int:
    """Runs a command behind the boundary where expected errors become a message and an exit status."""
    # Before the command is imported: orbax's import sets up logging in its own form, and the first to come wins.
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    try:
        return importlib.import_module(COMMANDS[command][0]).run(argv) or 0
    except KeyboardInterrupt:
        print("thjax: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone; there is nobody left to tell.
        sys.stderr.close()
        return 1
    except Exception as error:
        if not expected(error):
            traceback.print_exc()
            print(f"thjax {command}: this is a defect of thjax, not of your input", file=sys.stderr)
            return 1
        print(f"thjax {command}: {message(error)}", file=sys.stderr)
        return getattr(error, "exit_code", USER_ERROR)


def expected(error: Exception) -> bool:
    """Whether an error was raised on purpose: it is of our own kind, of the operating system, or raised in our code."""
    if isinstance(error, OSError) or any(kind.__module__.split(".")[0] in OURS for kind in type(error).__mro__):
        return True
    if not isinstance(error, (ValueError, ImportError)):
        return False
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and frames[-1][0].f_globals.get("__name__", "").split(".")[0] in OURS


def message(error: Exception) -> str:
    """What to print for an expected error."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror.lower()}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
