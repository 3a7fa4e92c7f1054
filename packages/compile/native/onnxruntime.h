/*
 * The part of ONNX Runtime's C interface that we call. Its functions stand in a table whose order never changes
 * (onnxruntime_c_api.h, ORT_API_VERSION 18 and later); the numbers below are places in that table. Nothing of ONNX
 * Runtime is needed to compile this.
 */
#ifndef DMAE_ONNXRUNTIME_H
#define DMAE_ONNXRUNTIME_H

#include <stddef.h>
#include <stdint.h>

enum { ORT_VERSION = 18 };

/* Tensors have at most so many axes here. */
enum { MAX_RANK = 15 };

/* Element types of tensors. */
enum { ORT_FLOAT = 1, ORT_UINT8 = 2, ORT_INT8 = 3, ORT_INT32 = 6, ORT_INT64 = 7, ORT_BOOL = 9 };

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtCUDAProviderOptionsV2 OrtCudaOptions;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtSession OrtSession;
typedef struct OrtValue OrtValue;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtCustomOp OrtCustomOp;

/* The table of functions, and what gives it. */
typedef void *const *Ort;
typedef struct { Ort (*GetApi)(uint32_t version); const char *(*GetVersionString)(void); } OrtApiBase;

#define ORT_CALL(ort, place, result, ...) ((result (*)(__VA_ARGS__))(ort)[place])

#define ort_message(ort) ORT_CALL(ort, 2, const char *, const OrtStatus *)
#define ort_create_status(ort) ORT_CALL(ort, 0, OrtStatus *, int, const char *)
#define ort_create_env(ort) ORT_CALL(ort, 3, OrtStatus *, int, const char *, OrtEnv **)
#define ort_create_session(ort) \
  ORT_CALL(ort, 8, OrtStatus *, const OrtEnv *, const void *, size_t, const OrtSessionOptions *, OrtSession **)
#define ort_run(ort) \
  ORT_CALL(ort, 9, OrtStatus *, OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *, size_t, \
           const char *const *, size_t, OrtValue **)
#define ort_create_options(ort) ORT_CALL(ort, 10, OrtStatus *, OrtSessionOptions **)
#define ort_enable_profiling(ort) ORT_CALL(ort, 14, OrtStatus *, OrtSessionOptions *, const char *)
#define ort_disable_memory_plan(ort) ORT_CALL(ort, 17, OrtStatus *, OrtSessionOptions *)
#define ort_set_log_severity(ort) ORT_CALL(ort, 22, OrtStatus *, OrtSessionOptions *, int)
#define ort_set_level(ort) ORT_CALL(ort, 23, OrtStatus *, OrtSessionOptions *, int)
#define ort_set_threads(ort) ORT_CALL(ort, 24, OrtStatus *, OrtSessionOptions *, int)
#define ort_create_domain(ort) ORT_CALL(ort, 26, OrtStatus *, const char *, OrtCustomOpDomain **)
#define ort_domain_add(ort) ORT_CALL(ort, 27, OrtStatus *, OrtCustomOpDomain *, const OrtCustomOp *)
#define ort_add_domain(ort) ORT_CALL(ort, 28, OrtStatus *, OrtSessionOptions *, OrtCustomOpDomain *)
#define ort_create_run_options(ort) ORT_CALL(ort, 39, OrtStatus *, OrtRunOptions **)
#define ort_create_tensor(ort) \
  ORT_CALL(ort, 49, OrtStatus *, const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t, int, OrtValue **)
#define ort_tensor_data(ort) ORT_CALL(ort, 51, OrtStatus *, OrtValue *, void **)
#define ort_create_device_info(ort) \
  ORT_CALL(ort, 68, OrtStatus *, const char *, int, int, int, OrtMemoryInfo **)
#define ort_create_memory_info(ort) ORT_CALL(ort, 69, OrtStatus *, int, int, OrtMemoryInfo **)
#define ort_allocate(ort) ORT_CALL(ort, 75, OrtStatus *, OrtAllocator *, size_t, void **)
#define ort_free(ort) ORT_CALL(ort, 76, OrtStatus *, OrtAllocator *, void *)
#define ort_default_allocator(ort) ORT_CALL(ort, 78, OrtStatus *, OrtAllocator **)
#define ort_kernel_input(ort) ORT_CALL(ort, 90, OrtStatus *, const OrtKernelContext *, size_t, const OrtValue **)
#define ort_kernel_output(ort) \
  ORT_CALL(ort, 91, OrtStatus *, OrtKernelContext *, size_t, const int64_t *, size_t, OrtValue **)
#define ort_release_status(ort) ORT_CALL(ort, 93, void, OrtStatus *)
#define ort_release_memory_info(ort) ORT_CALL(ort, 94, void, OrtMemoryInfo *)
#define ort_release_session(ort) ORT_CALL(ort, 95, void, OrtSession *)
#define ort_release_value(ort) ORT_CALL(ort, 96, void, OrtValue *)
#define ort_release_run_options(ort) ORT_CALL(ort, 97, void, OrtRunOptions *)
#define ort_release_options(ort) ORT_CALL(ort, 100, void, OrtSessionOptions *)
#define ort_release_domain(ort) ORT_CALL(ort, 101, void, OrtCustomOpDomain *)
#define ort_end_profiling(ort) ORT_CALL(ort, 110, OrtStatus *, OrtSession *, OrtAllocator *, char **)
#define ort_add_config(ort) ORT_CALL(ort, 130, OrtStatus *, OrtSessionOptions *, const char *, const char *)
#define ort_create_allocator(ort) \
  ORT_CALL(ort, 131, OrtStatus *, const OrtSession *, const OrtMemoryInfo *, OrtAllocator **)
#define ort_release_allocator(ort) ORT_CALL(ort, 132, void, OrtAllocator *)
#define ort_add_run_config(ort) ORT_CALL(ort, 165, OrtStatus *, OrtRunOptions *, const char *, const char *)
#define ort_kernel_stream(ort) ORT_CALL(ort, 193, OrtStatus *, const OrtKernelContext *, void **)
#define ort_append_cuda(ort) ORT_CALL(ort, 204, OrtStatus *, OrtSessionOptions *, const OrtCudaOptions *)
#define ort_create_cuda_options(ort) ORT_CALL(ort, 205, OrtStatus *, OrtCudaOptions **)
#define ort_update_cuda_options(ort) \
  ORT_CALL(ort, 206, OrtStatus *, OrtCudaOptions *, const char *const *, const char *const *, size_t)
#define ort_release_cuda_options(ort) ORT_CALL(ort, 208, void, OrtCudaOptions *)
#define ort_parallel_for(ort) \
  ORT_CALL(ort, 274, OrtStatus *, const OrtKernelContext *, void (*)(void *, size_t), size_t, size_t, void *)
#define ort_add_external(ort) \
  ORT_CALL(ort, 279, OrtStatus *, OrtSessionOptions *, const char *const *, char *const *, const size_t *, size_t)

/* An operator of our own: what ONNX Runtime asks of it, in the order of its declaration. */
struct OrtCustomOp {
  uint32_t version;
  void *(*create)(const OrtCustomOp *, Ort, const void *);
  const char *(*name)(const OrtCustomOp *);
  const char *(*provider)(const OrtCustomOp *);
  int (*input_type)(const OrtCustomOp *, size_t);
  size_t (*input_count)(const OrtCustomOp *);
  int (*output_type)(const OrtCustomOp *, size_t);
  size_t (*output_count)(const OrtCustomOp *);
  void (*compute)(void *, OrtKernelContext *);
  void (*destroy)(void *);
  int (*input_characteristic)(const OrtCustomOp *, size_t);
  int (*output_characteristic)(const OrtCustomOp *, size_t);
  int (*input_memory)(const OrtCustomOp *, size_t);
  int (*variadic[4])(const OrtCustomOp *);
  OrtStatus *(*create_checked)(const OrtCustomOp *, Ort, const void *, void **);
  OrtStatus *(*compute_checked)(void *, OrtKernelContext *);
  void *shapes_and_versions[3];
  size_t (*overwrites)(int **inputs, int **outputs); /* pairs: this output may take the buffer of that input */
  void (*release_overwrites)(int *, int *);
  void *aliases[2];
};

#endif
