"""torchrun, which ends in one line and the status 1 when a process fails.

torchrun itself adds a page of its own traceback to what the process said.
"""

import logging
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

if __name__ == '__main__':
    logging.disable(logging.ERROR)  # in this process only, not in the ranks
    try:
        main()
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        sys.exit(f'mmrot: error: the process of rank {rank} ended with status {failure.exitcode}')
    except Exception as error:  # no rendezvous: a port in use, an unknown host
        text = ' '.join(str(error).split())
        sys.exit(f'mmrot: error: {type(error).__name__}: {text[:300]}')
