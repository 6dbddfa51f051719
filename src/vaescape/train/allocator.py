"""Keeping the pages of freed tensors."""

import ctypes
import functools

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_INT = 2**31 - 1


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
    wishes = {
        M_MMAP_THRESHOLD: LARGEST_INT,
        M_TRIM_THRESHOLD: LARGEST_INT,
        M_TOP_PAD: 256 * 2**20,
    }
    answers = [mallopt(name, value) for name, value in wishes.items()]
    return all(answers)
