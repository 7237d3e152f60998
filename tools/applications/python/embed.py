"""Embeds image files through kindred.embedding.v1: `embed.py ADDRESS MODEL STUBS FILE…` prints one line of JSON a file.

STUBS is the folder that `python -m grpc_tools.protoc -I proto --python_out=STUBS --grpc_python_out=STUBS
proto/kindred/*/v1/*.proto` has filled. A full queue is waited for as the service says.
"""

import json
import sys
import time

import grpc
import numpy as np


def embed(stub, pb, request, deadline=30.0):
    """Calls Embed, again after the time that the service names while its queue is full."""
    from google.rpc import error_details_pb2, status_pb2

    until = time.monotonic() + deadline
    while True:
        try:
            return stub.Embed(request, timeout=until - time.monotonic())
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
            for detail in status.details:
                retry = error_details_pb2.RetryInfo()
                if detail.Unpack(retry):
                    time.sleep(retry.retry_delay.ToNanoseconds() / 1e9)
                    break
            else:
                raise


def main():
    address, model, stubs, *files = sys.argv[1:]
    sys.path.insert(0, stubs)
    from kindred.embedding.v1 import embedding_pb2 as pb
    from kindred.embedding.v1 import embedding_pb2_grpc as services

    with grpc.insecure_channel(address) as channel:
        stub = services.EmbeddingServiceStub(channel)
        images = pb.EncodedImages(images=[open(name, "rb").read() for name in files])
        answer = embed(stub, pb, pb.EmbedRequest(model=model, encoded=images))
        vectors = np.frombuffer(answer.vectors, "<f4").reshape(answer.count, answer.dimension)
        broken = {error.index: error.message for error in answer.errors}
        for i, name in enumerate(files):
            vector = None if i in broken else vectors[i].tolist()
            print(json.dumps({"file": name, "version": answer.model_version, "vector": vector, "error": broken.get(i)}))


if __name__ == "__main__":
    main()
