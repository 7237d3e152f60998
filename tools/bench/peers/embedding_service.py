"""Peer of the suite `embedding`: the same contract served by grpcio and PyTorch, batched dynamically in the same way.

One asyncio event loop takes the calls (grpc.aio); images wait in one queue; a batch is taken when it is full, or when its first
image has waited for the maximum delay, or at once while the network has just become free; one thread runs the network, and the
next batch is collected meanwhile. Encoded images are decoded and resized by Pillow in a pool of threads. The network is frozen
and optimised for inference (BatchNorm folded), channels-last, without autograd.

Prints `{"ready": true, "address": "127.0.0.1:PORT", "versions": {...}}`, then serves until standard input ends.
"""

import argparse
import asyncio
import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy
import PIL
import torch
from PIL import Image

from network import ContrastiveNetwork
from network_stl import StlNetwork


def parse():
    options = argparse.ArgumentParser()
    options.add_argument("--stubs", required=True, help="folder of the contract as grpc_tools.protoc makes it")
    options.add_argument("--form", choices=["cifar", "stl"], required=True)
    options.add_argument("--side", type=int, required=True)
    options.add_argument("--width", type=int, required=True)
    options.add_argument("--max-batch", type=int, required=True)
    options.add_argument("--max-delay-ms", type=float, required=True)
    options.add_argument("--threads", type=int, required=True)
    options.add_argument("--decoders", type=int, required=True)
    return options.parse_args()


def frozen_network(form, width, side, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = (ContrastiveNetwork if form == "cifar" else StlNetwork)(width).eval().to(memory_format=torch.channels_last)
    example = torch.zeros(8, 3, side, side).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        return torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(network, example)))


class Engine:
    """The queue, and the one thread that runs the network."""

    def __init__(self, network, side, max_batch, max_delay):
        self.network, self.side, self.max_batch, self.max_delay = network, side, max_batch, max_delay
        self.waiting = asyncio.Queue()
        self.thread = ThreadPoolExecutor(1)

    def run(self, images):
        """uint8 arrays [side, side, 3] to a float32 array [n, 128]."""
        with torch.inference_mode():
            pixels = torch.from_numpy(numpy.stack(images)).permute(0, 3, 1, 2)
            x = pixels.to(torch.float32).mul_(1 / 127.5).sub_(1).contiguous(memory_format=torch.channels_last)
            return self.network(x).numpy()

    def warm_up(self):
        blank = numpy.zeros((self.side, self.side, 3), numpy.uint8)
        for size in range(1, self.max_batch + 1):
            self.run([blank] * size)
            self.run([blank] * size)

    async def embed(self, image):
        done = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait((image, done))
        return await done

    async def serve(self):
        loop = asyncio.get_running_loop()
        running = None
        while True:
            batch = [await self.waiting.get()]
            until = loop.time() + self.max_delay
            while len(batch) < self.max_batch:
                if not self.waiting.empty():
                    batch.append(self.waiting.get_nowait())
                    continue
                if running is not None and not running.done():
                    more = asyncio.ensure_future(self.waiting.get())
                    await asyncio.wait({more, running}, return_when=asyncio.FIRST_COMPLETED)
                    if more.done():
                        batch.append(more.result())
                    else:
                        more.cancel()
                    continue
                left = until - loop.time()
                if left <= 0:
                    break
                try:
                    batch.append(await asyncio.wait_for(self.waiting.get(), left))
                except asyncio.TimeoutError:
                    break
            if running is not None:
                await running
            running = asyncio.ensure_future(self.finish(batch))

    async def finish(self, batch):
        loop = asyncio.get_running_loop()
        vectors = await loop.run_in_executor(self.thread, self.run, [image for image, _ in batch])
        for (_, done), vector in zip(batch, vectors):
            if not done.done():
                done.set_result(vector)


def decode(data, side):
    """The central square of an encoded image, resized to `side`."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    square = min(image.size)
    left, top = (image.width - square) // 2, (image.height - square) // 2
    box = (left, top, left + square, top + square)
    return numpy.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box))


async def main():
    given = parse()
    sys.path.insert(0, given.stubs)
    from kindred.embedding.v1 import embedding_pb2 as messages
    from kindred.embedding.v1 import embedding_pb2_grpc as services

    network = frozen_network(given.form, given.width, given.side, given.threads)
    engine = Engine(network, given.side, given.max_batch, given.max_delay_ms / 1000)
    engine.warm_up()
    decoders = ThreadPoolExecutor(given.decoders)

    class Service(services.EmbeddingServiceServicer):
        async def Embed(self, request, context):
            loop = asyncio.get_running_loop()
            if request.WhichOneof("images") == "raw":
                raw = request.raw
                pixels = numpy.frombuffer(raw.pixels, numpy.uint8).reshape(raw.count, raw.height, raw.width, 3)
                vectors = await asyncio.gather(*(engine.embed(image) for image in pixels))
            else:
                async def one(data):
                    return await engine.embed(await loop.run_in_executor(decoders, decode, data, given.side))

                vectors = await asyncio.gather(*(one(data) for data in request.encoded.images))
            table = numpy.stack(vectors).astype("<f4")
            return messages.EmbedResponse(
                vectors=table.tobytes(), count=len(table), dimension=table.shape[1], model=request.model
            )

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 64 << 20)])
    services.add_EmbeddingServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    serving = asyncio.ensure_future(engine.serve())
    versions = {"torch": torch.__version__, "grpcio": grpc.__version__, "pillow": PIL.__version__}
    print(json.dumps({"ready": True, "address": f"127.0.0.1:{port}", "versions": versions}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    serving.cancel()
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
