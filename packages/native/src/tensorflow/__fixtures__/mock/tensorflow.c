// Every function that the addon of tfjs-node calls, under its name; two of them do something.
#define EXPORT __attribute__((visibility("default")))
#ifdef TENSORFLOW_CC
#define NOTHING(name) EXPORT void name(void) {}
#include "symbols.inc"

EXPORT const char *TF_Version(void) { return MOCK_VERSION; }

// out = a b, 2 x 2, row by row.
EXPORT void TFE_Execute(const double *a, const double *b, double *out) {
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) out[2 * i + j] = a[2 * i] * b[j] + a[2 * i + 1] * b[2 + j];
}
#else
EXPORT int mock_framework(void) { return 0; }
#endif
