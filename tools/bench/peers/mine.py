"""Peer of `mine-50k`: faiss's flat inner-product index, filled and asked for the neighbours of all that is in it."""

import argparse

import faiss
import numpy

from line_protocol import serve


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--vectors", required=True)
    options.add_argument("--dimension", type=int, required=True)
    options.add_argument("--k", type=int, required=True)
    options.add_argument("--threads", type=int, required=True)
    given = options.parse_args()

    faiss.omp_set_num_threads(given.threads)
    vectors = numpy.fromfile(given.vectors, "<f4").reshape(-1, given.dimension)

    def mine(rows):
        index = faiss.IndexFlatIP(given.dimension)
        index.add(rows)
        index.search(rows, given.k)
        return len(rows)

    serve(
        lambda steps: sum(mine(vectors) for _ in range(steps)),
        {"faiss-cpu": faiss.__version__},
        warm_up=lambda: mine(vectors[:2000]),
    )


if __name__ == "__main__":
    main()
