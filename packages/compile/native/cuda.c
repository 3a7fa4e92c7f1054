/*
 * What a program needs of CUDA before its session is made, as a Node addon.
 *
 *   architecture() -> "sm_90"                              of the first card, by the driver
 *   version(nvrtc) -> "13.0"                               of the compiler library at this path
 *   compile(nvrtc, source, architecture) -> Uint8Array     machine code of a CUDA file
 */
#include <dlfcn.h>
#include <stdio.h>

#include "node-values.h"

static napi_value fail(napi_env env, const char *call, const char *reason) {
  char message[512];
  snprintf(message, sizeof message, "%s: %s", call, reason ? reason : "unknown");
  napi_throw_error(env, NULL, message);
  return NULL;
}

static napi_value answer(napi_env env, const char *form, int major, int minor) {
  char text[32];
  napi_value value = NULL;
  snprintf(text, sizeof text, form, major, minor);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return value;
}

static napi_value architecture(napi_env env, napi_callback_info info) {
  (void)info;
  void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!driver) return fail(env, "no NVIDIA driver", dlerror());
  int (*init)(unsigned) = (int (*)(unsigned))dlsym(driver, "cuInit");
  int (*attribute)(int *, int, int) = (int (*)(int *, int, int))dlsym(driver, "cuDeviceGetAttribute");
  int (*message)(int, const char **) = (int (*)(int, const char **))dlsym(driver, "cuGetErrorString");
  if (!init || !attribute || !message) return fail(env, "libcuda.so.1", dlerror());
  int numbers[2];
  int error = init(0);
  for (int i = 0; !error && i < 2; i++) error = attribute(&numbers[i], 75 + i, 0); /* the compute capability */
  const char *reason = NULL;
  if (error) return message(error, &reason), fail(env, "the NVIDIA driver finds no card", reason);
  return answer(env, "sm_%d%d", numbers[0], numbers[1]);
}

/* The functions of NVRTC. */
typedef struct {
  int (*version)(int *, int *);
  int (*create)(void **, const char *source, const char *name, int, const char *const *, const char *const *);
  int (*compile)(void *, int, const char *const *options);
  int (*log_size)(void *, size_t *);
  int (*log)(void *, char *);
  int (*size)(void *, size_t *);
  int (*code)(void *, char *);
  int (*destroy)(void **);
  const char *(*message)(int);
} Nvrtc;

/* NVRTC asks for its other half by name only, which then is the one beside it. */
static void open_builtins(const char *file, const Nvrtc *nvrtc) {
  int major = 0, minor = 0;
  char path[4096];
  const char *end = strrchr(file, '/');
  nvrtc->version(&major, &minor);
  snprintf(path, sizeof path, "%.*slibnvrtc-builtins.so.%d.%d", end ? (int)(end + 1 - file) : 0, file, major, minor);
  dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static bool open_nvrtc(napi_env env, napi_value path, Nvrtc *nvrtc) {
  static const char *names[] = {"nvrtcVersion", "nvrtcCreateProgram", "nvrtcCompileProgram", "nvrtcGetProgramLogSize",
                                "nvrtcGetProgramLog", "nvrtcGetCUBINSize", "nvrtcGetCUBIN", "nvrtcDestroyProgram",
                                "nvrtcGetErrorString"};
  char *file = text(env, path);
  void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  bool good = library != NULL;
  for (size_t i = 0; good && i < sizeof names / sizeof *names; i++)
    good = (((void **)nvrtc)[i] = dlsym(library, names[i])) != NULL;
  if (good) open_builtins(file, nvrtc);
  else fail(env, "NVRTC", dlerror());
  free(file);
  return good;
}

static napi_value version(napi_env env, napi_callback_info info) {
  napi_value path;
  size_t count = 1;
  int major = 0, minor = 0;
  Nvrtc nvrtc;
  napi_get_cb_info(env, info, &count, &path, NULL, NULL);
  if (!open_nvrtc(env, path, &nvrtc)) return NULL;
  nvrtc.version(&major, &minor);
  return answer(env, "%d.%d", major, minor);
}

/* Throws what the compiler printed, or else what its error means. */
static napi_value refuse(napi_env env, const Nvrtc *nvrtc, void *program, int error) {
  size_t size = 0;
  char *log = NULL;
  if (program && !nvrtc->log_size(program, &size) && size > 1 && (log = calloc(size + 1, 1))) nvrtc->log(program, log);
  fail(env, nvrtc->message(error), log ? log : "NVRTC printed nothing");
  free(log);
  return NULL;
}

static napi_value compile(napi_env env, napi_callback_info info) {
  napi_value a[3], code = NULL;
  size_t count = 3, size = 0;
  Nvrtc nvrtc;
  napi_get_cb_info(env, info, &count, a, NULL, NULL);
  if (!open_nvrtc(env, a[0], &nvrtc)) return NULL;
  char *source = text(env, a[1]), *target = text(env, a[2]), option[64];
  snprintf(option, sizeof option, "--gpu-architecture=%s", target);
  const char *options[] = {option, "--std=c++17"};
  void *program = NULL, *data = NULL;
  int error = nvrtc.create(&program, source, "kernels.cu", 0, NULL, NULL);
  if (!error) error = nvrtc.compile(program, 2, options);
  if (!error) error = nvrtc.size(program, &size);
  if (error) refuse(env, &nvrtc, program, error);
  else if (!napi_create_buffer(env, size, &data, &code)) nvrtc.code(program, data);
  if (program) nvrtc.destroy(&program);
  free(source);
  free(target);
  return code;
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  publish(env, exports, "architecture", architecture);
  publish(env, exports, "version", version);
  publish(env, exports, "compile", compile);
  return exports;
}
