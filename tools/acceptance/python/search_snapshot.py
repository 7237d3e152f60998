"""Searches files of a snapshot with faiss's wheel: `search_snapshot.py QUERIES DIMENSION K FILE…`.

Prints one JSON line a file: the class of the index in it, rows, and the ids and scores of all queries.
"""

import json
import sys

import faiss
import numpy


def main():
    queries = numpy.fromfile(sys.argv[1], "<f4").reshape(-1, int(sys.argv[2]))
    for file in sys.argv[4:]:
        index = faiss.read_index(file)
        inner = faiss.downcast_index(index.index)
        if hasattr(inner, "nprobe"):
            inner.nprobe = inner.nlist
        if hasattr(inner, "hnsw"):
            inner.hnsw.efSearch = 256
        scores, ids = index.search(queries, int(sys.argv[3]))
        print(
            json.dumps(
                {
                    "outer": type(index).__name__,
                    "inner": type(inner).__name__,
                    "metric": int(index.metric_type),
                    "rows": index.ntotal,
                    "ids": ids.tolist(),
                    "scores": scores.tolist(),
                }
            )
        )


if __name__ == "__main__":
    main()
