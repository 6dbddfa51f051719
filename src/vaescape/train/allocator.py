"""Keeping the pages of freed tensors."""

import ctypes
import functools

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_INT = 2**31 - 1
HALF_A_HEAP = 32 * 2**20


@functools.cache
def keep_pages() -> bool:
    """Tell glibc to keep freed memory for the next step; return whether it agreed.

    By default glibc hands large blocks back to the kernel as soon as they are freed, so that every
    training step faults the same pages in again. The setting holds for the whole process; elsewhere
    than on glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    # glibc before 2.35 takes no more than half a heap. Without this the others would do harm: each
    # of them ends glibc's own adapting, which starts at 128 KiB.
    if not any(mallopt(M_MMAP_THRESHOLD, value) for value in (LARGEST_INT, HALF_A_HEAP)):
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, LARGEST_INT) and mallopt(M_TOP_PAD, 256 * 2**20))
