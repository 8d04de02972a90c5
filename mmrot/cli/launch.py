import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence

import torch
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import get_args_parser, run

from mmrot.errors import UserError


def launch(args: argparse.Namespace, command: str, argv: Sequence[str] | None) -> bool:
    """Run a command with torchrun if ``--gpus`` asks for several processes.

    In the processes that torchrun starts, sets ``args.launcher`` instead.

    Args:
        args: Arguments with ``gpus`` and ``launcher``.
        command: Name of the command.
        argv: Arguments of the command. Defaults to those of the process.

    Returns:
        Whether the job was run. If not, the caller must run it in this process.

    Raises:
        UserError: If there are too few GPUs, or a process failed.
    """
    if args.gpus is None or args.launcher != 'none':
        return False
    if torch.distributed.is_torchelastic_launched():
        args.launcher = 'pytorch'
        return False
    nnodes = _integer('NNODES', 1, 1)
    options = [
        f'--nnodes={nnodes}',
        f'--node_rank={_integer("NODE_RANK", 0, 0)}',
        f'--nproc_per_node={args.gpus}',
        f'--master_addr={os.environ.get("MASTER_ADDR", "127.0.0.1")}',
        f'--master_port={_integer("PORT", 29500, 1, 65535)}',
    ]
    gpus = torch.cuda.device_count()
    if 0 < gpus < args.gpus:
        raise UserError(f'{args.gpus} GPUs were requested, but this machine has {gpus}.')
    if nnodes * args.gpus == 1:
        return False
    if gpus == 0:
        print(f'No GPU found: {args.gpus} processes run on the CPU with gloo.', file=sys.stderr)
    _torchrun(options, [command, *(sys.argv[1:] if argv is None else argv)])
    return True


def _torchrun(options: list[str], arguments: list[str]) -> None:
    """Run mmrot with torchrun, without the traceback that it adds to errors."""
    args = get_args_parser().parse_args([*options, '-m', 'mmrot.cli'])
    # not parsed: torchrun would take --monitor for an option of its own
    args.training_script_args = arguments
    # torchrun does not pass SIGUSR1 on
    before = signal.signal(signal.SIGUSR1, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    logging.disable(logging.ERROR)  # in this process only
    try:
        run(args)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise UserError(
            f'the process of rank {rank} exited with status {failure.exitcode}'
        ) from error
    except KeyboardInterrupt:  # the processes have reported it
        sys.exit(130)
    except SignalException as error:
        sys.exit(128 + error.sigval)
    except RuntimeError as error:  # rendezvous failed: port in use, unknown host
        raise UserError(f'torchrun: {error}') from error
    finally:
        signal.signal(signal.SIGUSR1, before)
        logging.disable(logging.NOTSET)


def _integer(name: str, default: int, least: int, most: int | None = None) -> int:
    """Read an environment variable."""
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) < least or (most and int(text) > most):
        limits = f'from {least} to {most}' if most else f'of at least {least}'
        raise UserError(f'{name}={text} is not an integer {limits}.')
    return int(text)
