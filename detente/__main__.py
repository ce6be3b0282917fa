"""`detente` and `python -m detente`."""

import os


def run() -> None:
    """Entry point: sets up what has to be before numpy is loaded, and runs the command."""
    # Its BLAS starts a thread a core, and this command has no use for them: on two cores `import numpy` took 0.23 s
    # with them and 0.11 s without (medians of three, beside other work).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from detente.cli import main

    main()


if __name__ == "__main__":
    run()
