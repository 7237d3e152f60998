"""Runs an exported SavedModel in TensorFlow and an ONNX file in onnxruntime: `read_graphs.py FOLDER IMAGES OUT [STATE]`.

Writes OUT/{tensorflow,tensorflow-float,onnx}-{features,embedding}.npy. STATE, an .npz, is compared with FOLDER/model.safetensors.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy
import onnx
import onnxruntime
import tensorflow
from safetensors.numpy import load_file


def main():
    folder, images, out = (Path(argument) for argument in sys.argv[1:4])
    pixels = numpy.load(images)

    saved = str(folder / "saved_model" / "1")
    assert tensorflow.saved_model.contains_saved_model(saved)
    signatures = tensorflow.saved_model.load(saved, tags=["serve"]).signatures
    assert sorted(signatures) == ["serving_default", "serving_float"], list(signatures)
    for name, signature, given in (
        ("tensorflow", signatures["serving_default"], tensorflow.constant(pixels)),
        ("tensorflow-float", signatures["serving_float"], tensorflow.constant(pixels.astype("float32"))),
    ):
        # Any number of images: one at a time gives the same rows as all at once.
        answer, first = signature(images=given), signature(images=given[:1])
        for output in ("features", "embedding"):
            numpy.save(out / f"{name}-{output}.npy", answer[output].numpy())
            numpy.testing.assert_allclose(first[output].numpy()[0], answer[output].numpy()[0], rtol=1e-4, atol=1e-4)

    file = str(folder / "model.onnx")
    onnx.checker.check_model(file, full_check=True)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for output in ("features", "embedding"):
        numpy.save(out / f"onnx-{output}.npy", session.run([output], {"images": pixels})[0])

    if len(sys.argv) > 4:
        tensors, state = load_file(folder / "model.safetensors"), numpy.load(sys.argv[4])
        assert sorted(tensors) == sorted(state.files)
        for name in tensors:
            assert tensors[name].dtype == state[name].dtype, name
            numpy.testing.assert_array_equal(tensors[name], state[name], name)


if __name__ == "__main__":
    main()
