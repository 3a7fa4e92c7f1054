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
enum { TILE_COLUMNS = LANES * TILE_VECTORS, DEPTH = 384, WIDE = 1024, GROUP = 4, FEW = 4096 };

typedef float vector __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

#define UNROLLED _Pragma("GCC unroll 16")
#define INLINE inline __attribute__((always_inline))

/* A tile of C, `vectors` wide, over `depth` steps; element i of step k of op(A) is a[i * across + k * along]. */
static INLINE void product_tile(int vectors, size_t depth, const float *a, size_t across, size_t along, const float *b,
                                float *tile, size_t stride, float alpha, int is_first) {
  vector sum[TILE_ROWS][TILE_VECTORS];
  UNROLLED for (int i = 0; i < TILE_ROWS; i++) UNROLLED for (int j = 0; j < vectors; j++) sum[i][j] = (vector){0};
  for (size_t k = 0; k < depth; k++) {
    vector row[TILE_VECTORS];
    UNROLLED for (int j = 0; j < vectors; j++) row[j] = *(const vector *)(b + k * vectors * LANES + j * LANES);
    UNROLLED for (int i = 0; i < TILE_ROWS; i++) {
      const float factor = a[i * across + k * along];
      UNROLLED for (int j = 0; j < vectors; j++) sum[i][j] += factor * row[j];
    }
  }
  UNROLLED for (int i = 0; i < TILE_ROWS; i++) UNROLLED for (int j = 0; j < vectors; j++) {
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

/* A matrix, or its transpose; `stride` is the distance of its rows in memory. */
typedef struct {
  const float *data;
  size_t stride;
  int transposed;
} Matrix;

/* `c`, [rows, columns] with rows `stride` apart, = alpha A B over `length` steps; `vectors` is the width of the tiles. */
static INLINE void product_block(Matrix a, Matrix b, float *c, size_t stride, size_t rows, size_t columns, size_t length,
                                 float alpha, int vectors) {
  const size_t width = (size_t)vectors * LANES, panels = (rows + TILE_ROWS - 1) / TILE_ROWS;
  const size_t a_across = a.transposed ? 1 : a.stride, a_along = a.transposed ? a.stride : 1;
  const size_t b_across = b.transposed ? b.stride : 1, b_along = b.transposed ? 1 : b.stride;
  /* Rows of A are read in a line already: copying them pays where many tiles read them. */
  const size_t first_copied = a.transposed || columns >= WIDE || length >= WIDE ? 0 : rows / TILE_ROWS;
  const size_t size = (panels - first_copied) * TILE_ROWS * (length < DEPTH ? length : DEPTH);
  float few[FEW] __attribute__((aligned(64)));
  float *copied = size <= FEW ? few : aligned_alloc(64, (size * sizeof(float) + 63) / 64 * 64);
  float right[DEPTH * TILE_COLUMNS] __attribute__((aligned(64)));
  float edge[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(64)));
  for (size_t k = 0; k < length; k += DEPTH) {
    const size_t depth = length - k < DEPTH ? length - k : DEPTH;
    size_t copy = first_copied;
    if (a.transposed)
      for (; (copy + GROUP) * TILE_ROWS <= rows; copy += GROUP)
        product_pack_group(a.data + k * a_along + copy * TILE_ROWS, a_along, depth, copied + copy * TILE_ROWS * depth);
    for (; copy < panels; copy++)
      product_pack(a.data + k * a_along, a_across, a_along, copy * TILE_ROWS, rows, depth, TILE_ROWS,
                   copied + (copy - first_copied) * TILE_ROWS * depth);
    for (size_t n = 0; n < columns; n += width) {
      product_pack(b.data + k * b_along, b_across, b_along, n, columns, depth, width, right);
      for (size_t p = 0; p < panels; p++) {
        const size_t m = p * TILE_ROWS;
        const int whole = m + TILE_ROWS <= rows && n + width <= columns;
        float *tile = whole ? c + m * stride + n : edge;
        const size_t apart = whole ? stride : width;
        const int is_first = k == 0 || !whole;
        if (p < first_copied)
          product_tile(vectors, depth, a.data + m * a.stride + k, a.stride, 1, right, tile, apart, alpha, is_first);
        else
          product_tile(vectors, depth, copied + (p - first_copied) * TILE_ROWS * depth, 1, TILE_ROWS, right, tile, apart,
                       alpha, is_first);
        if (whole) continue;
        for (size_t i = 0; i < TILE_ROWS && m + i < rows; i++)
          for (size_t j = 0; j < width && n + j < columns; j++) {
            float *to = c + (m + i) * stride + n + j;
            *to = (k == 0 ? 0.0f : *to) + edge[i * width + j];
          }
      }
    }
  }
  if (copied != few) free(copied);
}

/* Each form of block once: a file of kernels would otherwise hold one for every size. */
#define PRODUCT_FORM(name, a_transposed, b_transposed, vectors)                                                        \
  static __attribute__((noinline)) void name(Matrix a, Matrix b, float *c, size_t stride, size_t rows, size_t columns, \
                                             size_t length, float alpha) {                                             \
    a.transposed = a_transposed, b.transposed = b_transposed;                                                          \
    product_block(a, b, c, stride, rows, columns, length, alpha, vectors);                                             \
  }
PRODUCT_FORM(product_nn, 0, 0, TILE_VECTORS)
PRODUCT_FORM(product_nt, 0, 1, TILE_VECTORS)
PRODUCT_FORM(product_tn, 1, 0, TILE_VECTORS)
PRODUCT_FORM(product_tt, 1, 1, TILE_VECTORS)

/* Part `part` of `parts` of the product of two whole matrices: a share of the longer side of C, in whole tiles. */
static inline void product(const Call *call, size_t part, size_t parts, size_t M, size_t N, size_t K, int transA,
                           int transB, float alpha) {
  const int by_rows = M >= N;
  const size_t side = by_rows ? M : N, unit = by_rows ? TILE_ROWS : TILE_COLUMNS;
  const size_t tiles = (side + unit - 1) / unit;
  const size_t first = tiles * part / parts * unit, end = tiles * (part + 1) / parts * unit;
  const size_t last = end < side ? end : side;
  if (first >= last) return;
  const float *a = call->in[0] + (by_rows ? first * (transA ? 1 : K) : 0);
  const float *b = call->in[1] + (by_rows ? 0 : first * (transB ? K : 1));
  (transA ? transB ? product_tt : product_tn : transB ? product_nt : product_nn)(
      (Matrix){a, transA ? M : K, transA}, (Matrix){b, transB ? K : N, transB}, call->out[0] + first * (by_rows ? N : 1),
      N, by_rows ? last - first : M, by_rows ? N : last - first, K, alpha);
}

#endif
