import os
import sys
import textwrap
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from mmrot.engine.distributed import end_process, leave_process_group, uses_gloo
from mmrot.errors import UserError


@contextmanager
def report_errors() -> Iterator[None]:
    """Print user errors on one line and exit with status 1.

    User errors are :class:`UserError` and file-system errors; set
    ``MMROT_TRACEBACK=1`` to see where they were raised. All other errors keep their
    traceback. A distributed job leaves its process group at the end. After an error,
    a process on gloo exits at once, as the others may be waiting for it in a
    collective.
    """
    try:
        yield
    except Exception as error:
        concise = isinstance(error, UserError | OSError) and not os.environ.get('MMROT_TRACEBACK')
        text = f'mmrot: error: {textwrap.shorten(str(error), 600, placeholder=" ...")}'
        if uses_gloo():
            print(text if concise else traceback.format_exc(), file=sys.stderr)
            end_process(1)
        if concise:
            sys.exit(text)
        raise
    leave_process_group()
