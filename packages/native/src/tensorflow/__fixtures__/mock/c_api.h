#pragma once
#include "tensorflow/c/types.h"
#ifdef __cplusplus
extern "C" {
#endif
mock_text TF_Version(void);
void TFE_Execute(const double *a, const double *b, double *out);
#ifdef __cplusplus
}
#endif
