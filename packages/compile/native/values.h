/* Values of Node and statuses of ONNX Runtime, read by the addon. */
#ifndef DMAE_VALUES_H
#define DMAE_VALUES_H

#include "node-values.h"
#include "onnxruntime.h"

static Ort ort;
static OrtEnv *environment;
static OrtMemoryInfo *memory; /* of arrays of Node */

static napi_value fail(napi_env env, const char *message) {
  napi_throw_error(env, NULL, message);
  return NULL;
}

/* Throws what a status says; true if there was nothing to say. */
static bool accept(napi_env env, OrtStatus *status) {
  if (!status) return true;
  napi_throw_error(env, NULL, ort_message(ort)(status));
  ort_release_status(ort)(status);
  return false;
}

static napi_value element(napi_env env, napi_value array, uint32_t i) {
  napi_value value = NULL;
  napi_get_element(env, array, i, &value);
  return value;
}

static uint32_t length_of(napi_env env, napi_value array) {
  uint32_t length = 0;
  napi_get_array_length(env, array, &length);
  return length;
}

static int64_t integer(napi_env env, napi_value value) {
  int64_t number = 0;
  napi_get_value_int64(env, value, &number);
  return number;
}

/* Bytes per element of Node's typed arrays: int8, uint8, uint8 clamped, int16, uint16, int32, uint32, float32, ... */
static size_t width_of(int kind) {
  static const size_t widths[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
  return kind >= 0 && kind < 11 ? widths[kind] : 0;
}

static void *bytes_of(napi_env env, napi_value array, size_t *bytes) {
  int kind = -1;
  size_t length = 0;
  void *data = NULL;
  if (napi_get_typedarray_info(env, array, &kind, &length, &data, NULL, NULL)) return NULL;
  *bytes = length * width_of(kind);
  return data;
}

#endif
