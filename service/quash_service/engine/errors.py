"""The one exception of the engine package: an engine that Quash will not run on."""


class EngineRefused(Exception):
    """The state engine cannot be used as it is; the message says what is wrong and how to mend it.

    Waiting does not help, so only a Supervisor tries again, and says so each time.
    `code` is stable snake_case, for programs; the message is for people and never holds a secret.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep `code` beside the sentence."""
        super().__init__(message)
        self.code = code
