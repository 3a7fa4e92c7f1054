/*
 * C = alpha A^T B for A [K, M] and B [K, N]: the weight gradient of a layer, where a row of A or B belongs to one token of
 * one image. Goto and van de Geijn's scheme (ACM TOMS 34, 2008): panels of A and B, copied so that the
 * innermost loop reads them in a line, and a tile of C in registers. Both operands are read along their rows, so that
 * copying is all there is to transposing.
 */
#ifndef DMAE_PRODUCT_H
#define DMAE_PRODUCT_H

#include "kernels.h"

/* The widest vectors of the machine, and a tile that fills their registers. */
#if defined(__AVX512F__)
enum { LANES = 16, TILE_ROWS = 8, TILE_VECTORS = 3 };
#elif defined(__AVX__)
enum { LANES = 8, TILE_ROWS = 4, TILE_VECTORS = 3 };
#elif defined(__aarch64__)
enum { LANES = 4, TILE_ROWS = 8, TILE_VECTORS = 3 };
#else
enum { LANES = 4, TILE_ROWS = 4, TILE_VECTORS = 2 };
#endif
enum { TILE_COLUMNS = LANES * TILE_VECTORS, DEPTH = 192 };

typedef float vector __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

#define UNROLLED _Pragma("GCC unroll 16")

/* tile += a^T b over `depth` rows of two panels. */
static inline void product_tile(size_t depth, const float *a, const float *b, float *tile, size_t stride, float alpha,
                                int is_first) {
  vector sum[TILE_ROWS][TILE_VECTORS];
  UNROLLED for (int i = 0; i < TILE_ROWS; i++) UNROLLED for (int j = 0; j < TILE_VECTORS; j++) sum[i][j] = (vector){0};
  for (size_t k = 0; k < depth; k++) {
    vector row[TILE_VECTORS];
    UNROLLED for (int j = 0; j < TILE_VECTORS; j++) row[j] = *(const vector *)(b + k * TILE_COLUMNS + j * LANES);
    UNROLLED for (int i = 0; i < TILE_ROWS; i++) {
      const float factor = a[k * TILE_ROWS + i];
      UNROLLED for (int j = 0; j < TILE_VECTORS; j++) sum[i][j] += factor * row[j];
    }
  }
  UNROLLED for (int i = 0; i < TILE_ROWS; i++) UNROLLED for (int j = 0; j < TILE_VECTORS; j++) {
    vector *to = (vector *)(tile + i * stride + j * LANES);
    *to = is_first ? alpha * sum[i][j] : *to + alpha * sum[i][j];
  }
}

/* Copies columns [from, from + width) of `depth` rows to a panel; columns from `end` on are zeros. */
static inline void product_pack(const float *source, size_t stride, size_t from, size_t end, size_t depth, size_t width,
                                float *panel) {
  if (from + width <= end)
    for (size_t k = 0; k < depth; k++) memcpy(panel + k * width, source + k * stride + from, width * sizeof(float));
  else
    for (size_t k = 0; k < depth; k++)
      for (size_t i = 0; i < width; i++) panel[k * width + i] = from + i < end ? source[k * stride + from + i] : 0.0f;
}

/* A block of C. */
typedef struct {
  size_t top, bottom, left, right;
} Block;

static inline void product_block(const float *a, const float *b, float *c, size_t M, size_t N, size_t K, float alpha,
                                 Block at) {
  const size_t panels = (at.bottom - at.top + TILE_ROWS - 1) / TILE_ROWS;
  float *left = aligned_alloc(64, (panels * TILE_ROWS * DEPTH * sizeof(float) + 63) / 64 * 64);
  float right[DEPTH * TILE_COLUMNS] __attribute__((aligned(64)));
  float edge[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(64)));
  for (size_t k = 0; k < K; k += DEPTH) {
    const size_t depth = K - k < DEPTH ? K - k : DEPTH;
    for (size_t p = 0; p < panels; p++)
      product_pack(a + k * M, M, at.top + p * TILE_ROWS, at.bottom, depth, TILE_ROWS, left + p * TILE_ROWS * depth);
    for (size_t n = at.left; n < at.right; n += TILE_COLUMNS) {
      product_pack(b + k * N, N, n, at.right, depth, TILE_COLUMNS, right);
      for (size_t p = 0; p < panels; p++) {
        const size_t m = at.top + p * TILE_ROWS;
        const float *rows = left + p * TILE_ROWS * depth;
        if (m + TILE_ROWS <= at.bottom && n + TILE_COLUMNS <= at.right) {
          product_tile(depth, rows, right, c + m * N + n, N, alpha, k == 0);
          continue;
        }
        product_tile(depth, rows, right, edge, TILE_COLUMNS, alpha, 1);
        for (size_t i = 0; i < TILE_ROWS && m + i < at.bottom; i++)
          for (size_t j = 0; j < TILE_COLUMNS && n + j < at.right; j++) {
            float *to = c + (m + i) * N + n + j;
            *to = (k == 0 ? 0.0f : *to) + edge[i * TILE_COLUMNS + j];
          }
      }
    }
  }
  free(left);
}

/* Part `part` of `parts` of the product: a share of the longer side of C, in whole tiles. */
static inline void transposed_product(const Call *call, size_t part, size_t parts, size_t M, size_t N, size_t K,
                                      float alpha) {
  const int by_rows = M >= N;
  const size_t length = by_rows ? M : N, unit = by_rows ? TILE_ROWS : TILE_COLUMNS;
  const size_t tiles = (length + unit - 1) / unit;
  const size_t first = tiles * part / parts * unit, end = tiles * (part + 1) / parts * unit;
  const size_t last = end < length ? end : length;
  const Block block = by_rows ? (Block){first, last, 0, N} : (Block){0, M, first, last};
  product_block(call->in[0], call->in[1], call->out[0], M, N, K, alpha, block);
}

#endif
