/*
 * C = alpha op(A) op(B) for matrices, where op transposes or does not. Goto and van de Geijn's scheme (ACM TOMS 34, 2008):
 * panels of the operands, copied where the innermost loop would not read them in a line, and a tile of C in registers.
 */
#ifndef DMAE_PRODUCT_H
#define DMAE_PRODUCT_H

#include "kernels.h"

/* The widest vectors of the machine, and a tile that fills their registers; its sides are multiples of 4. */
#if defined(__AVX512F__)
enum { LANES = 16, TILE_ROWS = 8, TILE_VECTORS = 3 };
#elif defined(__AVX__)
enum { LANES = 8, TILE_ROWS = 4, TILE_VECTORS = 3 };
#elif defined(__aarch64__)
enum { LANES = 4, TILE_ROWS = 8, TILE_VECTORS = 3 };
#else
enum { LANES = 4, TILE_ROWS = 4, TILE_VECTORS = 2 };
#endif
enum { TILE_COLUMNS = LANES * TILE_VECTORS, DEPTH = 384, WIDE = 1024, GROUP = 4 };

typedef float vector __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

#define UNROLLED _Pragma("GCC unroll 16")

/* A tile of C over `depth` steps; element i of step k of op(A) is a[i * across + k * along]. */
static inline __attribute__((always_inline)) void product_tile(size_t depth, const float *a, size_t across, size_t along,
                                                               const float *b, float *tile, size_t stride, float alpha,
                                                               int is_first) {
  vector sum[TILE_ROWS][TILE_VECTORS];
  UNROLLED for (int i = 0; i < TILE_ROWS; i++) UNROLLED for (int j = 0; j < TILE_VECTORS; j++) sum[i][j] = (vector){0};
  for (size_t k = 0; k < depth; k++) {
    vector row[TILE_VECTORS];
    UNROLLED for (int j = 0; j < TILE_VECTORS; j++) row[j] = *(const vector *)(b + k * TILE_COLUMNS + j * LANES);
    UNROLLED for (int i = 0; i < TILE_ROWS; i++) {
      const float factor = a[i * across + k * along];
      UNROLLED for (int j = 0; j < TILE_VECTORS; j++) sum[i][j] += factor * row[j];
    }
  }
  UNROLLED for (int i = 0; i < TILE_ROWS; i++) UNROLLED for (int j = 0; j < TILE_VECTORS; j++) {
    vector *to = (vector *)(tile + i * stride + j * LANES);
    *to = is_first ? alpha * sum[i][j] : *to + alpha * sum[i][j];
  }
}

/*
 * Copies `width` lines from `from` on, `depth` steps of each, to a panel [depth, width]; lines from `end` on are zeros. Line i
 * of step k is source[i * across + k * along], and one of the two distances is 1.
 */
static inline void product_pack(const float *source, size_t across, size_t along, size_t from, size_t end, size_t depth,
                                size_t width, float *panel) {
  const size_t count = from + width <= end ? width : end - from;
  if (count < width) memset(panel, 0, depth * width * sizeof(float));
  const float *start = source + from * across;
  if (across == 1 && count == width)
    for (size_t k = 0; k < depth; k++) memcpy(panel + k * width, start + k * along, width * sizeof(float));
  else if (count == width)
    for (size_t j = 0; j < width; j += 4) /* few lines at once: many would not fit the first cache */
      for (size_t k = 0; k < depth; k++)
        UNROLLED for (size_t i = 0; i < 4; i++) panel[k * width + j + i] = start[(j + i) * across + k * along];
  else
    for (size_t i = 0; i < count; i++)
      for (size_t k = 0; k < depth; k++) panel[k * width + i] = start[i * across + k * along];
}

/* The same for neighbouring panels of lines that lie side by side: whole lines of the cache are read at once. */
static inline void product_pack_group(const float *source, size_t along, size_t depth, float *panels) {
  for (size_t k = 0; k < depth; k++)
    UNROLLED for (size_t p = 0; p < GROUP; p++)
      memcpy(panels + (p * depth + k) * TILE_ROWS, source + k * along + p * TILE_ROWS, TILE_ROWS * sizeof(float));
}

/* A block of C. */
typedef struct {
  size_t top, bottom, left, right;
} Block;

static inline __attribute__((always_inline)) void product_block(const float *a, const float *b, float *c, size_t M,
                                                                size_t N, size_t K, int transA, int transB, float alpha,
                                                                Block at) {
  const size_t a_across = transA ? 1 : K, a_along = transA ? M : 1;
  const size_t b_across = transB ? K : 1, b_along = transB ? 1 : N;
  const size_t panels = (at.bottom - at.top + TILE_ROWS - 1) / TILE_ROWS;
  /* Rows of A are read in a line already: copying them pays where many tiles read them. */
  const size_t first_copied = transA || N >= WIDE || K >= WIDE ? 0 : (at.bottom - at.top) / TILE_ROWS;
  const size_t bytes = (panels - first_copied) * TILE_ROWS * DEPTH * sizeof(float);
  float *copied = aligned_alloc(64, (bytes + 127) / 64 * 64);
  float right[DEPTH * TILE_COLUMNS] __attribute__((aligned(64)));
  float edge[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(64)));
  for (size_t k = 0; k < K; k += DEPTH) {
    const size_t depth = K - k < DEPTH ? K - k : DEPTH;
    size_t p = first_copied;
    if (transA)
      for (; at.top + (p + GROUP) * TILE_ROWS <= at.bottom; p += GROUP)
        product_pack_group(a + k * M + at.top + p * TILE_ROWS, M, depth, copied + p * TILE_ROWS * depth);
    for (; p < panels; p++)
      product_pack(a + k * a_along, a_across, a_along, at.top + p * TILE_ROWS, at.bottom, depth, TILE_ROWS,
                   copied + (p - first_copied) * TILE_ROWS * depth);
    for (size_t n = at.left; n < at.right; n += TILE_COLUMNS) {
      product_pack(b + k * b_along, b_across, b_along, n, at.right, depth, TILE_COLUMNS, right);
      for (size_t p = 0; p < panels; p++) {
        const size_t m = at.top + p * TILE_ROWS;
        const int whole = m + TILE_ROWS <= at.bottom && n + TILE_COLUMNS <= at.right;
        float *tile = whole ? c + m * N + n : edge;
        const size_t stride = whole ? N : TILE_COLUMNS;
        const int is_first = k == 0 || !whole;
        if (p < first_copied) product_tile(depth, a + m * K + k, K, 1, right, tile, stride, alpha, is_first);
        else
          product_tile(depth, copied + (p - first_copied) * TILE_ROWS * depth, 1, TILE_ROWS, right, tile, stride, alpha,
                       is_first);
        if (whole) continue;
        for (size_t i = 0; i < TILE_ROWS && m + i < at.bottom; i++)
          for (size_t j = 0; j < TILE_COLUMNS && n + j < at.right; j++) {
            float *to = c + (m + i) * N + n + j;
            *to = (k == 0 ? 0.0f : *to) + edge[i * TILE_COLUMNS + j];
          }
      }
    }
  }
  free(copied);
}

/* Part `part` of `parts` of the product: a share of the longer side of C, in whole tiles. */
static inline __attribute__((always_inline)) void product(const Call *call, size_t part, size_t parts, size_t M, size_t N,
                                                          size_t K, int transA, int transB, float alpha) {
  const int by_rows = M >= N;
  const size_t length = by_rows ? M : N, unit = by_rows ? TILE_ROWS : TILE_COLUMNS;
  const size_t tiles = (length + unit - 1) / unit;
  const size_t first = tiles * part / parts * unit, end = tiles * (part + 1) / parts * unit;
  const size_t last = end < length ? end : length;
  const Block block = by_rows ? (Block){first, last, 0, N} : (Block){0, M, first, last};
  if (first < last) product_block(call->in[0], call->in[1], call->out[0], M, N, K, transA, transB, alpha, block);
}

#endif
