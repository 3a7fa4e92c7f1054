"""Writes preprocessing/*.onnx and preprocessing.json: python make-preprocessing.py (onnx 1.19 or later, onnxruntime, numpy, torch).

Tiny models that need preprocessing, and what Python's onnxruntime answers to inputs prepared in numpy; the resizes are those of
ONNX's Resize operator (cubic, a = -0.75, half-pixel centres), which PyTorch's bicubic interpolate equals, and with antialiasing PyTorch's own."""
import json, os
import numpy as np, onnx, onnxruntime as ort, torch
from onnx import TensorProto, helper as h, numpy_helper as nh

here = os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "preprocessing")
os.makedirs(folder, exist_ok=True)
rng = np.random.default_rng(11)
weights = (rng.normal(0, 1, (48, 3)) / 7).astype(np.float32)

def save(name, nodes, init, x, outputs, opset=17):
    outs = [h.make_tensor_value_info(*o) for o in outputs]
    graph = h.make_graph(nodes, name, [h.make_tensor_value_info("x", *x)], outs, [nh.from_array(v, k) for k, v in init.items()])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    path = os.path.join(folder, name + ".onnx")
    onnx.save(model, path)
    return path

F, U, H = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.FLOAT16
flat, gemm = h.make_node("Flatten", ["x"], ["f"]), h.make_node("MatMul", ["f", "w"], ["logits"])
first = [F, ["N", 3, 4, 4]]
paths = {
    "first": save("first", [flat, gemm], {"w": weights}, first, [("logits", F, ["N", 3])]),
    "last": save("last", [flat, gemm], {"w": weights}, [F, ["N", 4, 4, 3]], [("logits", F, ["N", 3])]),
    "half": save("half", [flat, gemm], {"w": weights.astype(np.float16)}, [H, ["N", 3, 4, 4]], [("logits", H, ["N", 3])]),
    "bytes": save("bytes", [h.make_node("Cast", ["x"], ["c"], to=F), h.make_node("Flatten", ["c"], ["f"]), gemm], {"w": weights}, [U, ["N", 4, 4, 3]], [("logits", F, ["N", 3])]),
    "pooled": save("pooled", [h.make_node("Conv", ["x", "w"], ["logits"])], {"w": weights.T.reshape(3, 3, 4, 4).copy()}, first, [("logits", F, ["N", 3, 1, 1])]),
    "several": save("several", [flat, gemm, h.make_node("Neg", ["logits"], ["opposite"])], {"w": weights}, first, [("opposite", F, ["N", 3]), ("logits", F, ["N", 3])]),
    "sigmoid": save("sigmoid", [flat, h.make_node("MatMul", ["f", "w"], ["s"]), h.make_node("Sigmoid", ["s"], ["p"])], {"w": weights[:, :1]}, first, [("p", F, ["N", 1])]),
    "logit": save("logit", [flat, h.make_node("MatMul", ["f", "w"], ["s"])], {"w": weights[:, :1]}, first, [("s", F, ["N", 1])]),
    "gray": save("gray", [h.make_node("Flatten", ["x"], ["f"]), gemm], {"w": weights[:16]}, [F, ["N", 1, 4, 4]], [("logits", F, ["N", 3])]),
}
x = (np.arange(96) * 37 % 101 / 101).astype(np.float32).reshape(2, 4, 4, 3)  # [n, H, W, C]
large = (np.arange(2 * 9 * 7 * 3) * 37 % 101 / 101).astype(np.float32).reshape(2, 9, 7, 3)
run = lambda name, v: ort.InferenceSession(paths[name]).run(["logits"] if name == "several" else None, {"x": v})[0].astype(np.float64)
nchw = lambda v: np.ascontiguousarray(v.transpose(0, 3, 1, 2))

def resize(v, rows, columns):
    node = h.make_node("Resize", ["x", "", "", "s"], ["y"], mode="cubic", cubic_coeff_a=-0.75, coordinate_transformation_mode="half_pixel")
    graph = h.make_graph([node], "r", [h.make_tensor_value_info("x", F, None)], [h.make_tensor_value_info("y", F, None)], [nh.from_array(np.array([len(v), 3, rows, columns], np.int64), "s")])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    return ort.InferenceSession(model.SerializeToString()).run(None, {"x": nchw(v)})[0]

def smooth(v, rows, columns):
    y = torch.nn.functional.interpolate(torch.from_numpy(nchw(v)), (rows, columns), mode="bicubic", antialias=True)
    return y.numpy().transpose(0, 2, 3, 1)

mean, std = np.array([103.5, 116.25, 123.0], np.float32), np.array([57.0, 58.0, 59.0], np.float32)
caffe = lambda v: nchw((v[..., ::-1] * 255 - mean) / std).astype(np.float32)
grey = x @ np.array([0.299, 0.587, 0.114], np.float32)
wide = np.concatenate([x, np.ones((2, 4, 4, 1), np.float32)], 3)
out = {
    "first": run("first", nchw(x)), "bgr": run("first", caffe(x)), "last": run("last", x),
    "lastBgr": run("last", caffe(x).transpose(0, 2, 3, 1).copy()), "half": run("half", nchw(x).astype(np.float16)),
    "bytes": run("bytes", np.rint(x * 255).astype(np.uint8)), "pooled": run("pooled", nchw(x)).reshape(2, 3),
    "several": run("several", nchw(x)), "sigmoid": run("sigmoid", nchw(x)), "logit": run("logit", nchw(x)),
    "gray": run("gray", grey[:, None].astype(np.float32)), "sized": run("first", resize(large, 4, 4)),
    "enlarged": resize(large, 13, 20).transpose(0, 2, 3, 1), "reduced": resize(large, 4, 5).transpose(0, 2, 3, 1),
    "enlargedSmoothly": smooth(large, 11, 9), "reducedSmoothly": smooth(large, 4, 5),
}
json.dump({k: [float(f"{n:.7g}") for n in v.ravel()] for k, v in out.items()}, open(os.path.join(here, "preprocessing.json"), "w"))
