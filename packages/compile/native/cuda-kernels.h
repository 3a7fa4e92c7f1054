/*
 * Generated CUDA kernels as operators of ONNX Runtime's CUDA provider. A generated file defines CUDA_IMAGE (what NVRTC made), and
 * includes this one. The driver is opened where a session is made, and the image loaded once for all of its kernels.
 */
#ifndef DMAE_CUDA_KERNELS_H
#define DMAE_CUDA_KERNELS_H

#include <dlfcn.h>
#include <stdio.h>

#define OPERATOR_FIELDS                                                            \
  unsigned blocks, threads;  /* of the kernel */                                   \
  unsigned sums, sum_blocks; /* sums of columns, and blocks of 32 columns each; its second pass */ \
  void *functions[2];
#ifndef CUDA_DRIVER /* a test has its own */
#define CUDA_DRIVER "libcuda.so.1"
#define OPERATOR_PROVIDER "CUDAExecutionProvider"
#endif

#include "operators.h"

/* The driver's functions, by the names of its library. */
static struct {
  int (*cuInit)(unsigned);
  int (*cuDevicePrimaryCtxRetain)(void **context, int device);
  int (*cuCtxSetCurrent)(void *context);
  int (*cuModuleLoadData)(void **module, const void *image);
  int (*cuModuleUnload)(void *module);
  int (*cuModuleGetFunction)(void **function, void *module, const char *name);
  int (*cuLaunchKernel)(void *function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned shared,
                        void *stream, void **parameters, void **extra);
  int (*cuGetErrorString)(int error, const char **text);
} cuda;
static void *cuda_context, *cuda_module;
static size_t cuda_users;

static OrtStatus *cuda_failed(const char *call, int error) {
  const char *text = "unknown";
  char message[256];
  if (cuda.cuGetErrorString) cuda.cuGetErrorString(error, &text);
  snprintf(message, sizeof message, "CUDA failure %d: %s; %s", error, text, call);
  return ort_create_status(ort)(1, message);
}

#define CUDA_CALL(name, ...)                                        \
  do {                                                              \
    const int error = cuda.name(__VA_ARGS__);                       \
    if (error) return cuda_failed(#name, error);                    \
  } while (0)

/* Finds the driver's functions, and makes the context of the card that ONNX Runtime takes (the first). */
static OrtStatus *cuda_open(void) {
  static const char *names[] = {"cuInit", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent", "cuModuleLoadData",
                                "cuModuleUnload", "cuModuleGetFunction", "cuLaunchKernel", "cuGetErrorString"};
  if (cuda_context) return NULL;
  void *driver = dlopen(CUDA_DRIVER, RTLD_NOW | RTLD_LOCAL);
  if (!driver) return ort_create_status(ort)(1, dlerror());
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!(((void **)&cuda)[i] = dlsym(driver, names[i]))) return ort_create_status(ort)(1, dlerror());
  CUDA_CALL(cuInit, 0);
  CUDA_CALL(cuDevicePrimaryCtxRetain, &cuda_context, 0);
  return NULL;
}

/* The functions of one operator, of the module that is loaded with the first. */
static OrtStatus *cuda_functions(Operator *op) {
  char finish[128];
  snprintf(finish, sizeof finish, "%s_finish", op->name);
  CUDA_CALL(cuCtxSetCurrent, cuda_context);
  if (!cuda_module) CUDA_CALL(cuModuleLoadData, &cuda_module, CUDA_IMAGE);
  CUDA_CALL(cuModuleGetFunction, &op->functions[0], cuda_module, op->name);
  if (op->sums) CUDA_CALL(cuModuleGetFunction, &op->functions[1], cuda_module, finish);
  return NULL;
}

static OrtStatus *operator_create(const OrtCustomOp *op, Ort api, const void *info, void **kernel) {
  (void)api, (void)info;
  OrtStatus *status = cuda_open();
  if (!status) status = cuda_functions((Operator *)op);
  if (!status) cuda_users++;
  *kernel = (void *)op;
  return status;
}

static void operator_destroy(void *kernel) {
  (void)kernel;
  if (--cuda_users > 0 || cuda.cuCtxSetCurrent(cuda_context)) return;
  cuda.cuModuleUnload(cuda_module);
  cuda_module = NULL;
}

static OrtStatus *operator_compute(void *kernel, OrtKernelContext *context) {
  const Operator *op = kernel;
  void *operands[2 * MAX_OPERANDS], *parameters[] = {operands}, *stream;
  OrtStatus *status = operator_operands(op, context, operands, operands + op->inputs);
  if (!status) status = ort_kernel_stream(ort)(context, &stream);
  if (status) return status;
  CUDA_CALL(cuCtxSetCurrent, cuda_context);
  CUDA_CALL(cuLaunchKernel, op->functions[0], op->blocks, 1, 1, op->threads, 1, 1, 0, stream, parameters, NULL);
  if (op->sums)
    CUDA_CALL(cuLaunchKernel, op->functions[1], op->sum_blocks, op->sums, 1, 32, 32, 1, 0, stream, parameters, NULL);
  return NULL;
}

#endif
