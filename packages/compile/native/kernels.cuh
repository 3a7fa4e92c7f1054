/*
 * What generated CUDA kernels stand on: a file for NVRTC is `#define OPERANDS n`, this text and the kernels. Sums have a fixed
 * order, so that every run and every card gives the same bits.
 */
#ifdef __CUDACC_RTC__
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)

static __device__ unsigned short to_float16_bits(float x) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
static __device__ float from_float16_bits(unsigned short bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
#endif

#define FULL_WARP 0xffffffffu

/* Pointers of a kernel's operands: inputs, outputs, room for partial sums. */
struct Call {
  void *at[OPERANDS];
};

struct bfloat16 {
  unsigned short bits;
};
struct float16 {
  unsigned short bits;
};

static __device__ float number(float x) { return x; }
static __device__ float number(bfloat16 x) { return __uint_as_float((unsigned)x.bits << 16); }
static __device__ float number(float16 x) { return from_float16_bits(x.bits); }

/* To the nearest number of the type, ties to even. */
static __device__ void narrow(float x, float &to) { to = x; }
static __device__ void narrow(float x, bfloat16 &to) {
  const unsigned bits = __float_as_uint(x);
  to.bits = x != x ? 0x7fff : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
static __device__ void narrow(float x, float16 &to) { to.bits = to_float16_bits(x); }

template <typename T> static __device__ float rounded(float x) {
  T narrowed;
  narrow(x, narrowed);
  return number(narrowed);
}

static __device__ float kernel_exp(float x) { return expf(x); }
static __device__ float kernel_erf(float x) { return erff(x); }
static __device__ float kernel_sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
static __device__ float kernel_step(float x) { return x != x ? x : x > 0.0f ? 1.0f : 0.0f; }
static __device__ float kernel_max(float a, float b) { return a != a ? a : a > b ? a : b; }
static __device__ float kernel_min(float a, float b) { return a != a ? a : a < b ? a : b; }
static __device__ float kernel_round_bfloat16(float x) { return rounded<bfloat16>(x); }
static __device__ float kernel_round_float16(float x) { return rounded<float16>(x); }

/* Neighbours in memory, moved in one access. */
template <typename T, int N> struct alignas(sizeof(T) * N) Vector {
  T at[N];
};
template <int N, typename T, typename Index> static __device__ Vector<T, N> load(const T *from, Index i) {
  return reinterpret_cast<const Vector<T, N> *>(from)[i];
}
template <int N, typename T, typename Index> static __device__ void store(T *to, Index i, const Vector<T, N> &value) {
  reinterpret_cast<Vector<T, N> *>(to)[i] = value;
}

struct Sum {
  static __device__ float of(float a, float b) { return a + b; }
};
struct Max {
  static __device__ float of(float a, float b) { return kernel_max(a, b); }
};

/* Joins the numbers of WIDTH threads: a part of a warp, a warp, or a block of whole warps. All get the result, bit by bit. */
template <typename How, int WIDTH> static __device__ float join(float x) {
#pragma unroll
  for (int d = (WIDTH < 32 ? WIDTH : 32) / 2; d > 0; d /= 2) x = How::of(x, __shfl_xor_sync(FULL_WARP, x, d));
  if (WIDTH <= 32) return x;
  __shared__ float of_warps[32];
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = x;
  __syncthreads();
  x = of_warps[0];
  for (int warp = 1; warp < WIDTH / 32; warp++) x = How::of(x, of_warps[warp]);
  __syncthreads();
  return x;
}

/* Adds up the rows of partial sums [parts, columns], by a block of 32 x 32 threads for 32 columns. */
static __device__ void add_up(const float *partial, int parts, int columns, float *sums) {
  __shared__ float of_rows[32][33];
  const int c = blockIdx.x * 32 + threadIdx.x;
  float sum = 0.0f;
  if (c < columns)
    for (int part = threadIdx.y; part < parts; part += 32) sum += partial[part * columns + c];
  of_rows[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || c >= columns) return;
  for (int row = 1; row < 32; row++) sum += of_rows[row][threadIdx.x];
  sums[c] = sum;
}
