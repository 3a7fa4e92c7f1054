#include <node_api.h>
#include "tensorflow/c/c_api.h"

extern "C" void mock_multiply(const double *a, const double *b, double *out);

static napi_value is_using_gpu_device(napi_env env, napi_callback_info) {
  napi_value no;
  napi_get_boolean(env, false, &no);
  return no;
}

// multiply(Float64Array(4), Float64Array(4), out: Float64Array(4))
static napi_value multiply(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value values[3];
  double *data[3];
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  for (int i = 0; i < 3; i++)
    napi_get_typedarray_info(env, values[i], nullptr, nullptr, (void **)&data[i], nullptr, nullptr);
  mock_multiply(data[0], data[1], data[2]);
  return nullptr;
}

static napi_value init(napi_env env, napi_value exports) {
  napi_value version;
  napi_create_string_utf8(env, TF_Version(), NAPI_AUTO_LENGTH, &version);
  napi_property_descriptor properties[] = {
      {"TF_Version", nullptr, nullptr, nullptr, nullptr, version, napi_default, nullptr},
      {"isUsingGpuDevice", nullptr, is_using_gpu_device, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"multiply", nullptr, multiply, nullptr, nullptr, nullptr, napi_default, nullptr},
  };
  napi_define_properties(env, exports, 3, properties);
  return exports;
}

NAPI_MODULE(tfjs_binding, init)
