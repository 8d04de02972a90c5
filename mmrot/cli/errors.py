import linecache
import os
import re
import sys
import textwrap
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from mmrot.engine.distributed import end_process, leave_process_group, uses_gloo
from mmrot.errors import DISTRIBUTIONS, UserError


@contextmanager
def report_errors() -> Iterator[None]:
    """Print user errors on one line and exit with status 1.

    User errors are :class:`UserError`, file-system errors, a missing mm package or missing
    ops of mmcv, and a failed assertion in a constructor of the mm packages or when one of
    their datasets lists its files; set ``MMROT_TRACEBACK=1`` to see where they were raised.
    All other errors keep their traceback. A distributed job leaves its process group at the
    end. After an error, a process on gloo exits at once, as the others may be waiting for it
    in a collective.
    """
    try:
        yield
    except KeyboardInterrupt:
        print('mmrot: interrupted.', file=sys.stderr)
        if uses_gloo():
            end_process(130)
        sys.exit(130)
    except Exception as error:
        found = _explain(error)
        concise = found is not None and not os.environ.get('MMROT_TRACEBACK')
        text = f'mmrot: error: {textwrap.shorten(found or "", 600, placeholder=" ...")}'
        if uses_gloo():
            print(text if concise else traceback.format_exc(), file=sys.stderr)
            end_process(1)
        if concise:
            sys.exit(text)
        raise
    leave_process_group()


def _missing_module(error: BaseException | None) -> str:
    """Return the module that an import did not find, or an empty string."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError):
            return error.name or ''
        error = error.__cause__ or error.__context__
    return ''


def _explain(error: Exception) -> str | None:
    """Return the message of an error of the user, None for a bug."""
    if isinstance(error, UserError | OSError):
        # of a dataloader's worker: the text is a traceback, whose last line is the message
        return str(error).rpartition('UserError: ')[2].strip()
    if isinstance(error, ImportError):
        module = _missing_module(error)
        if module in DISTRIBUTIONS:
            return f'{module} is not installed: pip install {DISTRIBUTIONS[module]}'
        if module in ('mmcv._ext', 'mmcv.ops'):  # the latter is missing in mmcv-lite
            return 'mmcv is installed without its compiled ops: see `mmrot doctor`.'
    if isinstance(error, RuntimeError) and uses_gloo():
        if 'Timed out' in str(error):
            return (
                'another process of the job did not answer within env_cfg.dist_cfg.timeout '
                'seconds, by default 1800.'
            )
        if 'Connection closed' in str(error) or 'Connection reset' in str(error):
            return 'another process of the job has ended.'
    if isinstance(error, AssertionError):
        *_, (frame, number) = traceback.walk_tb(error.__traceback__)
        package = frame.f_globals.get('__name__', '').partition('.')[0]
        if package in DISTRIBUTIONS and frame.f_code.co_name in ('__init__', 'load_data_list'):
            name = f'{package}.{type(frame.f_locals["self"]).__name__}'
            if error.args:
                return f'{name}: {error}'
            code = linecache.getline(frame.f_code.co_filename, number).strip()
            names = dict.fromkeys(re.findall(r'[A-Za-z_]\w*', code))
            values = ', '.join(f'{n}={frame.f_locals[n]!r}' for n in names if n in frame.f_locals)
            return f'cannot build {name}: `{code}` fails' + f' for {values}' * bool(values)
    return None
