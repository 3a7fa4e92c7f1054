// A stand-in for NVIDIA's libcuda.so.1, for `pnpm test:native --gpu` on a machine without a card: it reports one card of
// compute capability 9.0, so that TensorFlow goes on to open its CUDA libraries where its own search path leads. Nothing
// computes with it; TensorFlow gives up (or crashes) at the first function that is missing here, after the libraries.
//   gcc -shared -fPIC -Wl,-soname,libcuda.so.1 -o libcuda.so.1 fake-driver.c
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cuInit(unsigned flags) { return 0; }
/* The CUDA release that the driver knows: 12.5 unless DMAE_FAKE_CUDA says otherwise (13000 is 13.0). */
int cuDriverGetVersion(int *version) {
  const char *wanted = getenv("DMAE_FAKE_CUDA");
  return *version = wanted ? atoi(wanted) : 12050, 0;
}
int cuDeviceGetCount(int *count) { return *count = 1, 0; }
int cuDeviceGet(int *device, int ordinal) { return *device = 0, 0; }
int cuDeviceGetName(char *name, int length, int device) { return strncpy(name, "stand-in", length), 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { return *bytes = (size_t)80 << 30, 0; }
int cuDeviceGetPCIBusId(char *id, int length, int device) { return strncpy(id, "0000:01:00.0", length), 0; }
int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) { return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { return *context = (void *)0x1000, 0; }
int cuCtxGetCurrent(void **context) { return *context = (void *)0x1000, 0; }
int cuCtxSetCurrent(void *context) { return 0; }
int cuCtxGetDevice(int *device) { return *device = 0, 0; }
int cuGetErrorName(int error, const char **name) { return *name = "stand-in", 0; }
int cuGetErrorString(int error, const char **text) { return *text = "stand-in driver", 0; }

// Attributes 75 and 76 are the compute capability, 10 the width of a warp, 16 the number of multiprocessors.
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 10 ? 32 : attribute == 16 ? 132 : 1024;
  return 0;
}

int cuTensorMapEncodeTiled(void) { return 801; }
static int unsupported(void) { return 801; } /* CUDA_ERROR_NOT_SUPPORTED */
/* The CUDA 12 and 13 runtimes ask for every function by name. */
int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *status) {
  void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  char later[128];
  strcat(strncpy(later, name, 100), "_v2");
  *function = self ? dlsym(self, later) : NULL;
  if (self && !*function) *function = dlsym(self, name);
  if (getenv("DMAE_FAKE_TRACE")) dprintf(2, "driver: %s%s\n", name, *function ? "" : " (none)");
  if (!*function) *function = (void *)unsupported;
  if (status) *status = 0;
  return 0;
}
int cuGetProcAddress(const char *name, void **function, int version, uint64_t flags) {
  return cuGetProcAddress_v2(name, function, version, flags, NULL);
}
