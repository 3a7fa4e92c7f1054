"""Writes transformers/tiny-vit, an image classifier in the folder layout of Transformers.js: python make-transformers.py (onnx 1.19 or
later, numpy). Input pixel_values [N, 3, 8, 8], output logits [N, 4]: GlobalAveragePool, Flatten, Gemm; weights from seed 11."""
import json, os
import numpy as np, onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "transformers", "tiny-vit")
os.makedirs(os.path.join(folder, "onnx"), exist_ok=True)
rng = np.random.default_rng(11)
weights = {"w": rng.normal(0, 1, (4, 3)), "b": rng.normal(0, 0.1, 4)}
graph = h.make_graph(
    [h.make_node("GlobalAveragePool", ["pixel_values"], ["a"]), h.make_node("Flatten", ["a"], ["f"]),
     h.make_node("Gemm", ["f", "w", "b"], ["logits"], transB=1)], "tiny",
    [h.make_tensor_value_info("pixel_values", T.FLOAT, ["batch", 3, 8, 8])], [h.make_tensor_value_info("logits", T.FLOAT, ["batch", 4])],
    [nh.from_array(v.astype(np.float32), k) for k, v in weights.items()])
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, os.path.join(folder, "onnx", "model.onnx"))
labels = ["cat", "dog", "cow", "owl"]
files = {
    "config.json": {"model_type": "vit", "architectures": ["ViTForImageClassification"], "id2label": dict(enumerate(labels)), "label2id": {n: i for i, n in enumerate(labels)}},
    "preprocessor_config.json": {"image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": 8, "width": 8}, "resample": 2,
                                 "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
}
for name, content in files.items():
    with open(os.path.join(folder, name), "w") as file:
        json.dump(content, file, indent=1)
