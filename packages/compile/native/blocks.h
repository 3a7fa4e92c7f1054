/*
 * Memory of a device, as ONNX Runtime names it: "Cuda", "CudaPinned" (the host's, which the card reads by itself) or "Cpu".
 * A place is a typed array, or [block, offset] for memory in a block.
 */
#ifndef DMAE_BLOCKS_H
#define DMAE_BLOCKS_H

#include <stdio.h>

#include "values.h"

typedef struct {
  OrtMemoryInfo *info;
  OrtAllocator *allocator;
  char *data;
  size_t bytes;
} Block;

typedef struct {
  const OrtMemoryInfo *info;
  char *data;
  napi_value owner; /* must outlive the use of the place */
} Place;

static void free_block(Block *block) {
  OrtStatus *status = block->data ? ort_free(ort)(block->allocator, block->data) : NULL;
  if (status) ort_release_status(ort)(status);
  if (block->allocator) ort_release_allocator(ort)(block->allocator);
  if (block->info) ort_release_memory_info(ort)(block->info);
  *block = (Block){0};
}

static void finalize_block(napi_env env, void *data, void *hint) {
  Block *block = hint ? hint : data;
  free_block(block);
  free(block);
}

/* Memory that the allocator of a session gives; NULL, with an error thrown, if it has none. */
static Block *allocate_block(napi_env env, OrtSession *session, const char *name, int64_t device, int64_t bytes) {
  enum { DEVICE_ALLOCATOR = 0, DEFAULT = 0, HOST_ACCESSIBLE = -1 };
  const int kind = strcmp(name, "CudaPinned") ? DEFAULT : HOST_ACCESSIBLE;
  Block *block = calloc(1, sizeof *block);
  if (accept(env, ort_create_device_info(ort)(name, DEVICE_ALLOCATOR, (int)device, kind, &block->info)) &&
      accept(env, ort_create_allocator(ort)(session, block->info, &block->allocator)) &&
      accept(env, ort_allocate(ort)(block->allocator, (size_t)bytes, (void **)&block->data))) {
    block->bytes = (size_t)bytes;
    return block;
  }
  free_block(block);
  free(block);
  return NULL;
}

/* Reads a place of exactly so many bytes, or throws. */
static bool read_place(napi_env env, napi_value value, const char *name, size_t wanted, Place *place) {
  bool in_block = false;
  size_t bytes = 0;
  char message[256];
  napi_is_array(env, value, &in_block);
  if (in_block) {
    Block *block = NULL;
    const size_t offset = (size_t)integer(env, element(env, value, 1));
    napi_get_value_external(env, element(env, value, 0), (void **)&block);
    if (block && block->data && offset <= block->bytes && wanted <= block->bytes - offset) {
      *place = (Place){block->info, block->data + offset, element(env, value, 0)};
      return true;
    }
    snprintf(message, sizeof message, "%s needs %zu bytes of a block that was not freed", name, wanted);
  } else {
    *place = (Place){memory, bytes_of(env, value, &bytes), value};
    if (bytes == wanted) return true;
    snprintf(message, sizeof message, "%s needs an array of %zu bytes, got %zu", name, wanted, bytes);
  }
  return fail(env, message), false;
}

#endif
