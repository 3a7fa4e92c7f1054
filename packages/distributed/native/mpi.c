/*
 * MPI for Node: one thread calls MPI, one operation after another; each operation ends as a promise.
 * Compiled by mpicc when it is first used.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <mpi.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node-api.h"

enum { INIT, ALL_REDUCE, BROADCAST, BARRIER, FINALIZE };

/*
 * Elements in one call of MPI. On one machine 4 MiB stay in the cache while ranks read and add them: nine times the
 * speed of one call for 427 MiB with Open MPI 4.1. Between machines fewer, larger messages wait less.
 */
#define LOCAL_BUCKET ((size_t)1 << 20)
#define REMOTE_BUCKET ((size_t)1 << 23)

typedef struct Task {
  int kind;
  char *data;
  size_t count;
  int element; /* bytes */
  MPI_Datatype type;
  MPI_Op operation;
  int root;
  int status;
  napi_deferred deferred;
  napi_ref lent; /* keeps the array alive */
  struct Task *next;
} Task;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static Task *first, *last;
static pthread_t owner;
static bool started, initialised, finalised;
static napi_threadsafe_function done;
static size_t pending;

static int world_rank, world_size, local_rank, local_size, threads;
static char library[MPI_MAX_LIBRARY_VERSION_STRING], host[MPI_MAX_PROCESSOR_NAME];

static int initialise(void) {
  int length;
  MPI_Comm node;
  int status = MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &threads);
  if (status != MPI_SUCCESS) return status;
  initialised = true;
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  MPI_Comm_size(MPI_COMM_WORLD, &world_size);
  MPI_Get_library_version(library, &length);
  MPI_Get_processor_name(host, &length);
  status = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  if (status != MPI_SUCCESS) return status;
  MPI_Comm_rank(node, &local_rank);
  MPI_Comm_size(node, &local_size);
  return MPI_Comm_free(&node);
}

static int in_buckets(Task *task) {
  size_t bucket = local_size == world_size ? LOCAL_BUCKET : REMOTE_BUCKET;
  for (size_t at = 0; at < task->count; at += bucket) {
    size_t left = task->count - at;
    int count = (int)(left < bucket ? left : bucket);
    char *data = task->data + at * task->element;
    int status =
        task->kind == ALL_REDUCE
            ? MPI_Allreduce(MPI_IN_PLACE, data, count, task->type, task->operation, MPI_COMM_WORLD)
            : MPI_Bcast(data, count, task->type, task->root, MPI_COMM_WORLD);
    if (status != MPI_SUCCESS) return status;
  }
  return MPI_SUCCESS;
}

static int perform(Task *task) {
  switch (task->kind) {
    case INIT: return initialise();
    case BARRIER: return MPI_Barrier(MPI_COMM_WORLD);
    case FINALIZE: return initialised ? MPI_Finalize() : MPI_SUCCESS;
    default: return in_buckets(task);
  }
}

static void *serve(void *unused) {
  for (;;) {
    pthread_mutex_lock(&lock);
    while (!first) pthread_cond_wait(&wake, &lock);
    Task *task = first;
    first = task->next;
    if (!first) last = NULL;
    pthread_mutex_unlock(&lock);
    task->status = perform(task);
    if (task->kind == FINALIZE) return NULL;
    napi_call_threadsafe_function(done, task, 0);
  }
  return unused;
}

static void enqueue(Task *task) {
  pthread_mutex_lock(&lock);
  if (last) last->next = task;
  else first = task;
  last = task;
  pthread_cond_signal(&wake);
  pthread_mutex_unlock(&lock);
}

static napi_value text(napi_env env, const char *value) {
  napi_value result;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

static void set_number(napi_env env, napi_value object, const char *name, int value) {
  napi_value number;
  napi_create_int32(env, value, &number);
  napi_set_named_property(env, object, name, number);
}

static napi_value facts(napi_env env) {
  napi_value object;
  napi_create_object(env, &object);
  set_number(env, object, "rank", world_rank);
  set_number(env, object, "size", world_size);
  set_number(env, object, "localRank", local_rank);
  set_number(env, object, "localSize", local_size);
  set_number(env, object, "threads", threads);
  napi_set_named_property(env, object, "library", text(env, library));
  napi_set_named_property(env, object, "host", text(env, host));
  return object;
}

/* On Node's thread, after each task. */
static void settle(napi_env env, napi_value unused, void *context, void *data) {
  (void)unused, (void)context;
  Task *task = data;
  napi_value value;
  if (task->lent) napi_delete_reference(env, task->lent);
  if (task->status == MPI_SUCCESS) {
    if (task->kind == INIT) value = facts(env);
    else napi_get_undefined(env, &value);
    napi_resolve_deferred(env, task->deferred, value);
  } else {
    char reason[MPI_MAX_ERROR_STRING] = "";
    int length;
    MPI_Error_string(task->status, reason, &length);
    napi_create_error(env, NULL, text(env, reason), &value);
    napi_reject_deferred(env, task->deferred, value);
  }
  free(task);
  if (--pending == 0) napi_unref_threadsafe_function(env, done);
}

/* Hands a task to the thread; the event loop stays alive until it has ended. */
static napi_value begin(napi_env env, Task *task) {
  napi_value promise;
  napi_create_promise(env, &task->deferred, &promise);
  if (pending++ == 0) napi_ref_threadsafe_function(env, done);
  enqueue(task);
  return promise;
}

static Task *make(int kind) {
  Task *task = calloc(1, sizeof *task);
  task->kind = kind;
  return task;
}

/* init(): starts the thread and MPI. */
static napi_value js_init(napi_env env, napi_callback_info info) {
  (void)info;
  if (!started) {
    napi_create_threadsafe_function(env, NULL, NULL, text(env, "mpi"), 0, 1, NULL, NULL, NULL,
                                    settle, &done);
    napi_unref_threadsafe_function(env, done);
    if (pthread_create(&owner, NULL, serve, NULL) != 0) {
      napi_throw_error(env, NULL, "no thread could be started");
      return NULL;
    }
    started = true;
  }
  return begin(env, make(INIT));
}

/* The element type of a typed array (napi_typedarray_type); false for one that does not travel. */
static bool typed(int type, Task *task) {
  switch (type) {
    case 1: task->type = MPI_UNSIGNED_CHAR, task->element = 1; return true;
    case 5: task->type = MPI_INT32_T, task->element = 4; return true;
    case 7: task->type = MPI_FLOAT, task->element = 4; return true;
    case 8: task->type = MPI_DOUBLE, task->element = 8; return true;
    default: return false;
  }
}

/* collective(kind, array, argument): argument is the operation (0 sum, 1 max, 2 min) or the root. */
static napi_value js_collective(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t given = 3;
  int type;
  int64_t kind, argument;
  napi_get_cb_info(env, info, &given, arguments, NULL, NULL);
  napi_get_value_int64(env, arguments[0], &kind);
  Task *task = make((int)kind);
  if (kind != BARRIER) {
    void *data;
    napi_get_value_int64(env, arguments[2], &argument);
    if (napi_get_typedarray_info(env, arguments[1], &type, &task->count, &data, NULL, NULL) != 0 ||
        !typed(type, task)) {
      free(task);
      napi_throw_error(env, NULL, "not an array that ranks exchange");
      return NULL;
    }
    task->data = data;
    task->operation = argument == 0 ? MPI_SUM : argument == 1 ? MPI_MAX : MPI_MIN;
    task->root = (int)argument;
    napi_create_reference(env, arguments[1], 1, &task->lent);
  }
  return begin(env, task);
}

/* abort(code): ends the job. The launcher ends it too when a process leaves without MPI_Finalize. */
static napi_value js_abort(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t given = 1;
  int64_t code = 1;
  napi_get_cb_info(env, info, &given, &argument, NULL, NULL);
  napi_get_value_int64(env, argument, &code);
  if (initialised && !finalised && threads == MPI_THREAD_MULTIPLE)
    MPI_Abort(MPI_COMM_WORLD, (int)code);
  _exit((int)code);
}

/* finalize(): leaves MPI and waits for it; at the end of a process that did not fail. */
static napi_value js_finalize(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  if (!started || finalised) return NULL;
  finalised = true;
  enqueue(make(FINALIZE));
  pthread_join(owner, NULL);
  return NULL;
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env,
                                                                          napi_value exports) {
  struct {
    const char *name;
    napi_callback call;
  } functions[] = {{"init", js_init},
                   {"collective", js_collective},
                   {"abort", js_abort},
                   {"finalize", js_finalize}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value made;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &made);
    napi_set_named_property(env, exports, functions[i].name, made);
  }
  return exports;
}
