/*
 * Self-attention over [queries, keys, values] of all heads side by side, [batch, tokens, 3 heads size], and its gradient. A part is
 * one head of one image: its matrices are read and written where they lie, so that no head is moved.
 */
#ifndef DMAE_ATTENTION_H
#define DMAE_ATTENTION_H

#include "product.h"

enum { HEAD_VECTORS = 2 }; /* narrow tiles: sizes of heads are often 64 */

/* Queries, keys and values of one head; rows are 3 heads size apart. */
typedef struct {
  const float *q, *k, *v;
  size_t stride;
} Head;

static inline Head head_of(const float *qkv, size_t part, size_t tokens, size_t heads, size_t size) {
  const size_t width = heads * size;
  const float *q = qkv + part / heads * tokens * 3 * width + part % heads * size;
  return (Head){q, q + width, q + 2 * width, 3 * width};
}

PRODUCT_FORM(head_nn, 0, 0, HEAD_VECTORS)
PRODUCT_FORM(head_nt, 0, 1, HEAD_VECTORS)
PRODUCT_FORM(head_tn, 1, 0, HEAD_VECTORS)

/* in: qkv; out: the result [batch, tokens, heads size] and the probabilities [batch, heads, tokens, tokens]. */
static inline void attention(const Call *call, size_t part, size_t tokens, size_t heads, size_t size, float scale) {
  const Head at = head_of(call->in[0], part, tokens, heads, size);
  float *p = call->out[1] + part * tokens * tokens;
  float *y = call->out[0] + part / heads * tokens * heads * size + part % heads * size;
  head_nt((Matrix){at.q, at.stride, 0}, (Matrix){at.k, at.stride, 1}, p, tokens, tokens, tokens, size, scale);
  for (size_t r = 0; r < tokens; r++) {
    float *row = p + r * tokens, largest = -INFINITY, sum = 0.0f;
#pragma omp simd reduction(max : largest)
    for (size_t c = 0; c < tokens; c++) largest = largest > row[c] ? largest : row[c];
#pragma omp simd reduction(+ : sum)
    for (size_t c = 0; c < tokens; c++) {
      row[c] = kernel_exp(row[c] - largest);
      sum += row[c];
    }
    const float inverse = 1.0f / sum;
#pragma omp simd
    for (size_t c = 0; c < tokens; c++) row[c] *= inverse;
  }
  head_nn((Matrix){p, tokens, 0}, (Matrix){at.v, at.stride, 0}, y, heads * size, tokens, size, tokens, 1.0f);
}

/* in: qkv, the probabilities, the gradient by the result; out: the gradient by qkv. */
static inline void attention_gradient(const Call *call, size_t part, size_t tokens, size_t heads, size_t size,
                                      float scale) {
  const Head at = head_of(call->in[0], part, tokens, heads, size);
  const Head to = head_of(call->out[0], part, tokens, heads, size);
  const float *p = call->in[1] + part * tokens * tokens;
  const size_t width = heads * size;
  const float *dy = call->in[2] + part / heads * tokens * width + part % heads * size;
  float *ds = malloc(tokens * tokens * sizeof(float));
  head_nt((Matrix){dy, width, 0}, (Matrix){at.v, at.stride, 1}, ds, tokens, tokens, tokens, size, 1.0f);
  for (size_t r = 0; r < tokens; r++) {
    float *row = ds + r * tokens, sum = 0.0f;
    const float *probability = p + r * tokens;
#pragma omp simd reduction(+ : sum)
    for (size_t c = 0; c < tokens; c++) sum += row[c] * probability[c];
#pragma omp simd
    for (size_t c = 0; c < tokens; c++) row[c] = probability[c] * (row[c] - sum);
  }
  const Matrix upright = {ds, tokens, 0}, transposed = {ds, tokens, 1};
  head_nn(upright, (Matrix){at.k, at.stride, 0}, (float *)to.q, to.stride, tokens, size, tokens, scale);
  head_tn(transposed, (Matrix){at.q, at.stride, 0}, (float *)to.k, to.stride, tokens, size, tokens, scale);
  head_tn((Matrix){p, tokens, 1}, (Matrix){dy, width, 0}, (float *)to.v, to.stride, tokens, size, tokens, 1.0f);
  free(ds);
}

#endif
