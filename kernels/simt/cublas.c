// cuBLAS's single-precision matrix product, on device memory of the emulator. Sums in the order
// of k; NVIDIA's order is another one, so that the last bits differ.

#include "include/cublas_v2.h"
#include "simt.h"

#include <stdlib.h>
#include <string.h>

// Float addition is not associative, and a GPU adds in tiles, several partial sums at a time: a
// test that compares the two needs a tolerance.
struct cublasContext {
    cudaStream_t stream;
};

// A handle is no more than the stream on which it works.
// A new handle works on the default stream. The suffix _v2 is in the name because cublas_v2.h
// renames the calls, as NVIDIA's header does.
cublasStatus_t cublasCreate_v2(cublasHandle_t *handle)
{
    if (!handle)
        return CUBLAS_STATUS_INVALID_VALUE;
    *handle = calloc(1, sizeof **handle);
    return *handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
    free(handle);
    return handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

// Work is done at once (cudart.c): a stream matters only in that it must still exist.
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

// Math modes allow tensor cores to round the inputs, to TF32 for example. Here every mode is full
// float32: the most exact answer is allowed in each of them.
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    (void)mode;
    return handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

const char *cublasGetStatusName(cublasStatus_t status)
{
    switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_MAPPING_ERROR: return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "CUBLAS_STATUS_EXECUTION_FAILED";
    }
}

// cuBLAS has sentences here; the name is what one looks up.
const char *cublasGetStatusString(cublasStatus_t status)
{
    return cublasGetStatusName(status);
}

// --- the product -----------------------------------------------------------------------------

// A stored matrix of `rows` x `columns`, and whether the product takes it transposed.
// cuBLAS stores matrices column by column, C row by row. The same bytes, read the other way, are
// the transpose. So a row-major C = A B, [m, n] = [m, k] [k, n], is asked for as C^T = B^T A^T:
// the two inputs exchanged, m and n exchanged, and no data moved.
typedef struct {
    const void *data;
    long ld; // leading dimension: elements from one column to the next, >= rows
    int rows, columns; // as stored, before any transposing
    int transposed;
} Matrix;

// Element (i, j) of the matrix as the product takes it; column-major, as Fortran has it.
static float element(Matrix a, long i, long j)
{
    const float *x = a.data;
    return a.transposed ? x[j + i * a.ld] : x[i + j * a.ld];
}

// cuBLAS refuses a leading dimension below the number of rows, even of an empty matrix.
static int is_valid(Matrix a)
{
    return a.rows >= 0 && a.columns >= 0 && a.ld >= (a.rows > 1 ? a.rows : 1);
}

// All of it on the device? Its elements have so many bytes.
// The last column ends with its last row, not with ld: padding behind it need not exist.
static int is_there(Matrix a, size_t bytes)
{
    if (a.rows == 0 || a.columns == 0)
        return 1;
    long elements = (a.columns - 1) * a.ld + a.rows;
    return simt_range_is_allocated(a.data, (size_t)elements * bytes);
}

// A real GPU may read beyond a matrix and say nothing. With k = 0 there is no A and no B to look
// at: C = beta C.
static int are_there(Matrix a, Matrix b, Matrix c, int k, size_t bytes)
{
    if ((!k || (is_there(a, bytes) && is_there(b, bytes))) && is_there(c, bytes))
        return 1;
    simt_set_error(cudaErrorIllegalAddress);
    return 0;
}

// C = alpha A B + beta C. With beta 0, C is not read: NaN that lies there does not spread, as the
// reference BLAS has it.
static void multiply(float alpha, Matrix a, Matrix b, int k, float beta, Matrix c, float *result)
{
    for (long j = 0; j < c.columns; j++)
        for (long i = 0; i < c.rows; i++) {
            float sum = 0, *at = &result[i + j * c.ld];
            for (long p = 0; p < k && alpha != 0; p++)
                sum += element(a, i, p) * element(b, p, j);
            *at = alpha * sum + (beta == 0 ? 0 : beta * *at); // beta 0: C may hold anything
        }
}

// op(A) is [m, k], op(B) [k, n], C [m, n], all column-major; ld and stride count floats, not
// bytes. Product i of the batch begins i strides behind the first; a stride of 0 uses one matrix
// for all of them. alpha and beta lie in the host's memory, which is cuBLAS's default
// (CUBLAS_POINTER_MODE_HOST). The checks stand in order: what is wrong with the call itself is
// CUBLAS_STATUS_INVALID_VALUE, before any memory is looked at.
cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t op_a,
                                         cublasOperation_t op_b, int m, int n, int k,
                                         const float *alpha, const float *a, int lda,
                                         long long stride_a, const float *b, int ldb,
                                         long long stride_b, const float *beta, float *c, int ldc,
                                         long long stride_c, int batch)
{
    int ta = op_a != CUBLAS_OP_N, tb = op_b != CUBLAS_OP_N;
    Matrix A = {a, lda, ta ? k : m, ta ? m : k, ta}, B = {b, ldb, tb ? n : k, tb ? k : n, tb};
    Matrix C = {c, ldc, m, n, 0};
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (op_a > CUBLAS_OP_C || op_b > CUBLAS_OP_C)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!is_valid(A) || !is_valid(B) || !is_valid(C) || batch < 0 || !alpha || !beta)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!simt_stream_is_alive(handle->stream) || simt_get_error(0) >= cudaErrorIllegalAddress)
        return CUBLAS_STATUS_EXECUTION_FAILED;
    for (int i = 0; i < batch && m && n; i++) {
        A.data = a + i * stride_a;
        B.data = b + i * stride_b;
        C.data = c + i * stride_c;
        if (!are_there(A, B, C, k, sizeof(float)))
            return CUBLAS_STATUS_EXECUTION_FAILED;
        simt_open_memory();
        multiply(*alpha, A, B, k, *beta, C, c + i * stride_c);
        simt_close_memory();
    }
    return CUBLAS_STATUS_SUCCESS;
}

// One matrix is a batch of one.
cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t op_a,
                              cublasOperation_t op_b, int m, int n, int k, const float *alpha,
                              const float *a, int lda, const float *b, int ldb, const float *beta,
                              float *c, int ldc)
{
    return cublasSgemmStridedBatched(handle, op_a, op_b, m, n, k, alpha, a, lda, 0, b, ldb, 0,
                                     beta, c, ldc, 0, 1);
}

// --- bf16 ------------------------------------------------------------------------------------

// A bf16 is the upper half of a float.
// 1 bit of sign, 8 of exponent, 7 of fraction: float's range with a precision of 2 to 3 digits.
// So widening is exact: 16 zeros behind it.
static float widen(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// To the nearest, ties to even. NaN stays NaN: adding half a place could carry it to infinity.
static uint16_t narrow(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return x != x ? 0x7fff : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// bf16 in, sums in float32, bf16 out, beta 0: the one combination that is answered. A product of
// two bf16 is exact in float32, as 8 and 8 significant bits make at most 16 of 24; what is rounded
// is the sum, and once more the result. Anything else is refused rather than done in another type.
cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                            int m, int n, int k, const void *alpha, const void *a,
                            cudaDataType type_a, int lda, const void *b, cudaDataType type_b,
                            int ldb, const void *beta, void *c, cudaDataType type_c, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
{
    const uint16_t *x = a, *y = b;
    uint16_t *z = c;
    (void)algorithm;
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (type_a != CUDA_R_16BF || type_b != CUDA_R_16BF || type_c != CUDA_R_16BF ||
        compute != CUBLAS_COMPUTE_32F || *(const float *)beta != 0)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    int ta = op_a != CUBLAS_OP_N, tb = op_b != CUBLAS_OP_N;
    Matrix A = {a, lda, ta ? k : m, ta ? m : k, ta}, B = {b, ldb, tb ? n : k, tb ? k : n, tb};
    Matrix C = {c, ldc, m, n, 0};
    if (!is_valid(A) || !is_valid(B) || !is_valid(C))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!are_there(A, B, C, k, sizeof(uint16_t)))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    simt_open_memory();
    for (long j = 0; j < n; j++)
        for (long i = 0; i < m; i++) {
            float sum = 0;
            for (long p = 0; p < k; p++)
                sum += widen(x[op_a == CUBLAS_OP_N ? i + p * lda : p + i * lda]) *
                       widen(y[op_b == CUBLAS_OP_N ? p + j * ldb : j + p * ldb]);
            z[i + j * ldc] = narrow(*(const float *)alpha * sum);
        }
    simt_close_memory();
    return CUBLAS_STATUS_SUCCESS;
}
