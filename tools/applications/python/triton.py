"""Embeds image files through the Open Inference Protocol v2 with NVIDIA's client, unchanged: `triton.py ADDRESS MODEL FILE…`.

Prints one line of JSON: what the server says of itself and of the model, and the vectors made from the encoded files and, where
a file ends in `.raw` (32 x 32 x 3 bytes), from pixels.
"""

import json
import sys

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException


def tensor(name, datatype, values):
    made = triton.InferInput(name, values.shape, datatype)
    made.set_data_from_numpy(values)
    return made


def main():
    address, model, *files = sys.argv[1:]
    client = triton.InferenceServerClient(address)
    before = client.is_model_ready(model)
    client.load_model(model)
    metadata = client.get_model_metadata(model, as_json=True)
    outputs = [triton.InferRequestedOutput("embedding"), triton.InferRequestedOutput("backbone")]
    encoded = np.array([open(name, "rb").read() for name in files if not name.endswith(".raw")], dtype=np.object_)
    pixels = np.stack([np.fromfile(name, np.uint8).reshape(32, 32, 3) for name in files if name.endswith(".raw")])
    answers = [
        client.infer(model, [tensor("encoded", "BYTES", encoded)], request_id="7", outputs=outputs),
        client.infer(model, [tensor("image", "UINT8", pixels)], outputs=outputs),
    ]
    try:
        client.infer("no-such-model", [tensor("image", "UINT8", pixels)])
        refusal = None
    except InferenceServerException as error:
        refusal = str(error)
    index = client.get_model_repository_index(as_json=True)
    ready = client.is_model_ready(model)
    client.unload_model(model)
    response = answers[0].get_response()
    print(
        json.dumps(
            {
                "live": client.is_server_live(),
                "ready": client.is_server_ready(),
                "server": client.get_server_metadata(as_json=True),
                "metadata": metadata,
                "modelReady": [before, ready, client.is_model_ready(model)],
                "index": index,
                "id": response.id,
                "version": response.model_version,
                "times": sorted(response.parameters),
                "refusal": refusal,
                "encoded": answers[0].as_numpy("embedding").tolist(),
                "pixels": answers[1].as_numpy("embedding").tolist(),
                "backboneShape": list(answers[0].as_numpy("backbone").shape),
            }
        )
    )


if __name__ == "__main__":
    main()
