/*
 * What generated kernels stand on: elementary functions that compilers turn into vector code, and how ONNX Runtime runs a
 * kernel as an operator.
 */
#ifndef DMAE_KERNELS_H
#define DMAE_KERNELS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime.h"

static inline float bits_to_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* e^x to 1 ulp of float32: 2^n e^r with |r| <= ln 2 / 2; the power is applied in two halves, so that results below the
 * normal numbers and above the largest one come out right. */
static inline float kernel_exp(float x) {
  x = x < -105.0f ? -105.0f : x;
  x = x > 90.0f ? 90.0f : x;
  const float shifted = x * 1.44269504f + 12582912.0f; /* rounds to the nearest integer */
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.38678972e-3f;
  p = p * r + 8.37009959e-3f;
  p = p * r + 4.16672900e-2f;
  p = p * r + 1.66665167e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t whole = (int32_t)n, half = whole >> 1;
  const float low = bits_to_float((uint32_t)(half + 127) << 23);
  const float high = bits_to_float((uint32_t)(whole - half + 127) << 23);
  return p * low * high;
}

/* The error function to 1e-7: an odd polynomial up to 1, from there 1 - e^q(|x|); both fitted for the smallest largest
 * error. */
static inline float kernel_erf(float x) {
  const float z = x * x;
  float small = 9.04281405e-5f;
  small = small * z - 8.31960933e-4f;
  small = small * z + 5.21728676e-3f;
  small = small * z - 2.68656351e-2f;
  small = small * z + 1.12837903e-1f;
  small = small * z - 3.76126379e-1f;
  small = small * z + 1.12837923f;
  small = small * x;
  float a = fabsf(x);
  a = a > 4.0f ? 4.0f : a;
  float q = -1.92768985e-5f;
  q = q * a + 4.11597372e-4f;
  q = q * a - 4.05173237e-3f;
  q = q * a + 2.47837249e-2f;
  q = q * a - 1.07729413e-1f;
  q = q * a - 6.33874357e-1f;
  q = q * a - 1.12924147f;
  q = q * a + 1.15375507e-4f;
  const float large = copysignf(1.0f - kernel_exp(q), x);
  const float chosen = fabsf(x) > 1.0f ? large : small;
  return x != x ? x : chosen;
}

static inline float kernel_sigmoid(float x) { return 1.0f / (1.0f + kernel_exp(-x)); }
static inline float kernel_step(float x) { return x != x ? x : x > 0.0f ? 1.0f : 0.0f; }
static inline float kernel_max(float a, float b) { return a != a ? a : a > b ? a : b; }
static inline float kernel_min(float a, float b) { return a != a ? a : a < b ? a : b; }

static inline uint32_t float_to_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
/* To the nearest bfloat16, ties to even. */
static inline float kernel_round_bfloat16(float x) {
  const uint32_t bits = float_to_bits(x);
  const float rounded = bits_to_float((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u);
  return x != x ? NAN : rounded; /* a NaN whose upper half says so */
}
/* To the nearest float16, ties to even: to a multiple of its unit at the size of x, which below 2^-14 is 2^-24. */
static inline float kernel_round_float16(float x) {
  const float size = fabsf(x);
  const uint32_t exponent = float_to_bits(size < 6.103515625e-5f ? 6.103515625e-5f : size) & 0x7f800000u;
  const float unit = bits_to_float(exponent + (13u << 23)); /* adding it rounds to 2^-10 of the power of two */
  const float rounded = (size + unit) - unit;
  const float limited = rounded > 65504.0f ? INFINITY : rounded;
  return x != x ? x : copysignf(limited, x);
}

/* One run of a kernel: pointers of its operands, and room for the partial sums of its parts. */
typedef struct {
  const float **in;
  float **out, *partial;
} Call;

/* A kernel works on `parts` pieces, in any order and on any thread; `finish` adds up what they leave. */
#define OPERATOR_FIELDS                                    \
  void (*part)(void *call, size_t index);                  \
  void (*finish)(const Call *call);                        \
  size_t parts, partial; /* floats of room in all */
#define OPERATOR_PROVIDER NULL

#include "operators.h"

static OrtStatus *operator_create(const OrtCustomOp *op, Ort api, const void *info, void **kernel) {
  (void)api, (void)info;
  *kernel = (void *)op;
  return NULL;
}
static void operator_destroy(void *kernel) { (void)kernel; }

static OrtStatus *operator_compute(void *kernel, OrtKernelContext *context) {
  const Operator *op = kernel;
  const float *in[MAX_OPERANDS];
  float *out[MAX_OPERANDS];
  Call call = {in, out, NULL};
  OrtStatus *status = operator_operands(op, context, (void **)in, (void **)out);
  if (status) return status;
  if (op->partial && !(call.partial = calloc(op->partial, sizeof(float))))
    return ort_create_status(ort)(1, "no memory for partial sums");
  if (op->parts == 1) op->part(&call, 0);
  else status = ort_parallel_for(ort)(context, op->part, op->parts, 0, &call);
  if (op->finish && !status) op->finish(&call);
  free(call.partial);
  return status;
}

#endif
