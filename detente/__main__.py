"""`detente` and `python -m detente`."""

import os
import sys
from contextlib import suppress


def run() -> None:
    """Entry point: sets up what has to be before numpy is loaded, runs the command, and ends the process."""
    # Its BLAS starts a thread a core, and this command has no use for them: on two cores `import numpy` took 0.23 s
    # with them and 0.11 s without (medians of three, beside other work).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from detente.cli import main

    try:
        main()
    except SystemExit as done:
        # Files are closed by now. Taking numpy and ONNX Runtime apart would be 0.05 s of a cold start of 0.62 s.
        with suppress(OSError, ValueError):
            for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
                stream.flush()
            os._exit(done.code if isinstance(done.code, int) else int(done.code is not None))
        raise  # a stream that cannot be flushed is told of in the usual way


if __name__ == "__main__":
    run()
