"""Writes the small .onnx files of the tests: python make-onnx.py (onnx 1.19 or later, onnxruntime, numpy).

A classifier of [N, 3, 4, 4] with 3 classes: Conv 3x3 (3 -> 4), Relu, Flatten, Gemm; weights from seed 7.
linear-quantized is quantize_dynamic of it; static-int8 has fixed scales; batch-norm and dropout are in training mode."""
import os
import numpy as np, onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh
from onnxruntime.quantization import QuantType, quantize_dynamic

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(7)
weights = {
    "conv": rng.normal(0, 0.4, (4, 3, 3, 3)), "conv_b": rng.normal(0, 0.1, 4),
    "fc": rng.normal(0, 0.4, (3, 64)), "fc_b": rng.normal(0, 0.1, 3),
}
init = [nh.from_array(v.astype(np.float32), k) for k, v in weights.items()]

def save(name, nodes, extra=(), batch="N", opset=17):
    graph = h.make_graph(nodes, name, [h.make_tensor_value_info("x", T.FLOAT, [batch, 3, 4, 4])],
                         [h.make_tensor_value_info("logits", T.FLOAT, [batch, 3])], init + list(extra))
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(here, name + ".onnx"))

def body(before="x", middle=()):
    return [h.make_node("Conv", [before, "conv", "conv_b"], ["a"], "conv0", pads=[1, 1, 1, 1]), h.make_node("Relu", ["a"], ["r"], "relu0"),
            *middle, h.make_node("Flatten", ["m" if middle else "r"], ["f"], "flatten0"),
            h.make_node("Gemm", ["f", "fc", "fc_b"], ["logits"], "head", transB=1)]

save("small", body())
save("small-batch-8", body(), batch=8)
ones, zeros = np.ones(4, np.float32), np.zeros(4, np.float32)
bn = [nh.from_array(ones, "g"), nh.from_array(zeros, "b"), nh.from_array(zeros, "mean"), nh.from_array(ones, "var")]
save("batch-norm-training", body(middle=[h.make_node("BatchNormalization", ["r", "g", "b", "mean", "var"], ["m", "m2", "v2"], "bn0", training_mode=1)]), bn)
drop = [nh.from_array(np.float32(0.3), "ratio"), nh.from_array(np.bool_(True), "on")]
save("dropout-training", body(middle=[h.make_node("Dropout", ["r", "ratio", "on"], ["m"], "drop0", seed=3)]), drop)
scale = [nh.from_array(np.float32(0.02), "s"), nh.from_array(np.uint8(128), "z")]
save("static-int8", [h.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q0"), h.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "d0"), *body("d")], scale)
quantize_dynamic(os.path.join(here, "small.onnx"), os.path.join(here, "dynamic-quantized.onnx"), weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm", "Conv"])

import onnxruntime as ort
x = rng.normal(0.5, 0.3, (2, 3, 4, 4)).astype(np.float32)
print("input", x.flatten()[:3].tolist())
session = ort.InferenceSession(os.path.join(here, "small.onnx"))
np.set_printoptions(precision=9)
x = (np.arange(96) % 17 / 17).astype(np.float32).reshape(2, 3, 4, 4)
print("logits of (i mod 17) / 17:", session.run(None, {"x": x})[0].tolist())

# The same with its weights in a file of their own.
external = onnx.load(os.path.join(here, "small.onnx"))
onnx.save(external, os.path.join(here, "external.onnx"), save_as_external_data=True, location="external.bin", size_threshold=0)
