/*
 * Convolutions of images with channels last, and their gradients, without a matrix of windows: along a row of the window, what an
 * output pixel reads lies in a line, so a tile of pixels and channels in registers runs over the rows of the window. Images are
 * copied once where they have borders of zeros. Sizes are constants where a kernel calls these functions.
 */
#ifndef DMAE_CONVOLUTION_H
#define DMAE_CONVOLUTION_H

#include "product.h"

/* A window over images [height, width, in] with `top` and `left` borders of zeros that makes [out_height, out_width, out]. */
typedef struct {
  size_t height, width, in, out_height, out_width, out, rows, columns, stride_down, stride_across, top, left;
} Window;

/* Pixels of a tile: as many as registers hold for this many vectors, and those that waste least of a row of pixels. */
#if defined(__AVX512F__)
enum { MOST_PIXELS = 16, FEW_PIXELS = 8 };
#elif defined(__aarch64__)
enum { MOST_PIXELS = 12, FEW_PIXELS = 8 };
#else
enum { MOST_PIXELS = 8, FEW_PIXELS = 4 };
#endif
enum { CONV_VECTORS = 2, PANEL = 16, MOST_SUMMED = 1024 };
/* PANEL: weights are padded to so many channels, whatever the vectors. MOST_SUMMED: pixels that one register sums up. */
#define WIDELY_UNROLLED _Pragma("GCC unroll 32")

/* Tiles of at most `most`, as few as possible and of equal length. */
static INLINE size_t best_tile(size_t length, size_t most) {
  const size_t tiles = (length + most - 1) / most;
  return (length + tiles - 1) / tiles;
}

/* `count` numbers of a vector, to memory that ends there. */
static INLINE void store(float *to, vector from, size_t count) {
  if (count >= LANES) *(vector *)to = from;
  else memcpy(to, &from, count * sizeof(float));
}

/* `pixels` neighbours by `vectors` of channels, `channels` of which exist. Weights are [rows, line, panel]. */
static INLINE void conv_tile(size_t pixels, size_t vectors, size_t rows, size_t line, const float *x, size_t apart,
                             size_t pitch, const float *weights, size_t panel, float *y, size_t stride,
                             size_t channels) {
  vector sum[MOST_PIXELS][CONV_VECTORS];
  WIDELY_UNROLLED for (size_t i = 0; i < pixels; i++)
    UNROLLED for (size_t j = 0; j < vectors; j++) sum[i][j] = (vector){0};
  for (size_t r = 0; r < rows; r++) {
    const float *from = x + r * pitch, *w = weights + r * line * panel;
    for (size_t k = 0; k < line; k++) {
      vector factor[CONV_VECTORS];
      UNROLLED for (size_t j = 0; j < vectors; j++) factor[j] = *(const vector *)(w + k * panel + j * LANES);
      WIDELY_UNROLLED for (size_t i = 0; i < pixels; i++) {
        const float value = from[i * apart + k];
        UNROLLED for (size_t j = 0; j < vectors; j++) sum[i][j] += value * factor[j];
      }
    }
  }
  WIDELY_UNROLLED for (size_t i = 0; i < pixels; i++)
    UNROLLED for (size_t j = 0; j < vectors; j++)
      if (j * LANES < channels) store(y + i * stride + j * LANES, sum[i][j], channels - j * LANES);
}

/* `count` rows of a padded image from row `first` on, `line` pixels each. */
static INLINE void conv_pad(Window w, const float *image, size_t first, size_t count, size_t line, float *to) {
  const size_t room = line > w.left ? line - w.left : 0, width = w.width < room ? w.width : room;
  memset(to, 0, count * line * w.in * sizeof(float));
  for (size_t r = 0; r < count; r++)
    if (first + r >= w.top && first + r - w.top < w.height)
      memcpy(to + (r * line + w.left) * w.in, image + (first + r - w.top) * w.width * w.in,
             width * w.in * sizeof(float));
}

/* Whether windows lie within the image as it is. */
static INLINE int conv_fits(Window w) {
  return w.top == 0 && w.left == 0 && (w.out_height - 1) * w.stride_down + w.rows <= w.height &&
         (w.out_width - 1) * w.stride_across + w.columns <= w.width;
}

/*
 * in: images and weights [rows, columns, in, panel], where panel is `out` in whole vectors; out: images. Part `part` is one of
 * `strips` strips of an image.
 */
static INLINE void convolution(const Call *call, size_t part, Window w, size_t strips) {
  const size_t image = part / strips, height = (w.out_height + strips - 1) / strips;
  const size_t first = part % strips * height;
  if (first >= w.out_height) return;
  const size_t count = first + height <= w.out_height ? height : w.out_height - first;
  const size_t panel = (w.out + PANEL - 1) / PANEL * PANEL;
  const float *x = call->in[0] + image * w.height * w.width * w.in;
  const int fits = conv_fits(w);
  const size_t line = fits ? w.width : (w.out_width - 1) * w.stride_across + w.columns;
  const size_t padded_rows = (height - 1) * w.stride_down + w.rows;
  float *padded = fits ? NULL : aligned_alloc(64, (padded_rows * line * w.in * sizeof(float) + 63) / 64 * 64);
  if (!fits)
    conv_pad(w, x, first * w.stride_down, (count - 1) * w.stride_down + w.rows, line, padded);
  const float *source = fits ? x + first * w.stride_down * w.width * w.in : padded;
  const size_t pitch = line * w.in, apart = w.stride_across * w.in;
  const size_t vectors = panel == LANES ? 1 : CONV_VECTORS;
  const size_t pixels = best_tile(w.out_width, vectors == 1 ? MOST_PIXELS : FEW_PIXELS);
  for (size_t n = 0; n + vectors * LANES <= panel; n += vectors * LANES)
    for (size_t oy = 0; oy < count; oy++)
      for (size_t ox = 0; ox < w.out_width; ox += pixels) {
        const size_t at = ox + pixels <= w.out_width ? ox : w.out_width - pixels; /* the last tile may overlap */
        conv_tile(pixels, vectors, w.rows, w.columns * w.in, source + oy * w.stride_down * pitch + at * apart, apart,
                  pitch, call->in[1] + n, panel,
                  call->out[0] + ((image * w.out_height + first + oy) * w.out_width + at) * w.out + n, w.out,
                  w.out > n ? w.out - n : 0);
      }
  const size_t rest = panel / LANES % vectors; /* one vector, where there is an odd number */
  if (rest) {
    const size_t n = panel - LANES, few = best_tile(w.out_width, MOST_PIXELS);
    for (size_t oy = 0; oy < count; oy++)
      for (size_t ox = 0; ox < w.out_width; ox += few) {
        const size_t at = ox + few <= w.out_width ? ox : w.out_width - few;
        conv_tile(few, 1, w.rows, w.columns * w.in, source + oy * w.stride_down * pitch + at * apart, apart, pitch,
                  call->in[1] + n, panel,
                  call->out[0] + ((image * w.out_height + first + oy) * w.out_width + at) * w.out + n, w.out,
                  w.out > n ? w.out - n : 0);
      }
  }
  free(padded);
}

/* A filter [rows, columns, in, out] as weights of a convolution, with zeros to whole vectors. */
static INLINE void conv_weights(const Call *call, size_t size, size_t in, size_t out) {
  const size_t panel = (out + PANEL - 1) / PANEL * PANEL;
  for (size_t k = 0; k < size * in; k++) {
    memcpy(call->out[0] + k * panel, call->in[0] + k * out, out * sizeof(float));
    if (panel > out) memset(call->out[0] + k * panel + out, 0, (panel - out) * sizeof(float));
  }
}

/* A filter as a matrix [out, panel], panel being rows x columns x in. */
static INLINE void conv_transposed_weights(const Call *call, size_t size, size_t in, size_t out) {
  const size_t lines = size * in, panel = (lines + PANEL - 1) / PANEL * PANEL;
  memset(call->out[0], 0, out * panel * sizeof(float));
  for (size_t k = 0; k < lines; k++)
    for (size_t o = 0; o < out; o++) call->out[0][o * panel + k] = call->in[0][k * out + o];
}

/*
 * The gradient by the input where a convolution would compute much for zeros: what each pixel of the gradient by the result
 * hands to its window, added up row by row. in: that gradient and transposed weights; out: images. A part is an image.
 */
static INLINE void conv_scatter(const Call *call, size_t part, Window w) {
  const size_t lines = w.rows * w.columns * w.in, panel = (lines + PANEL - 1) / PANEL * PANEL;
  const int fits = conv_fits(w);
  const size_t across = fits ? w.width : (w.out_width - 1) * w.stride_across + w.columns + w.left;
  const size_t down = fits ? w.height : (w.out_height - 1) * w.stride_down + w.rows + w.top, pitch = across * w.in;
  float *dx = call->out[0] + part * w.height * w.width * w.in;
  float *sums = fits ? dx : aligned_alloc(64, (down * pitch * sizeof(float) + 63) / 64 * 64);
  float *shares = aligned_alloc(64, w.out_width * panel * sizeof(float));
  const size_t vectors = panel == LANES ? 1 : CONV_VECTORS;
  const size_t pixels = best_tile(w.out_width, vectors == 1 ? MOST_PIXELS : FEW_PIXELS);
  const size_t few = best_tile(w.out_width, MOST_PIXELS);
  memset(sums, 0, down * pitch * sizeof(float));
  for (size_t oy = 0; oy < w.out_height; oy++) {
    const float *dy = call->in[0] + (part * w.out_height + oy) * w.out_width * w.out;
    size_t n = 0;
    for (; n + vectors * LANES <= panel; n += vectors * LANES)
      for (size_t ox = 0; ox < w.out_width; ox += pixels) {
        const size_t at = ox + pixels <= w.out_width ? ox : w.out_width - pixels;
        conv_tile(pixels, vectors, 1, w.out, dy + at * w.out, w.out, 0, call->in[1] + n, panel,
                  shares + at * panel + n, panel, vectors * LANES);
      }
    for (; n < panel; n += LANES)
      for (size_t ox = 0; ox < w.out_width; ox += few) {
        const size_t at = ox + few <= w.out_width ? ox : w.out_width - few;
        conv_tile(few, 1, 1, w.out, dy + at * w.out, w.out, 0, call->in[1] + n, panel, shares + at * panel + n, panel,
                  LANES);
      }
    for (size_t r = 0; r < w.rows; r++)
      for (size_t ox = 0; ox < w.out_width; ox++) {
        float *to = sums + (oy * w.stride_down + r) * pitch + ox * w.stride_across * w.in;
        const float *share = shares + ox * panel + r * w.columns * w.in;
#pragma omp simd
        for (size_t i = 0; i < w.columns * w.in; i++) to[i] += share[i];
      }
  }
  free(shares);
  if (fits) return;
  memset(dx, 0, w.height * w.width * w.in * sizeof(float));
  for (size_t y = 0; y < w.height && y + w.top < down; y++) {
    const size_t room = across - w.left;
    memcpy(dx + y * w.width * w.in, sums + (y + w.top) * pitch + w.left * w.in,
           (w.width < room ? w.width : room) * w.in * sizeof(float));
  }
  free(sums);
}

/* The largest of each window, or -infinity; borders are left out. A part is an image. */
static INLINE void max_pool(const Call *call, size_t part, Window w) {
  const float *x = call->in[0] + part * w.height * w.width * w.in;
  float *y = call->out[0] + part * w.out_height * w.out_width * w.in;
  for (size_t oy = 0; oy < w.out_height; oy++)
    for (size_t ox = 0; ox < w.out_width; ox++, y += w.in) {
      for (size_t c = 0; c < w.in; c++) y[c] = -INFINITY;
      for (size_t r = 0; r < w.rows; r++)
        for (size_t s = 0; s < w.columns; s++) {
          const size_t iy = oy * w.stride_down + r - w.top, ix = ox * w.stride_across + s - w.left;
          if (iy >= w.height || ix >= w.width) continue; /* above and to the left it wraps around */
          const float *from = x + (iy * w.width + ix) * w.in;
#pragma omp simd
          for (size_t c = 0; c < w.in; c++) y[c] = from[c] > y[c] || from[c] != from[c] ? from[c] : y[c];
        }
    }
}

/* in: the gradient by the result, the images and the result; out: the gradient, which goes to the first largest of a window. */
static INLINE void max_pool_gradient(const Call *call, size_t part, Window w) {
  const size_t size = w.height * w.width * w.in, made = w.out_height * w.out_width * w.in;
  const float *dy = call->in[0] + part * made, *x = call->in[1] + part * size, *y = call->in[2] + part * made;
  float *dx = call->out[0] + part * size;
  float *open = malloc(w.in * sizeof(float));
  memset(dx, 0, size * sizeof(float));
  for (size_t oy = 0; oy < w.out_height; oy++)
    for (size_t ox = 0; ox < w.out_width; ox++, dy += w.in, y += w.in) {
      for (size_t c = 0; c < w.in; c++) open[c] = dy[c];
      for (size_t r = 0; r < w.rows; r++)
        for (size_t s = 0; s < w.columns; s++) {
          const size_t iy = oy * w.stride_down + r - w.top, ix = ox * w.stride_across + s - w.left;
          if (iy >= w.height || ix >= w.width) continue;
          const size_t at = (iy * w.width + ix) * w.in;
#pragma omp simd
          for (size_t c = 0; c < w.in; c++) {
            const float taken = x[at + c] == y[c] ? open[c] : 0.0f;
            dx[at + c] += taken;
            open[c] = x[at + c] == y[c] ? 0.0f : open[c];
          }
        }
    }
  free(open);
}

/* `count` rows of a filter's gradient by `vectors`, over `height` rows of pixels; added to `sums`. */
static INLINE void conv_gradient_tile(size_t count, size_t vectors, Window w, size_t height, const float *x,
                                      size_t pitch, const float *dy, size_t panel, float *sums) {
  vector sum[MOST_PIXELS][CONV_VECTORS];
  WIDELY_UNROLLED for (size_t i = 0; i < count; i++) UNROLLED for (size_t j = 0; j < vectors; j++) sum[i][j] = (vector){0};
  for (size_t oy = 0; oy < height; oy++) {
    const float *from = x + oy * w.stride_down * pitch, *d = dy + oy * w.out_width * panel;
    for (size_t ox = 0; ox < w.out_width; ox++) {
      vector factor[CONV_VECTORS];
      UNROLLED for (size_t j = 0; j < vectors; j++) factor[j] = *(const vector *)(d + ox * panel + j * LANES);
      WIDELY_UNROLLED for (size_t i = 0; i < count; i++) {
        const float value = from[ox * w.stride_across * w.in + i];
        UNROLLED for (size_t j = 0; j < vectors; j++) sum[i][j] += value * factor[j];
      }
    }
  }
  WIDELY_UNROLLED for (size_t i = 0; i < count; i++)
    UNROLLED for (size_t j = 0; j < vectors; j++) *(vector *)(sums + i * panel + j * LANES) += sum[i][j];
}

/* A row of the window for some rows of an image, `vectors` of channels from `n` on. */
static INLINE void conv_gradient_row(Window w, size_t height, size_t vectors, size_t n, const float *x, size_t pitch,
                                     const float *dy, size_t panel, float *sums) {
  const size_t line = w.columns * w.in;
  const size_t count = best_tile(line, vectors == 1 ? MOST_PIXELS : FEW_PIXELS), rest = line % count;
  for (size_t i = 0; i + count <= line; i += count)
    conv_gradient_tile(count, vectors, w, height, x + i, pitch, dy + n, panel, sums + i * panel + n);
  if (rest)
    conv_gradient_tile(rest, vectors, w, height, x + line - rest, pitch, dy + n, panel,
                       sums + (line - rest) * panel + n);
}

/*
 * in: images and the gradient by the result; leaves in the partial sums of part `part` of `parts` a share of the filter's
 * gradient, [rows, columns, in, panel].
 */
static INLINE void conv_gradient(const Call *call, size_t part, Window w, size_t batch, size_t parts) {
  const size_t panel = (w.out + PANEL - 1) / PANEL * PANEL, pixels = w.out_height * w.out_width;
  const size_t line = w.columns * w.in;
  const size_t strip = w.out_width < MOST_SUMMED ? MOST_SUMMED / w.out_width : 1;
  const int fits = conv_fits(w), whole = panel == w.out;
  const size_t across = fits ? w.width : (w.out_width - 1) * w.stride_across + w.columns;
  const size_t down = (w.out_height - 1) * w.stride_down + w.rows, pitch = across * w.in;
  float *padded = fits ? NULL : aligned_alloc(64, (down * pitch * sizeof(float) + 63) / 64 * 64);
  float *wide = whole ? NULL : aligned_alloc(64, (pixels * panel * sizeof(float) + 63) / 64 * 64);
  if (!whole) memset(wide, 0, pixels * panel * sizeof(float));
  float *sums = call->partial + part * w.rows * line * panel;
  for (size_t image = batch * part / parts; image < batch * (part + 1) / parts; image++) {
    const float *x = call->in[0] + image * w.height * w.width * w.in, *dy = call->in[1] + image * pixels * w.out;
    if (!fits) conv_pad(w, x, 0, down, across, padded);
    if (!whole)
      for (size_t p = 0; p < pixels; p++) memcpy(wide + p * panel, dy + p * w.out, w.out * sizeof(float));
    for (size_t first = 0; first < w.out_height; first += strip) {
      const size_t height = first + strip <= w.out_height ? strip : w.out_height - first;
      const float *d = (whole ? dy : wide) + first * w.out_width * panel;
      for (size_t r = 0; r < w.rows; r++) {
        const float *from = (fits ? x : padded) + (first * w.stride_down + r) * pitch;
        float *to = sums + r * line * panel;
        size_t n = 0;
        for (; n + CONV_VECTORS * LANES <= panel; n += CONV_VECTORS * LANES)
          conv_gradient_row(w, height, CONV_VECTORS, n, from, pitch, d, panel, to);
        if (n < panel) conv_gradient_row(w, height, 1, n, from, pitch, d, panel, to);
      }
    }
  }
  free(padded);
  free(wide);
}

/* Adds the shares up, always in the same order. */
static INLINE void conv_gradient_sum(const Call *call, Window w, size_t parts) {
  const size_t panel = (w.out + PANEL - 1) / PANEL * PANEL, lines = w.rows * w.columns * w.in;
  for (size_t k = 0; k < lines; k++) {
    float *to = call->out[0] + k * w.out;
    for (size_t o = 0; o < w.out; o++) to[o] = 0.0f;
    for (size_t part = 0; part < parts; part++) {
      const float *from = call->partial + (part * lines + k) * panel;
      for (size_t o = 0; o < w.out; o++) to[o] += from[o];
    }
  }
}

#endif
