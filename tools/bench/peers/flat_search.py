"""Peer of `flat-batch`: faiss's flat inner-product index, asked in batches."""

import argparse

import faiss
import numpy

from line_protocol import serve


def main():
    options = argparse.ArgumentParser()
    for name in ("--vectors", "--queries"):
        options.add_argument(name, required=True)
    for name in ("--dimension", "--k", "--batch", "--threads"):
        options.add_argument(name, type=int, required=True)
    given = options.parse_args()

    faiss.omp_set_num_threads(given.threads)
    index = faiss.IndexFlatIP(given.dimension)
    index.add(numpy.fromfile(given.vectors, "<f4").reshape(-1, given.dimension))
    queries = numpy.fromfile(given.queries, "<f4").reshape(-1, given.batch, given.dimension)

    def search(step):
        index.search(queries[step % len(queries)], given.k)
        return given.batch

    serve(
        lambda steps: sum(search(step) for step in range(steps)),
        {"faiss-cpu": faiss.__version__},
        warm_up=lambda: [search(step) for step in range(3)],
    )


if __name__ == "__main__":
    main()
