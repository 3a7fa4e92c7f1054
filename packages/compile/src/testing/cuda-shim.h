/*
 * Runs CUDA kernels on the CPU, for tests: what CUDA declares for a kernel, and the functions of NVIDIA's driver that
 * cuda-kernels.h calls. Blocks run one after the other. The threads of a block run in turn; one that waits (for its block, or for
 * its warp in a shuffle) lets the next begin. A thread that ends while others wait for it is an error, as it is on a card.
 */
#include <dlfcn.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __global__ __attribute__((visibility("default")))
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)

struct Dimensions {
  unsigned x, y, z;
};
static Dimensions threadIdx, blockIdx, blockDim, gridDim;

enum Waiting { RUNNING, FOR_BLOCK, FOR_WARP, ENDED };
enum { MOST_THREADS = 1024, STACK = 1 << 16 };
struct Thread {
  ucontext_t context;
  char *stack;
  Waiting waiting;
};
static Thread threads[MOST_THREADS];
static ucontext_t scheduler;
static unsigned current, started, count;
static float exchanged[MOST_THREADS];

static void shim_wait(Waiting what) {
  threads[current].waiting = what;
  const unsigned self = current;
  swapcontext(&threads[self].context, &scheduler);
}
static void __syncthreads() { shim_wait(FOR_BLOCK); }
static float __shfl_xor_sync(unsigned mask, float x, int distance) {
  if (mask != 0xffffffffu) abort();
  const unsigned self = current;
  exchanged[self] = x;
  shim_wait(FOR_WARP);
  const float other = exchanged[self ^ distance];
  shim_wait(FOR_WARP); /* nobody writes before all have read */
  return other;
}

static unsigned __float_as_uint(float x) {
  unsigned bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
static float __uint_as_float(unsigned bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
/* To the nearest float16, ties to even: to a multiple of its unit at the size of x, which below 2^-14 is 2^-24. */
static unsigned short to_float16_bits(float x) {
  int exponent;
  const float size = fabsf(x);
  const unsigned short sign = signbit(x) ? 0x8000 : 0;
  if (x != x) return 0x7fff;
  if (size >= 65520.0f) return sign | 0x7c00;
  frexpf(size, &exponent);
  const int unit = size < 6.103515625e-5f ? -24 : exponent - 11;
  const unsigned multiple = (unsigned)nearbyintf(ldexpf(size, -unit));
  return sign | (unsigned short)(((unsigned)(unit + 24) << 10) + multiple);
}
static float from_float16_bits(unsigned short bits) {
  const unsigned exponent = (bits >> 10) & 31, fraction = bits & 0x3ff;
  const float size = exponent == 31 ? (fraction ? NAN : INFINITY)
                     : exponent == 0 ? ldexpf((float)fraction, -24)
                                     : ldexpf((float)(fraction + 1024), (int)exponent - 25);
  return bits & 0x8000 ? -size : size;
}

static void *kernel, *operands;

/* To be defined where `Call` is known: SHIM_CALL at the end of the file. */
static void call_kernel();
#define SHIM_CALL \
  static void call_kernel() { ((void (*)(const Call))kernel)(*(const Call *)operands); }

static void place(unsigned thread) {
  current = thread;
  threadIdx = {thread % blockDim.x, thread / blockDim.x, 0};
}

/* Runs threads that were not begun, until one of them waits: it keeps this stack, and the next one gets its own. */
static void run_threads() {
  while (started < count) {
    const unsigned self = started++;
    place(self);
    threads[self].waiting = RUNNING;
    call_kernel();
    threads[self].waiting = ENDED;
    if (self + 1 != started) break; /* others began while it waited */
  }
  setcontext(&scheduler);
}

static void begin(unsigned thread) {
  Thread *at = &threads[thread];
  if (!at->stack) at->stack = (char *)malloc(STACK);
  getcontext(&at->context);
  at->context.uc_stack.ss_sp = at->stack;
  at->context.uc_stack.ss_size = STACK;
  makecontext(&at->context, run_threads, 0);
  swapcontext(&scheduler, &at->context);
}

static void resume(unsigned thread) {
  place(thread);
  threads[thread].waiting = RUNNING;
  swapcontext(&scheduler, &threads[thread].context);
}

/* Lets go on those of [first, last) that wait for each other; false where not all of them do. */
static bool release(unsigned first, unsigned last, Waiting what) {
  for (unsigned i = first; i < last; i++)
    if (threads[i].waiting != what) return false;
  for (unsigned i = first; i < last; i++) resume(i);
  return true;
}

static void run_block() {
  started = 0;
  while (started < count) begin(started);
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    for (unsigned first = 0; first < count; first += 32)
      if (first + 32 <= count) goes_on |= release(first, first + 32, FOR_WARP);
    if (!goes_on) goes_on = release(0, count, FOR_BLOCK);
  }
  for (unsigned i = 0; i < count; i++)
    if (threads[i].waiting != ENDED) {
      fprintf(stderr, "cuda-shim: thread %u of block %u waits for threads that have ended or wait elsewhere\n", i, blockIdx.x);
      abort();
    }
}

#define DRIVER extern "C" __attribute__((visibility("default"))) int
DRIVER cuInit(unsigned) { return 0; }
DRIVER cuDevicePrimaryCtxRetain(void **context, int) { return *context = (void *)1, 0; }
DRIVER cuCtxSetCurrent(void *) { return 0; }
DRIVER cuModuleLoadData(void **module, const void *image) {
  *module = dlopen((const char *)image, RTLD_NOW | RTLD_NOLOAD);
  return *module ? 0 : 209;
}
DRIVER cuModuleUnload(void *module) { return dlclose(module); }
DRIVER cuModuleGetFunction(void **function, void *module, const char *name) {
  *function = dlsym(module, name);
  return *function ? 0 : 500;
}
DRIVER cuGetErrorString(int, const char **text) { return *text = "shim", 0; }
DRIVER cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                      unsigned, void *, void **parameters, void **) {
  gridDim = {gx, gy, gz};
  blockDim = {bx, by, bz};
  count = bx * by * bz;
  if (gz != 1 || bz != 1 || count > MOST_THREADS || gx == 0) return 1;
  kernel = function;
  operands = parameters[0];
  for (unsigned y = 0; y < gy; y++)
    for (unsigned x = 0; x < gx; x++) {
      blockIdx = {x, y, 0};
      run_block();
    }
  return 0;
}
