/*
 * Sessions of ONNX Runtime that know operators of our own, as a Node addon: onnxruntime-node cannot register any. It works
 * on the library that onnxruntime-node has installed.
 *
 *   open(library)                                        finds ONNX Runtime's functions
 *   create(model, inputs, outputs, settings, external, threads, operators, profile, cuda, level) -> session
 *   run(session, inputs, outputs) -> Promise             reads and writes the arrays in place, on a thread of libuv
 *   release(session)
 *   allocate(session, memory, device, bytes) -> block    memory of a device, freed by free(block)
 *   hostMemory(session, memory, device, bytes) -> ArrayBuffer
 *   copy(session, from, to, bytes) -> Promise            between places, by a session that hands on bytes
 *   bind(session, inputs, outputs) -> binding            places of all inputs and outputs
 *   runBound(session, binding, graph) -> Promise         graph: the id of a CUDA graph, "-1" for none
 *   largeBlocksApart(yes)                                where malloc puts blocks from 1 MiB on
 *
 * inputs and outputs of create are [name, type, d0, d1, ...] each, settings and cuda [key, value, ...], external
 * [name, bytes, ...]; those of run and bind are places (blocks.h) in the same order. operators: the path of a library of
 * operators, or "". cuda: options of the CUDA provider, null for the CPU.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runs.h"

static size_t size_of(int type) {
  return type == ORT_INT64 ? 8 : type == ORT_FLOAT || type == ORT_INT32 ? 4 : 1;
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
  if (!path || !path[0]) return true;
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

/* Puts the CUDA provider in front of the CPU's. */
static bool append_cuda(napi_env env, OrtSessionOptions *options, napi_value settings) {
  bool is_array = false;
  OrtCudaOptions *cuda = NULL;
  napi_is_array(env, settings, &is_array);
  if (!is_array) return true;
  const uint32_t count = length_of(env, settings) / 2;
  char **keys = calloc(count + 1, sizeof *keys), **values = calloc(count + 1, sizeof *values);
  for (uint32_t i = 0; i < count; i++) {
    keys[i] = text(env, element(env, settings, 2 * i));
    values[i] = text(env, element(env, settings, 2 * i + 1));
  }
  const bool good =
      accept(env, ort_create_cuda_options(ort)(&cuda)) &&
      accept(env, ort_update_cuda_options(ort)(cuda, (const char *const *)keys, (const char *const *)values, count)) &&
      accept(env, ort_append_cuda(ort)(options, cuda));
  if (cuda) ort_release_cuda_options(ort)(cuda);
  for (uint32_t i = 0; i < count; i++) free(keys[i]), free(values[i]);
  free(keys);
  free(values);
  return good;
}

static napi_value create(napi_env env, napi_callback_info info) {
  napi_value a[10];
  size_t count = 10, bytes = 0;
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
              accept(env, ort_set_level(ort)(options, (int)integer(env, a[9]))) &&
              configure(env, options, a[3], a[4]) && append_cuda(env, options, a[8]) &&
              add_operators(env, session, options, operators);
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

/* The open session of a handle; NULL, with an error thrown, if it was released. */
static Session *session_of(napi_env env, napi_value handle) {
  Session *session = NULL;
  if (!napi_get_value_external(env, handle, (void **)&session) && !session->closing) return session;
  return fail(env, "the session was released"), NULL;
}

static napi_value run(napi_env env, napi_callback_info info) {
  napi_value a[3], promise = NULL;
  size_t count = 3;
  napi_get_cb_info(env, info, &count, a, NULL, NULL);
  Session *session = session_of(env, a[0]);
  Binding *binding = session ? bind_places(env, a[0], session, a + 1) : NULL;
  if (!binding) return NULL;
  Job *job = new_job(env, session, a[0], &promise);
  job->perform = perform_run;
  job->binding = binding;
  job->owns = true;
  start_on_pool(env, job);
  return promise;
}

static napi_value bind(napi_env env, napi_callback_info info) {
  napi_value a[3], handle = NULL;
  size_t count = 3;
  napi_get_cb_info(env, info, &count, a, NULL, NULL);
  Session *session = session_of(env, a[0]);
  Binding *binding = session ? bind_places(env, a[0], session, a + 1) : NULL;
  if (binding) napi_create_external(env, binding, finalize_binding, NULL, &handle);
  return handle;
}

static napi_value run_bound(napi_env env, napi_callback_info info) {
  napi_value a[3], promise = NULL;
  size_t count = 3, length = 0;
  Binding *binding = NULL;
  napi_get_cb_info(env, info, &count, a, NULL, NULL);
  Session *session = session_of(env, a[0]);
  if (!session) return NULL;
  if (napi_get_value_external(env, a[1], (void **)&binding) || binding->session != session)
    return fail(env, "the binding is one of another session");
  Job *job = new_job(env, session, a[0], &promise);
  job->perform = perform_run;
  job->binding = binding;
  napi_create_reference(env, a[1], 1, &job->held[1]);
  napi_get_value_string_utf8(env, a[2], job->graph, sizeof job->graph, &length);
  start_on_thread(env, job);
  return promise;
}

static napi_value copy(napi_env env, napi_callback_info info) {
  napi_value a[4], promise = NULL;
  size_t count = 4;
  Place from, to;
  napi_get_cb_info(env, info, &count, a, NULL, NULL);
  Session *session = session_of(env, a[0]);
  if (!session) return NULL;
  const size_t bytes = (size_t)integer(env, a[3]);
  if (!read_place(env, a[1], "the source", bytes, &from) || !read_place(env, a[2], "the target", bytes, &to)) return NULL;
  Job *job = new_job(env, session, a[0], &promise);
  job->perform = perform_copy;
  job->from = from;
  job->to = to;
  job->bytes = bytes;
  napi_create_reference(env, from.owner, 1, &job->held[1]);
  napi_create_reference(env, to.owner, 1, &job->held[2]);
  start_on_pool(env, job);
  return promise;
}

static Block *block_for(napi_env env, napi_callback_info info) {
  napi_value a[4];
  size_t count = 4;
  napi_get_cb_info(env, info, &count, a, NULL, NULL);
  Session *session = session_of(env, a[0]);
  char *name = session ? text(env, a[1]) : NULL;
  Block *block = name ? allocate_block(env, session->session, name, integer(env, a[2]), integer(env, a[3])) : NULL;
  free(name);
  return block;
}

static napi_value allocate(napi_env env, napi_callback_info info) {
  napi_value handle = NULL;
  Block *block = block_for(env, info);
  if (block) napi_create_external(env, block, finalize_block, NULL, &handle);
  return handle;
}

static napi_value host_memory(napi_env env, napi_callback_info info) {
  napi_value buffer = NULL;
  Block *block = block_for(env, info);
  if (block && napi_create_external_arraybuffer(env, block->data, block->bytes, finalize_block, block, &buffer))
    finalize_block(env, block, NULL);
  return buffer;
}

static napi_value free_memory(napi_env env, napi_callback_info info) {
  Block *block = handle_of(env, info);
  if (block) free_block(block);
  return NULL;
}

static napi_value release(napi_env env, napi_callback_info info) {
  Session *session = handle_of(env, info);
  if (!session) return NULL;
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

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  publish(env, exports, "open", open_library);
  publish(env, exports, "create", create);
  publish(env, exports, "run", run);
  publish(env, exports, "release", release);
  publish(env, exports, "allocate", allocate);
  publish(env, exports, "hostMemory", host_memory);
  publish(env, exports, "free", free_memory);
  publish(env, exports, "copy", copy);
  publish(env, exports, "bind", bind);
  publish(env, exports, "runBound", run_bound);
  publish(env, exports, "largeBlocksApart", large_blocks_apart);
  return exports;
}
