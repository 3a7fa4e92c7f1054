/*
 * Sessions of ONNX Runtime that know operators of our own, as a Node addon: onnxruntime-node cannot register any. It works
 * on the library that onnxruntime-node has installed.
 *
 *   open(library)                                        finds ONNX Runtime's functions
 *   create(model, inputs, outputs, settings, external, threads, operators, profile) -> session
 *   run(session, inputs, outputs) -> Promise             reads and writes the arrays in place, on a thread of libuv
 *   release(session)
 *   largeBlocksApart(yes)                                where malloc puts blocks from 1 MiB on
 *
 * inputs and outputs of create are [name, type, d0, d1, ...] each, settings [key, value, ...], external [name, bytes, ...];
 * those of run are typed arrays in the same order.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node-api.h"
#include "onnxruntime.h"

typedef struct {
  char *name;
  int type;
  int64_t shape[MAX_RANK];
  size_t rank, bytes;
} Port;

typedef struct {
  OrtSession *session;
  OrtCustomOpDomain *domain;
  void *operators;
  Port *ports[2]; /* inputs, outputs */
  size_t count[2];
  bool profiled;
  int running;
  bool closing, released;
} Session;

static Ort ort;
static OrtEnv *environment;
static OrtMemoryInfo *memory;

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

static char *text(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length)) return NULL;
  char *copy = malloc(length + 1);
  napi_get_value_string_utf8(env, value, copy, length + 1, &length);
  return copy;
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

static size_t size_of(int type) {
  return type == ORT_INT64 ? 8 : type == ORT_FLOAT || type == ORT_INT32 ? 4 : 1;
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

static napi_value open_library(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (ort) return NULL;
  char *path = text(env, argument);
  void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  free(path);
  if (!library) return fail(env, dlerror());
  const OrtApiBase *(*base)(void) = (const OrtApiBase *(*)(void))dlsym(library, "OrtGetApiBase");
  Ort found = base ? base()->GetApi(ORT_VERSION) : NULL;
  if (!found) return fail(env, "this ONNX Runtime has no interface of version 18");
  ort = found;
  if (!accept(env, ort_create_env(ort)(3, "dmae", &environment))) ort = NULL;
  else if (!accept(env, ort_create_memory_info(ort)(1, 0, &memory))) ort = NULL;
  return NULL;
}

static size_t read_ports(napi_env env, napi_value array, Port **ports) {
  const uint32_t count = length_of(env, array);
  *ports = calloc(count + 1, sizeof(Port));
  for (uint32_t i = 0; i < count; i++) {
    const napi_value entry = element(env, array, i);
    Port *port = &(*ports)[i];
    port->name = text(env, element(env, entry, 0));
    port->type = (int)integer(env, element(env, entry, 1));
    port->rank = length_of(env, entry) - 2;
    port->bytes = size_of(port->type);
    for (uint32_t d = 0; d < port->rank && d < MAX_RANK; d++)
      port->bytes *= (size_t)(port->shape[d] = integer(env, element(env, entry, d + 2)));
  }
  return count;
}

static void end(Session *session) {
  if (session->released || session->running) return;
  session->released = true;
  if (session->session) {
    if (session->profiled) {
      OrtAllocator *allocator;
      char *file = NULL;
      OrtStatus *status = ort_default_allocator(ort)(&allocator);
      if (!status) status = ort_end_profiling(ort)(session->session, allocator, &file);
      if (!status) status = ort_free(ort)(allocator, file);
      if (status) ort_release_status(ort)(status);
    }
    ort_release_session(ort)(session->session);
  }
  if (session->domain) ort_release_domain(ort)(session->domain);
  if (session->operators) dlclose(session->operators);
  for (int side = 0; side < 2; side++) {
    for (size_t i = 0; i < session->count[side]; i++) free(session->ports[side][i].name);
    free(session->ports[side]);
  }
}

static void finalize(napi_env env, void *data, void *hint) {
  Session *session = data;
  if (session->running) return; /* the process ends in the middle of a run */
  end(session);
  free(session);
}

/* Gives the options a domain with the operators of a library that kernels.h made. */
static bool add_operators(napi_env env, Session *session, OrtSessionOptions *options, const char *path) {
  session->operators = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!session->operators) return fail(env, dlerror()), false;
  const OrtCustomOp *(*operator_at)(Ort, size_t) =
      (const OrtCustomOp *(*)(Ort, size_t))dlsym(session->operators, "dmae_operator");
  if (!operator_at) return fail(env, "the library has no operators"), false;
  if (!accept(env, ort_create_domain(ort)("dmae.kernels", &session->domain))) return false;
  for (size_t i = 0;; i++) {
    const OrtCustomOp *operator= operator_at(ort, i);
    if (!operator) break;
    if (!accept(env, ort_domain_add(ort)(session->domain, operator))) return false;
  }
  return accept(env, ort_add_domain(ort)(options, session->domain));
}

static bool configure(napi_env env, OrtSessionOptions *options, napi_value settings, napi_value external) {
  bool good = true;
  for (uint32_t i = 0; good && i + 1 < length_of(env, settings); i += 2) {
    char *key = text(env, element(env, settings, i)), *value = text(env, element(env, settings, i + 1));
    good = accept(env, ort_add_config(ort)(options, key, value));
    free(key);
    free(value);
  }
  const uint32_t count = length_of(env, external) / 2;
  char **names = calloc(count + 1, sizeof *names), **data = calloc(count + 1, sizeof *data);
  size_t *lengths = calloc(count + 1, sizeof *lengths);
  for (uint32_t i = 0; i < count; i++) {
    names[i] = text(env, element(env, external, 2 * i));
    data[i] = bytes_of(env, element(env, external, 2 * i + 1), &lengths[i]);
  }
  if (good && count > 0)
    good = accept(env, ort_add_external(ort)(options, (const char *const *)names, data, lengths, count));
  for (uint32_t i = 0; i < count; i++) free(names[i]);
  free(names);
  free(data);
  free(lengths);
  return good;
}

static napi_value create(napi_env env, napi_callback_info info) {
  napi_value a[8];
  size_t count = 8, bytes = 0;
  napi_get_cb_info(env, info, &count, a, NULL, NULL);
  if (!ort) return fail(env, "open ONNX Runtime first");
  Session *session = calloc(1, sizeof *session);
  const void *model = bytes_of(env, a[0], &bytes);
  session->count[0] = read_ports(env, a[1], &session->ports[0]);
  session->count[1] = read_ports(env, a[2], &session->ports[1]);
  char *operators = text(env, a[6]), *profile = text(env, a[7]);
  OrtSessionOptions *options = NULL;
  bool good = accept(env, ort_create_options(ort)(&options)) && accept(env, ort_disable_memory_plan(ort)(options)) &&
              accept(env, ort_set_log_severity(ort)(options, 4)) &&
              accept(env, ort_set_threads(ort)(options, (int)integer(env, a[5]))) &&
              configure(env, options, a[3], a[4]) && add_operators(env, session, options, operators);
  session->profiled = good && profile && profile[0];
  if (session->profiled) good = accept(env, ort_enable_profiling(ort)(options, profile));
  good = good && accept(env, ort_create_session(ort)(environment, model, bytes, options, &session->session));
  if (options) ort_release_options(ort)(options);
  free(operators);
  free(profile);
  napi_value handle = NULL;
  if (good) napi_create_external(env, session, finalize, NULL, &handle);
  else {
    end(session);
    free(session);
  }
  return handle;
}

typedef struct {
  Session *session;
  OrtValue **values[2];
  napi_ref *arrays;
  size_t held;
  napi_ref handle;
  napi_deferred promise;
  napi_async_work work;
  OrtStatus *status;
} Job;

static void execute(napi_env env, void *data) {
  Job *job = data;
  const Session *session = job->session;
  const char **names[2];
  for (int side = 0; side < 2; side++) {
    names[side] = malloc((session->count[side] + 1) * sizeof(char *));
    for (size_t i = 0; i < session->count[side]; i++) names[side][i] = session->ports[side][i].name;
  }
  job->status = ort_run(ort)(session->session, NULL, names[0], (const OrtValue *const *)job->values[0],
                             session->count[0], names[1], session->count[1], job->values[1]);
  free(names[0]);
  free(names[1]);
}

/* Frees what a run holds. */
static void clear(napi_env env, Job *job) {
  for (int side = 0; side < 2; side++) {
    for (size_t i = 0; i < job->session->count[side]; i++)
      if (job->values[side][i]) ort_release_value(ort)(job->values[side][i]);
    free(job->values[side]);
  }
  for (size_t i = 0; i < job->held; i++) napi_delete_reference(env, job->arrays[i]);
  free(job->arrays);
  if (job->handle) napi_delete_reference(env, job->handle);
  if (job->work) napi_delete_async_work(env, job->work);
  if (job->status) ort_release_status(ort)(job->status);
  free(job);
}

static void complete(napi_env env, napi_status cancelled, void *data) {
  Job *job = data;
  Session *session = job->session;
  napi_value result;
  napi_get_undefined(env, &result);
  if (job->status || cancelled) {
    napi_value message;
    const char *reason = job->status ? ort_message(ort)(job->status) : "the run was cancelled";
    napi_create_string_utf8(env, reason, NAPI_AUTO_LENGTH, &message);
    napi_create_error(env, NULL, message, &result);
    napi_reject_deferred(env, job->promise, result);
  } else napi_resolve_deferred(env, job->promise, result);
  clear(env, job);
  session->running--;
  if (session->closing) end(session);
}

static napi_value run(napi_env env, napi_callback_info info) {
  napi_value a[3], name, promise;
  size_t count = 3;
  Session *session;
  napi_get_cb_info(env, info, &count, a, NULL, NULL);
  if (napi_get_value_external(env, a[0], (void **)&session) || session->closing)
    return fail(env, "the session was released");
  Job *job = calloc(1, sizeof *job);
  job->session = session;
  job->arrays = calloc(session->count[0] + session->count[1] + 1, sizeof(napi_ref));
  for (int side = 0; side < 2; side++) job->values[side] = calloc(session->count[side] + 1, sizeof(OrtValue *));
  for (int side = 0; side < 2; side++)
    for (size_t i = 0; i < session->count[side]; i++) {
      const Port *port = &session->ports[side][i];
      const napi_value array = element(env, a[1 + side], (uint32_t)i);
      size_t bytes = 0;
      void *data = bytes_of(env, array, &bytes);
      char message[256];
      snprintf(message, sizeof message, "%s needs an array of %zu bytes, got %zu", port->name, port->bytes, bytes);
      if (bytes != port->bytes) return clear(env, job), fail(env, message);
      napi_create_reference(env, array, 1, &job->arrays[job->held++]);
      if (!accept(env, ort_create_tensor(ort)(memory, data, bytes, port->shape, port->rank, port->type,
                                              &job->values[side][i])))
        return clear(env, job), NULL;
    }
  napi_create_reference(env, a[0], 1, &job->handle);
  napi_create_promise(env, &job->promise, &promise);
  napi_create_string_utf8(env, "dmae", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, execute, complete, job, &job->work);
  session->running++;
  napi_queue_async_work(env, job->work);
  return promise;
}

static napi_value release(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  Session *session;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (napi_get_value_external(env, argument, (void **)&session)) return NULL;
  session->closing = true;
  end(session);
  return NULL;
}

/*
 * Blocks of their own go back to the system when they are freed. Afterwards glibc's limits are as high as they become by
 * themselves when large blocks are freed.
 */
static napi_value large_blocks_apart(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  bool yes = false;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  napi_get_value_bool(env, argument, &yes);
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, yes ? 1 << 20 : 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
  return NULL;
}

static void publish(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value);
  napi_set_named_property(env, exports, name, value);
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  publish(env, exports, "open", open_library);
  publish(env, exports, "create", create);
  publish(env, exports, "run", run);
  publish(env, exports, "release", release);
  publish(env, exports, "largeBlocksApart", large_blocks_apart);
  return exports;
}
