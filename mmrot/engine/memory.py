import ctypes
import sys

# Parameters of mallopt(3)
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> None:
    """Configure glibc to reuse freed memory, which speeds up training on CPUs.

    By default, glibc returns large blocks to the kernel, which must then map and zero new pages
    for the activations of every step. Memory use rises by up to a fifth. Other C libraries are not
    affected.
    """
    if sys.platform != 'linux':
        return
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
