/*
 * Runs of sessions and copies between host and device, as promises. A bound run has its places prepared, and takes the one
 * thread that bound runs share: the CUDA provider keeps a context, and its CUDA graphs, per thread. Others take libuv's.
 */
#ifndef DMAE_RUNS_H
#define DMAE_RUNS_H

#include <pthread.h>

#include "blocks.h"

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

static void end(Session *session);

/* Inputs and outputs of a session, and what must outlive them. */
typedef struct {
  Session *session;
  OrtValue **values[2];
  size_t count[2];
  napi_ref *held;
  size_t holds;
} Binding;

typedef struct Job Job;
struct Job {
  OrtStatus *(*perform)(const Job *);
  Session *session;
  Binding *binding; /* of a run */
  bool owns;
  char graph[16];
  Place from, to; /* of a copy */
  size_t bytes;
  napi_ref held[3];
  napi_deferred promise;
  napi_async_work work;
  napi_threadsafe_function done;
  OrtStatus *status;
  Job *next;
};

static void unbind(napi_env env, Binding *binding) {
  for (int side = 0; side < 2; side++) {
    for (size_t i = 0; i < binding->count[side]; i++)
      if (binding->values[side][i]) ort_release_value(ort)(binding->values[side][i]);
    free(binding->values[side]);
  }
  for (size_t i = 0; i < binding->holds; i++) napi_delete_reference(env, binding->held[i]);
  free(binding->held);
  free(binding);
}

static void finalize_binding(napi_env env, void *data, void *hint) { unbind(env, data); }

/* Binds the places of all inputs and outputs; NULL, with an error thrown, if one does not fit. */
static Binding *bind_places(napi_env env, napi_value handle, Session *session, const napi_value *places) {
  Binding *binding = calloc(1, sizeof *binding);
  binding->session = session;
  binding->held = calloc(session->count[0] + session->count[1] + 1, sizeof(napi_ref));
  for (int side = 0; side < 2; side++) {
    binding->count[side] = session->count[side];
    binding->values[side] = calloc(session->count[side] + 1, sizeof(OrtValue *));
  }
  napi_create_reference(env, handle, 1, &binding->held[binding->holds++]);
  for (int side = 0; side < 2; side++)
    for (size_t i = 0; i < session->count[side]; i++) {
      const Port *port = &session->ports[side][i];
      Place place;
      if (!read_place(env, element(env, places[side], (uint32_t)i), port->name, port->bytes, &place))
        return unbind(env, binding), NULL;
      napi_create_reference(env, place.owner, 1, &binding->held[binding->holds++]);
      if (!accept(env, ort_create_tensor(ort)(place.info, place.data, port->bytes, port->shape, port->rank, port->type,
                                              &binding->values[side][i])))
        return unbind(env, binding), NULL;
    }
  return binding;
}

/* Runs a session. Values that lie on another device than their operator are copied there and back by ONNX Runtime. */
static OrtStatus *perform_run(const Job *job) {
  const Session *session = job->session;
  const char **names[2];
  OrtRunOptions *options = NULL;
  OrtStatus *status = job->graph[0] ? ort_create_run_options(ort)(&options) : NULL;
  if (options && !status) status = ort_add_run_config(ort)(options, "gpu_graph_id", job->graph);
  for (int side = 0; side < 2; side++) {
    names[side] = malloc((session->count[side] + 1) * sizeof(char *));
    for (size_t i = 0; i < session->count[side]; i++) names[side][i] = session->ports[side][i].name;
  }
  if (!status)
    status = ort_run(ort)(session->session, options, names[0], (const OrtValue *const *)job->binding->values[0],
                          session->count[0], names[1], session->count[1], job->binding->values[1]);
  if (options) ort_release_run_options(ort)(options);
  free(names[0]);
  free(names[1]);
  return status;
}

/* Copies by running a session that hands on the bytes it is given, in pieces that bound what it allocates. */
static OrtStatus *perform_copy(const Job *job) {
  const size_t most = (size_t)32 << 20;
  const Session *session = job->session;
  const char *const names[2] = {session->ports[0][0].name, session->ports[1][0].name};
  OrtStatus *status = NULL;
  for (size_t done = 0; !status && done < job->bytes; done += most) {
    const size_t bytes = job->bytes - done < most ? job->bytes - done : most;
    const int64_t shape[1] = {(int64_t)bytes};
    OrtValue *from = NULL, *to = NULL;
    status = ort_create_tensor(ort)(job->from.info, job->from.data + done, bytes, shape, 1, ORT_UINT8, &from);
    if (!status) status = ort_create_tensor(ort)(job->to.info, job->to.data + done, bytes, shape, 1, ORT_UINT8, &to);
    if (!status)
      status = ort_run(ort)(session->session, NULL, &names[0], (const OrtValue *const *)&from, 1, &names[1], 1, &to);
    if (from) ort_release_value(ort)(from);
    if (to) ort_release_value(ort)(to);
  }
  return status;
}

static void finish(napi_env env, Job *job, const char *cancelled) {
  Session *session = job->session;
  napi_value result;
  napi_get_undefined(env, &result);
  if (job->status || cancelled) {
    napi_value message;
    const char *reason = job->status ? ort_message(ort)(job->status) : cancelled;
    napi_create_string_utf8(env, reason, NAPI_AUTO_LENGTH, &message);
    napi_create_error(env, NULL, message, &result);
    napi_reject_deferred(env, job->promise, result);
  } else napi_resolve_deferred(env, job->promise, result);
  if (job->owns) unbind(env, job->binding);
  for (int i = 0; i < 3; i++)
    if (job->held[i]) napi_delete_reference(env, job->held[i]);
  if (job->work) napi_delete_async_work(env, job->work);
  if (job->status) ort_release_status(ort)(job->status);
  free(job);
  session->running--;
  if (session->closing) end(session);
}

static Job *new_job(napi_env env, Session *session, napi_value handle, napi_value *promise) {
  Job *job = calloc(1, sizeof *job);
  job->session = session;
  napi_create_reference(env, handle, 1, &job->held[0]);
  napi_create_promise(env, &job->promise, promise);
  session->running++;
  return job;
}

static void execute(napi_env env, void *data) {
  Job *job = data;
  job->status = job->perform(job);
}

static void complete(napi_env env, napi_status cancelled, void *data) {
  finish(env, data, cancelled ? "the run was cancelled" : NULL);
}

static void start_on_pool(napi_env env, Job *job) {
  napi_value name;
  napi_create_string_utf8(env, "dmae", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, execute, complete, job, &job->work);
  napi_queue_async_work(env, job->work);
}

static struct {
  pthread_mutex_t lock;
  pthread_cond_t more;
  Job *first, *last;
  bool started;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void *work_through(void *unused) {
  for (;;) {
    pthread_mutex_lock(&queue.lock);
    while (!queue.first) pthread_cond_wait(&queue.more, &queue.lock);
    Job *job = queue.first;
    queue.first = job->next;
    pthread_mutex_unlock(&queue.lock);
    const napi_threadsafe_function done = job->done;
    job->status = job->perform(job);
    napi_call_threadsafe_function(done, job, 1);
    napi_release_threadsafe_function(done, 0);
  }
  return unused;
}

static void complete_bound(napi_env env, napi_value function, void *context, void *data) {
  if (env) finish(env, data, NULL);
}

static bool start_on_thread(napi_env env, Job *job) {
  napi_value name;
  pthread_t thread;
  napi_create_string_utf8(env, "dmae", NAPI_AUTO_LENGTH, &name);
  napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, NULL, complete_bound, &job->done);
  pthread_mutex_lock(&queue.lock);
  if (!queue.started) {
    queue.started = !pthread_create(&thread, NULL, work_through, NULL);
    if (queue.started) pthread_detach(thread);
  }
  if (queue.started) {
    if (queue.first) queue.last->next = job;
    else queue.first = job;
    queue.last = job;
    pthread_cond_signal(&queue.more);
  }
  pthread_mutex_unlock(&queue.lock);
  if (!queue.started) {
    napi_release_threadsafe_function(job->done, 1);
    finish(env, job, "the system gave no thread");
  }
  return queue.started;
}

#endif
