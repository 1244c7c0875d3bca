"""The error a user can mend: printed as one message, without a traceback."""


class UserError(Exception):
    """Something the user gave does not work. The message names the value, the rule it breaks, and the way out."""


class RunStopped(Exception):
    """A run ended before its work was done.

    Attributes:
        exit_code: of the process: 143 after SIGTERM, 130 after Ctrl-C, 1 when the guard stopped the run.
    """

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code
