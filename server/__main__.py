"""The command `sixfold`, also as `python -m sixfold.server`. Made to be quick to start.

What is imported lives as long as the process: there is nothing to collect before a daemon runs (`cli.run`).
"""

import gc
import sys

gc.disable()
# structlog and typer would import it for coloured tracebacks that nobody sees: a tenth of the time to the first answer.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]

from sixfold.server import cli  # noqa: E402


def main() -> None:
    """Entry point of the console script."""
    cli.main()


if __name__ == "__main__":
    main()
