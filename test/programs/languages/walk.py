"""NumPy, moved while it computes: walk.py FOLDER ROUNDS, as the programs of test/programs/kinds."""

import os
import sys
import time

import numpy

folder, rounds = sys.argv[1], int(sys.argv[2])
generator = numpy.random.default_rng(7)
matrix = generator.standard_normal((400, 400))
kept = numpy.arange(4_000_000, dtype=numpy.float64)
expected = kept.sum()
state = matrix.copy()
print("ready", flush=True)
for number in range(1, rounds + 1):
    # Its own threads (BLAS) are at work while it is moved.
    while not os.path.exists(f"{folder}/go-{number}"):
        state = state @ matrix
        state /= numpy.abs(state).max()
        time.sleep(0.01)
    right = kept.sum() == expected and numpy.isfinite(state).all()
    again = numpy.linalg.solve(matrix, matrix @ kept[:400])
    right = right and numpy.allclose(again, kept[:400])
    print(f"round {number} ok" if right else "not so: NumPy computes wrongly", flush=True)
print("done")
sys.exit(7)
