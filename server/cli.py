"""The console command `sixfold`."""


def main() -> None:
    """Entry point of the console script."""
