// What the doctor asks of the real package, on the mock addon.
const binding = require("../lib/napi-v8/tfjs_binding.node");
const tensor = (values) => ({ values, dataSync: () => values });
exports.backend = () => ({ binding, isUsingGpuDevice: binding.isUsingGpuDevice() });
exports.tensor2d = (rows) => tensor(Float64Array.from(rows.flat()));
exports.matMul = (a, b) => {
  const out = new Float64Array(4);
  binding.multiply(a.values, b.values, out);
  return tensor(out);
};
