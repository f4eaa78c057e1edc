"""``meshnet``, also as ``python -m meshnet``: the entry point of the distribution."""

import sys


def main() -> int:
    """Run the command line and return its exit code. A ^C while that is still being loaded is no traceback either."""
    try:
        from meshnet.cli.main import main as run  # noqa: PLC0415 - most of what a short command takes
    except KeyboardInterrupt:
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
