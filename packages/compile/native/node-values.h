/* Texts, handles and functions of Node, for both addons. */
#ifndef DMAE_NODE_VALUES_H
#define DMAE_NODE_VALUES_H

#include <stdlib.h>
#include <string.h>

#include "node-api.h"

/* A copy that the caller frees; NULL for what is no text. */
static char *text(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length)) return NULL;
  char *copy = malloc(length + 1);
  napi_get_value_string_utf8(env, value, copy, length + 1, &length);
  return copy;
}

/* What the first argument holds; NULL for what is no handle. */
static inline void *handle_of(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  void *held = NULL;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  return napi_get_value_external(env, argument, &held) ? NULL : held;
}

static void publish(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value);
  napi_set_named_property(env, exports, name, value);
}

#endif
