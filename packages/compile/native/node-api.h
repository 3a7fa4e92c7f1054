/* The part of Node-API (version 6, the same in every Node from 10.20 on) that session.c calls. */
#ifndef DMAE_NODE_API_H
#define DMAE_NODE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_ref__ *napi_ref;
typedef struct napi_deferred__ *napi_deferred;
typedef struct napi_callback_info__ *napi_callback_info;
typedef struct napi_async_work__ *napi_async_work;
typedef struct napi_threadsafe_function__ *napi_threadsafe_function;
typedef int napi_status;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);

enum { NAPI_AUTO_LENGTH_VALUE = -1 };
#define NAPI_AUTO_LENGTH ((size_t)NAPI_AUTO_LENGTH_VALUE)

napi_status napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
napi_status napi_set_named_property(napi_env, napi_value, const char *, napi_value);
napi_status napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
napi_status napi_throw_error(napi_env, const char *, const char *);
napi_status napi_create_error(napi_env, napi_value, napi_value, napi_value *);
napi_status napi_get_value_string_utf8(napi_env, napi_value, char *, size_t, size_t *);
napi_status napi_create_string_utf8(napi_env, const char *, size_t, napi_value *);
napi_status napi_get_value_int64(napi_env, napi_value, int64_t *);
napi_status napi_get_value_bool(napi_env, napi_value, bool *);
napi_status napi_get_array_length(napi_env, napi_value, uint32_t *);
napi_status napi_get_element(napi_env, napi_value, uint32_t, napi_value *);
napi_status napi_is_array(napi_env, napi_value, bool *);
napi_status napi_get_typedarray_info(napi_env, napi_value, int *, size_t *, void **, napi_value *, size_t *);
napi_status napi_create_buffer(napi_env, size_t, void **, napi_value *);
napi_status napi_create_external(napi_env, void *, void (*)(napi_env, void *, void *), void *, napi_value *);
napi_status napi_get_value_external(napi_env, napi_value, void **);
napi_status napi_create_external_arraybuffer(napi_env, void *, size_t, void (*)(napi_env, void *, void *), void *,
                                             napi_value *);
napi_status napi_create_reference(napi_env, napi_value, uint32_t, napi_ref *);
napi_status napi_delete_reference(napi_env, napi_ref);
napi_status napi_get_undefined(napi_env, napi_value *);
napi_status napi_create_promise(napi_env, napi_deferred *, napi_value *);
napi_status napi_resolve_deferred(napi_env, napi_deferred, napi_value);
napi_status napi_reject_deferred(napi_env, napi_deferred, napi_value);
napi_status napi_create_async_work(napi_env, napi_value, napi_value, void (*)(napi_env, void *),
                                   void (*)(napi_env, napi_status, void *), void *, napi_async_work *);
napi_status napi_queue_async_work(napi_env, napi_async_work);
napi_status napi_delete_async_work(napi_env, napi_async_work);
napi_status napi_create_threadsafe_function(napi_env, napi_value, napi_value, napi_value, size_t, size_t, void *,
                                            void (*)(napi_env, void *, void *), void *,
                                            void (*)(napi_env, napi_value, void *, void *),
                                            napi_threadsafe_function *);
napi_status napi_call_threadsafe_function(napi_threadsafe_function, void *, int);
napi_status napi_release_threadsafe_function(napi_threadsafe_function, int);

#endif
