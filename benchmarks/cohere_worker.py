"""Runs cohere-core in an environment of its own: ``python cohere_worker.py AMPLITUDE.npy OBJECT.npy SEED``.

Amplitude and object have their origin in the middle. Prints the CPU seconds of initialising and iterating.
"""

import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from cohere_core.controller.phasing import Rec

PARAMETERS = {
    "algorithm_sequence": "3*(20*ER+180*HIO)+20*ER",
    "hio_beta": 0.9,
    "initial_support_area": (0.5, 0.5, 0.5),
    "shrink_wrap_trigger": [1, 1],
    "shrink_wrap_type": "GAUSS",
    "shrink_wrap_threshold": 0.1,
    "shrink_wrap_gauss_sigma": 1.0,
    "twin_trigger": [2],
    "twin_halves": [0, 0],
}


def main(amplitude: str, obj: str, seed: int) -> None:
    began = time.process_time()
    np.random.seed(seed)
    rec = Rec(dict(PARAMETERS), amplitude, "np", debug=True)
    if rec.init_dev(-1) or rec.init_iter_loop() or rec.iterate():
        sys.exit("cohere did not run")
    took = time.process_time() - began
    np.save(obj, rec.ds_image)
    print(f"CPU-s {took:.2f}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
