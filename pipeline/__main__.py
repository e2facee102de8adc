"""``python -m premask.pipeline``: the command line."""

from premask.pipeline.cli import main

if __name__ == "__main__":
    main()
