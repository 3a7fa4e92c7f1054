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

/* The same, where only the last tile of a row of tiles, at most `most` wide, may be narrower. */
static INLINE void product_tile_of(int vectors, int most, size_t depth, const float *a, size_t across, size_t along,
                                   const float *b, float *tile, size_t stride, float alpha, int is_first) {
  if (vectors == most) product_tile(most, depth, a, across, along, b, tile, stride, alpha, is_first);
  else if (vectors == 1) product_tile(1, depth, a, across, along, b, tile, stride, alpha, is_first);
  else product_tile(2, depth, a, across, along, b, tile, stride, alpha, is_first);
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

/* What lies within C of a tile that reaches beyond it: `rows`, of which there may be more, and `columns`. */
static INLINE void product_add_edge(const float *edge, size_t width, float *c, size_t stride, size_t rows, size_t columns,
                                    int is_first) {
  for (size_t i = 0; i < TILE_ROWS && i < rows; i++)
    for (size_t j = 0; j < columns; j++) c[i * stride + j] = (is_first ? 0.0f : c[i * stride + j]) + edge[i * width + j];
}

/* `c`, [rows, columns] with rows `stride` apart, = alpha A B over `length` steps; `most` is the width of the tiles in vectors. */
static INLINE void product_block(Matrix a, Matrix b, float *c, size_t stride, size_t rows, size_t columns, size_t length,
                                 float alpha, int most) {
  const size_t widest = (size_t)most * LANES, panels = (rows + TILE_ROWS - 1) / TILE_ROWS;
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
    for (size_t n = 0; n < columns; n += widest) {
      const size_t count = columns - n < widest ? columns - n : widest;
      const int vectors = (int)((count + LANES - 1) / LANES);
      const size_t width = (size_t)vectors * LANES;
      product_pack(b.data + k * b_along, b_across, b_along, n, columns, depth, width, right);
      for (size_t p = 0; p < panels; p++) {
        const size_t m = p * TILE_ROWS;
        const int whole = m + TILE_ROWS <= rows && count == width;
        float *tile = whole ? c + m * stride + n : edge;
        const size_t apart = whole ? stride : width;
        const int is_first = k == 0 || !whole;
        if (p < first_copied)
          product_tile_of(vectors, most, depth, a.data + m * a.stride + k, a.stride, 1, right, tile, apart, alpha, is_first);
        else
          product_tile_of(vectors, most, depth, copied + (p - first_copied) * TILE_ROWS * depth, 1, TILE_ROWS, right, tile, apart,
                       alpha, is_first);
        if (!whole) product_add_edge(edge, width, c + m * stride + n, stride, rows - m, count, k == 0);
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

typedef void ProductForm(Matrix, Matrix, float *, size_t, size_t, size_t, size_t, float);

/* Part `part` of `parts` of the product of two whole matrices: a share of the longer side of C, in whole tiles. `forms` are those
 * for nn, nt, tn and tt. */
static inline void product_part(ProductForm *const forms[4], const Call *call, size_t part, size_t parts, size_t M, size_t N,
                                size_t K, int transA, int transB, float alpha) {
  const int by_rows = M >= N;
  const size_t side = by_rows ? M : N, unit = by_rows ? TILE_ROWS : TILE_COLUMNS;
  const size_t tiles = (side + unit - 1) / unit;
  const size_t first = tiles * part / parts * unit, end = tiles * (part + 1) / parts * unit;
  const size_t last = end < side ? end : side;
  if (first >= last) return;
  const float *a = call->in[0] + (by_rows ? first * (transA ? 1 : K) : 0);
  const float *b = call->in[1] + (by_rows ? 0 : first * (transB ? K : 1));
  forms[2 * transA + transB]((Matrix){a, transA ? M : K, transA}, (Matrix){b, transB ? K : N, transB},
                             call->out[0] + first * (by_rows ? N : 1), N, by_rows ? last - first : M,
                             by_rows ? N : last - first, K, alpha);
}

static inline void product(const Call *call, size_t part, size_t parts, size_t M, size_t N, size_t K, int transA,
                           int transB, float alpha) {
  static ProductForm *const forms[] = {product_nn, product_nt, product_tn, product_tt};
  product_part(forms, call, part, parts, M, N, K, transA, transB, alpha);
}

/*
 * The same for factors that are bfloat16 numbers in float32: where the machine has it, by the instruction that multiplies and adds
 * pairs of them (AVX512-BF16). Sums are float32, in another order, and numbers below the normal ones count as zero.
 */
#if defined(__AVX512BF16__)
#include <immintrin.h>

enum { PAIRS = 384, TOGETHER = 8 * TILE_COLUMNS * PAIRS };

/* Steps 2 p and 2 p + 1 of a line, whose lower halves are zero, in one word. */
static INLINE uint32_t product16_pair(const float *line, size_t along, size_t p, size_t depth) {
  const uint32_t low = float_to_bits(line[2 * p * along]) >> 16;
  return 2 * p + 1 < depth ? low | (float_to_bits(line[(2 * p + 1) * along]) & 0xffff0000u) : low;
}

/* All pairs of a line that lies in a row. */
static INLINE void product16_line(const float *line, size_t depth, uint32_t *words) {
  size_t p = 0;
  for (; 2 * p + 2 * LANES <= depth; p += LANES)
    _mm512_storeu_si512(words + p, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(line + 2 * p + LANES),
                                                                _mm512_loadu_ps(line + 2 * p)));
  for (; 2 * p < depth; p++) words[p] = product16_pair(line, 1, p, depth);
}

/*
 * Copies `groups` times `width` neighbouring lines to panels of pairs, [depth / 2, width] and `apart` words from each other; lines
 * from `count` on are zeros.
 */
static INLINE void product16_pack(const float *source, size_t across, size_t along, size_t count, size_t depth, size_t groups,
                                  size_t width, uint32_t *panels, size_t apart) {
  const size_t pairs = (depth + 1) / 2, lines = groups * width;
  const int is_whole = across == 1 && count >= lines;
  const size_t whole = is_whole ? depth / 2 : 0;
  for (size_t p = 0; p < whole; p++) /* whole lines of the cache are read at once */
    for (size_t g = 0; g < groups; g++) {
      const float *one = source + 2 * p * along + g * width, *two = one + along;
      uint32_t *to = panels + g * apart + p * width;
      _Pragma("omp simd") for (size_t j = 0; j < width; j++)
        to[j] = float_to_bits(one[j]) >> 16 | (float_to_bits(two[j]) & 0xffff0000u);
    }
  for (size_t i = 0; i < lines; i++) {
    uint32_t words[PAIRS], *to = panels + i / width * apart + i % width;
    if (i < count && along == 1 && !is_whole) product16_line(source + i * across, depth, words);
    else
      for (size_t p = whole; p < pairs; p++)
        words[p] = i < count ? product16_pair(source + i * across, along, p, depth) : 0;
    for (size_t p = whole; p < pairs; p++) to[p * width] = words[p];
  }
}

/* A tile of C; pair p of line i of op(A) is a[i * across + p * along]. */
static INLINE void product16_tile(int vectors, size_t pairs, const uint32_t *a, size_t across, size_t along, const uint32_t *b,
                                  float *tile, size_t stride, float alpha, int is_first) {
  __m512 sum[TILE_ROWS][TILE_VECTORS];
  UNROLLED for (int i = 0; i < TILE_ROWS; i++) UNROLLED for (int j = 0; j < vectors; j++) sum[i][j] = _mm512_setzero_ps();
  for (size_t p = 0; p < pairs; p++) {
    __m512bh row[TILE_VECTORS];
    UNROLLED for (int j = 0; j < vectors; j++) row[j] = (__m512bh)_mm512_loadu_si512(b + (p * vectors + j) * LANES);
    UNROLLED for (int i = 0; i < TILE_ROWS; i++) {
      const __m512bh factor = (__m512bh)_mm512_set1_epi32((int)a[i * across + p * along]);
      UNROLLED for (int j = 0; j < vectors; j++) sum[i][j] = _mm512_dpbf16_ps(sum[i][j], factor, row[j]);
    }
  }
  UNROLLED for (int i = 0; i < TILE_ROWS; i++) UNROLLED for (int j = 0; j < vectors; j++) {
    float *to = tile + i * stride + j * LANES;
    const __m512 scaled = _mm512_mul_ps(_mm512_set1_ps(alpha), sum[i][j]);
    _mm512_storeu_ps(to, is_first ? scaled : _mm512_add_ps(_mm512_loadu_ps(to), scaled));
  }
}

static INLINE void product16_block(Matrix a, Matrix b, float *c, size_t stride, size_t rows, size_t columns, size_t length,
                                   float alpha) {
  const size_t a_across = a.transposed ? 1 : a.stride, a_along = a.transposed ? a.stride : 1;
  const size_t b_across = b.transposed ? b.stride : 1, b_along = b.transposed ? 1 : b.stride;
  const size_t step = length < 2 * PAIRS ? (length + 2 * LANES - 1) / (2 * LANES) * LANES : PAIRS; /* room for a line's pairs */
  const size_t across = a.transposed ? 1 : step, along = a.transposed ? TILE_ROWS : 1, height = GROUP * TILE_ROWS;
  const size_t all = (columns + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
  const size_t most = TOGETHER / step / TILE_COLUMNS * TILE_COLUMNS, together = all < most ? all : most;
  const int keeps = together < all; /* the pairs of A are made once, not for each group of columns */
  const size_t kept = keeps ? (rows + height - 1) / height * height : height;
  uint32_t *left = aligned_alloc(64, kept * step * sizeof(uint32_t));
  uint32_t *right = aligned_alloc(64, together * step * sizeof(uint32_t));
  float edge[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(64)));
  for (size_t k = 0; k < length; k += 2 * PAIRS) {
    const size_t depth = length - k < 2 * PAIRS ? length - k : 2 * PAIRS, pairs = (depth + 1) / 2;
    for (size_t from = 0; from < columns; from += together) {
      const size_t end = columns - from < together ? columns : from + together;
      for (size_t n = from; n < end; n += TILE_COLUMNS) {
        const size_t count = end - n < TILE_COLUMNS ? end - n : TILE_COLUMNS, width = (count + LANES - 1) / LANES * LANES;
        product16_pack(b.data + n * b_across + k * b_along, b_across, b_along, count, depth, 1, width,
                       right + (n - from) * step, 0);
      }
      for (size_t first = 0; first < rows; first += height) {
        const size_t last = rows - first < height ? rows : first + height;
        const float *source = a.data + first * a_across + k * a_along;
        uint32_t *panels = left + (keeps ? first : 0) * step;
        if (from == 0 && a.transposed)
          product16_pack(source, 1, a_along, last - first, depth, GROUP, TILE_ROWS, panels, TILE_ROWS * step);
        else if (from == 0)
          for (size_t i = 0; i < last - first; i++) product16_line(source + i * a_across, depth, panels + i * step);
        for (size_t n = from; n < end; n += TILE_COLUMNS)
          for (size_t m = first; m < last; m += TILE_ROWS) {
            const size_t count = end - n < TILE_COLUMNS ? end - n : TILE_COLUMNS;
            const size_t vectors = (count + LANES - 1) / LANES;
            const int whole = m + TILE_ROWS <= rows && count == vectors * LANES;
            float *tile = whole ? c + m * stride + n : edge;
            const size_t apart = whole ? stride : TILE_COLUMNS;
            const uint32_t *lines = panels + (m - first) * step, *panel = right + (n - from) * step;
            const int is_first = k == 0 || !whole;
            if (vectors == TILE_VECTORS)
              product16_tile(TILE_VECTORS, pairs, lines, across, along, panel, tile, apart, alpha, is_first);
            else if (vectors == 2) product16_tile(2, pairs, lines, across, along, panel, tile, apart, alpha, is_first);
            else product16_tile(1, pairs, lines, across, along, panel, tile, apart, alpha, is_first);
            if (!whole) product_add_edge(edge, TILE_COLUMNS, c + m * stride + n, stride, rows - m, count, k == 0);
          }
      }
    }
  }
  free(left), free(right);
}

#define PRODUCT16_FORM(name, a_transposed, b_transposed)                                                               \
  static __attribute__((noinline)) void name(Matrix a, Matrix b, float *c, size_t stride, size_t rows, size_t columns, \
                                             size_t length, float alpha) {                                             \
    a.transposed = a_transposed, b.transposed = b_transposed;                                                          \
    product16_block(a, b, c, stride, rows, columns, length, alpha);                                                    \
  }
PRODUCT16_FORM(product16_nn, 0, 0)
PRODUCT16_FORM(product16_nt, 0, 1)
PRODUCT16_FORM(product16_tn, 1, 0)
PRODUCT16_FORM(product16_tt, 1, 1)

static inline void product16(const Call *call, size_t part, size_t parts, size_t M, size_t N, size_t K, int transA,
                             int transB, float alpha) {
  static ProductForm *const forms[] = {product16_nn, product16_nt, product16_tn, product16_tt};
  product_part(forms, call, part, parts, M, N, K, transA, transB, alpha);
}
#else
#define product16 product
#endif

#endif
