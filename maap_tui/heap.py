"""How a process takes memory."""

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""


def share_one_heap() -> None:
    """Have all threads take memory from one heap where the address space is limited (ulimit -v).

    glibc reserves 64 MiB of it for each further thread, of which next to nothing is used.
    """
    try:
        import resource

        if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
            return
        import ctypes

        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    except (ImportError, OSError, AttributeError):
        pass  # another C library, which has no such heaps
