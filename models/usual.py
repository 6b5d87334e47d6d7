"""Batches of a few usual sizes."""

SMALL, STEP = 16, 8


def usual_size(n: int) -> int:
    """The least usual size of a batch that holds ``n``: 1, 2, 4, 8, 16, then multiples of 8.

    oneDNN, which computes the networks on a processor, makes and keeps code for every shape that it is given,
    tens of megabytes in the end: frames differ in their numbers of peaks.
    """
    if n <= SMALL:
        return 1 << max(n - 1, 0).bit_length()
    return -(-n // STEP) * STEP
