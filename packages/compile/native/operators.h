/*
 * The table through which ONNX Runtime sees kernels as operators. Whoever includes this defines OPERATOR_FIELDS (of a kernel)
 * and OPERATOR_PROVIDER (where it runs) before, operator_create, operator_destroy and operator_compute after it. A generated
 * file then defines its kernels, lists them in `static Operator operators[]` and ends with DMAE_OPERATORS.
 */
#ifndef DMAE_OPERATORS_H
#define DMAE_OPERATORS_H

#include "onnxruntime.h"

enum { MAX_OPERANDS = 64 };

/* A kernel as an operator. */
typedef struct {
  OrtCustomOp base;
  const char *name;
  size_t inputs, outputs;
  const int64_t (*shapes)[MAX_RANK + 1]; /* of the outputs: rank, then sizes */
  const int *types;                      /* of inputs, then outputs */
  size_t (*overwrites)(int **inputs, int **outputs);
  OPERATOR_FIELDS
} Operator;

static Ort ort;

static const Operator *operator_of(const OrtCustomOp *op) { return (const Operator *)op; }
static const char *operator_name(const OrtCustomOp *op) { return operator_of(op)->name; }
static const char *operator_provider(const OrtCustomOp *op) { return (void)op, OPERATOR_PROVIDER; }
static size_t operator_inputs(const OrtCustomOp *op) { return operator_of(op)->inputs; }
static size_t operator_outputs(const OrtCustomOp *op) { return operator_of(op)->outputs; }
static int operator_input_type(const OrtCustomOp *op, size_t i) { return operator_of(op)->types[i]; }
static int operator_output_type(const OrtCustomOp *op, size_t i) {
  return operator_of(op)->types[operator_of(op)->inputs + i];
}
static int operator_zero(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, 0; }
static int operator_one(const OrtCustomOp *op) { return (void)op, 1; }
static void operator_keep(int *a, int *b) { (void)a, (void)b; }

/* Where the operands of a run lie; makes the outputs. */
static OrtStatus *operator_operands(const Operator *op, OrtKernelContext *context, void **in, void **out) {
  OrtStatus *status = NULL;
  for (size_t i = 0; !status && i < op->inputs; i++) {
    const OrtValue *value;
    status = ort_kernel_input(ort)(context, i, &value);
    if (!status) status = ort_tensor_data(ort)((OrtValue *)value, &in[i]);
  }
  for (size_t i = 0; !status && i < op->outputs; i++) {
    OrtValue *value;
    status = ort_kernel_output(ort)(context, i, op->shapes[i] + 1, (size_t)op->shapes[i][0], &value);
    if (!status) status = ort_tensor_data(ort)(value, &out[i]);
  }
  return status;
}

#define DMAE_OPERATORS                                                                                   \
  __attribute__((visibility("default"))) const OrtCustomOp *dmae_operator(Ort api, size_t i) {           \
    ort = api;                                                                                           \
    if (i >= sizeof operators / sizeof *operators) return NULL;                                          \
    const OrtCustomOp base = {                                                                           \
        .version = ORT_VERSION, .name = operator_name, .provider = operator_provider,                    \
        .input_type = operator_input_type, .input_count = operator_inputs,                               \
        .output_type = operator_output_type, .output_count = operator_outputs,                           \
        .destroy = operator_destroy, .input_characteristic = operator_zero,                              \
        .output_characteristic = operator_zero, .input_memory = operator_zero,                           \
        .variadic = {operator_one, operator_one, operator_one, operator_one},                            \
        .create_checked = operator_create, .compute_checked = operator_compute,                          \
        .overwrites = operators[i].overwrites, .release_overwrites = operator_keep};                     \
    operators[i].base = base;                                                                            \
    return &operators[i].base;                                                                           \
  }

#endif
