"""`python -m sixfold.server` is the command `sixfold`."""

from sixfold.server.cli import main

if __name__ == "__main__":
    main()
