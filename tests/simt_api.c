// The errors of the CUDA runtime and of cuBLAS, by NVIDIA's own codes: what a program hears that
// passes a wrong pointer, a dead stream, an event without a time, a leading dimension too small.
// What each call returns, cudaGetLastError() says once more, and then forgets.

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <stdio.h>
#include <stdlib.h>

static int failed;

static void check(const char *call, int is, int expected, const char *name)
{
    if (is != expected)
        printf("not ok - api: %s returns %d (%s), not %d\n", call, is, name, expected);
    failed += is != expected;
}

#define EXPECT(code, call)                                                                        \
    do {                                                                                          \
        cudaError_t is = (call);                                                                  \
        check(#call, is, code, cudaGetErrorName(is));                                             \
        check("cudaGetLastError behind " #call, cudaGetLastError(), code, "see above");           \
        check("a second cudaGetLastError", cudaGetLastError(), cudaSuccess, "see above");         \
    } while (0)
#define EXPECT_BLAS(code, call)                                                                   \
    do {                                                                                          \
        cublasStatus_t is = (call);                                                               \
        check(#call, is, code, cublasGetStatusName(is));                                          \
    } while (0)

static float host[64];

static void memory(void)
{
    char *p = NULL;
    void *same, *nothing = host;
    size_t bytes;
    EXPECT(cudaSuccess, cudaMalloc(&nothing, 0));
    check("a pointer to nothing", nothing != NULL, 0, "not NULL");
    EXPECT(cudaErrorMemoryAllocation, cudaMalloc(&nothing, (size_t)1 << 50));
    EXPECT(cudaErrorInvalidValue, cudaMalloc(NULL, 4));
    EXPECT(cudaErrorInvalidValue, cudaMallocHost(NULL, 4));
    EXPECT(cudaErrorInvalidValue, cudaMemGetInfo(NULL, &bytes));
    EXPECT(cudaSuccess, cudaFree(NULL));
    EXPECT(cudaSuccess, cudaMalloc((void **)&p, 256));
    same = p;
    EXPECT(cudaErrorInvalidValue, cudaFree(p + 16));
    EXPECT(cudaSuccess, cudaFree(p));
    EXPECT(cudaErrorInvalidValue, cudaFree(same));
    EXPECT(cudaErrorInvalidValue, cudaFree(host));
}

static void copies(char *p)
{
    EXPECT(cudaSuccess, cudaMemcpy(p, host, 256, cudaMemcpyHostToDevice));
    EXPECT(cudaSuccess, cudaMemcpy(host, p, 256, cudaMemcpyDefault));
    EXPECT(cudaErrorInvalidValue, cudaMemcpy(p, host, 256, cudaMemcpyDeviceToHost));
    EXPECT(cudaErrorInvalidValue, cudaMemcpy(host, p, 256, cudaMemcpyDeviceToDevice));
    EXPECT(cudaErrorInvalidValue, cudaMemcpy(p, host, 257, cudaMemcpyHostToDevice));
    EXPECT(cudaErrorInvalidValue, cudaMemcpy(NULL, host, 4, cudaMemcpyHostToDevice));
    EXPECT(cudaErrorInvalidValue, cudaMemcpy(p, NULL, 4, cudaMemcpyHostToDevice));
    EXPECT(cudaSuccess, cudaMemcpy(NULL, NULL, 0, cudaMemcpyHostToDevice));
    EXPECT(cudaErrorInvalidMemcpyDirection, cudaMemcpy(p, host, 4, (enum cudaMemcpyKind)7));
    EXPECT(cudaErrorInvalidValue, cudaMemcpy2D(p, 16, host, 8, 16, 2, cudaMemcpyHostToDevice));
    EXPECT(cudaErrorInvalidValue, cudaMemcpy2D(p, 16, host, 16, 16, 17, cudaMemcpyHostToDevice));
    EXPECT(cudaSuccess, cudaMemset(p + 255, 1, 1));
    EXPECT(cudaErrorInvalidValue, cudaMemset(p, 1, 257));
    EXPECT(cudaErrorInvalidValue, cudaMemset(host, 1, 4));
    EXPECT(cudaSuccess, cudaMemset(NULL, 1, 0));
}

static void streams(char *p)
{
    cudaStream_t stream;
    EXPECT(cudaErrorInvalidValue, cudaStreamCreate(NULL));
    EXPECT(cudaSuccess, cudaStreamCreate(&stream));
    EXPECT(cudaSuccess, cudaMemcpyAsync(p, host, 4, cudaMemcpyHostToDevice, stream));
    EXPECT(cudaSuccess, cudaStreamQuery(stream));
    EXPECT(cudaSuccess, cudaStreamDestroy(stream));
    EXPECT(cudaErrorInvalidResourceHandle, cudaStreamDestroy(stream));
    EXPECT(cudaErrorInvalidResourceHandle, cudaStreamSynchronize(stream));
    EXPECT(cudaErrorInvalidResourceHandle, cudaMemsetAsync(p, 0, 4, stream));
    EXPECT(cudaErrorInvalidResourceHandle, cudaStreamDestroy(NULL));
}

static void events(void)
{
    cudaEvent_t start, end, order;
    float ms = -1;
    EXPECT(cudaErrorInvalidValue, cudaEventCreate(NULL));
    EXPECT(cudaSuccess, cudaEventCreate(&start));
    EXPECT(cudaSuccess, cudaEventCreate(&end));
    EXPECT(cudaSuccess, cudaEventCreateWithFlags(&order, cudaEventDisableTiming));
    EXPECT(cudaSuccess, cudaEventRecord(start, 0));
    EXPECT(cudaSuccess, cudaEventRecord(order, 0));
    EXPECT(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&ms, start, end));
    EXPECT(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&ms, start, order));
    EXPECT(cudaSuccess, cudaEventRecord(end, 0));
    EXPECT(cudaErrorInvalidValue, cudaEventElapsedTime(NULL, start, end));
    EXPECT(cudaSuccess, cudaEventElapsedTime(&ms, start, end));
    check("a time below 0", ms < 0, 0, "ms");
    EXPECT(cudaErrorInvalidResourceHandle, cudaEventRecord(NULL, 0));
    EXPECT(cudaErrorInvalidResourceHandle, cudaStreamWaitEvent(0, NULL, 0));
    EXPECT(cudaSuccess, cudaEventDestroy(start));
    EXPECT(cudaSuccess, cudaEventDestroy(end));
    EXPECT(cudaSuccess, cudaEventDestroy(order));
}

static void device(void)
{
    int n = 0;
    enum cudaFuncAttribute most = cudaFuncAttributeMaxDynamicSharedMemorySize;
    EXPECT(cudaErrorInvalidValue, cudaGetDeviceCount(NULL));
    EXPECT(cudaErrorInvalidDevice, cudaSetDevice(1));
    EXPECT(cudaErrorInvalidDevice, cudaSetDevice(-1));
    EXPECT(cudaErrorInvalidDevice, cudaDeviceGetAttribute(&n, cudaDevAttrWarpSize, 1));
    EXPECT(cudaSuccess, cudaDeviceGetAttribute(&n, cudaDevAttrWarpSize, 0));
    check("lanes of a warp", n, 32, "lanes");
    EXPECT(cudaErrorInvalidDeviceFunction, cudaFuncSetAttribute(NULL, most, 1024));
    EXPECT(cudaErrorInvalidValue,
           cudaFuncSetAttribute((const void *)device, most, (227 << 10) + 1));
    EXPECT(cudaErrorInvalidValue, cudaFuncSetAttribute((const void *)device, most, -1));
    EXPECT(cudaSuccess, cudaFuncSetAttribute((const void *)device, most, 227 << 10));
}

// A 2 x 2 product in bf16, C with a leading dimension that may be too small.
static cublasStatus_t product_bf16(cublasHandle_t h, float *a, int ldc)
{
    float one = 1, zero = 0;
    return cublasGemmEx(h, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, a, CUDA_R_16BF, 2, a + 8,
                        CUDA_R_16BF, 2, &zero, a + 16, CUDA_R_16BF, ldc, CUBLAS_COMPUTE_32F,
                        CUBLAS_GEMM_DEFAULT);
}

// 2 x 2 matrices; what is wrong is the leading dimension of one of them, or no matrix's.
static void blas(float *a)
{
    cublasHandle_t h;
    cublasOperation_t n = CUBLAS_OP_N, t = CUBLAS_OP_T;
    float one = 1, zero = 0, *b = a + 8, *c = a + 16;
    EXPECT_BLAS(CUBLAS_STATUS_INVALID_VALUE, cublasCreate(NULL));
    EXPECT_BLAS(CUBLAS_STATUS_NOT_INITIALIZED,
                cublasSgemm(NULL, n, n, 2, 2, 2, &one, a, 2, b, 2, &zero, c, 2));
    EXPECT_BLAS(CUBLAS_STATUS_SUCCESS, cublasCreate(&h));
    EXPECT_BLAS(CUBLAS_STATUS_SUCCESS,
                cublasSgemm(h, n, n, 2, 2, 2, &one, a, 2, b, 2, &zero, c, 2));
    EXPECT_BLAS(CUBLAS_STATUS_SUCCESS,
                cublasSgemm(h, n, n, 0, 2, 2, &one, a, 1, b, 2, &zero, c, 1));
    EXPECT_BLAS(CUBLAS_STATUS_INVALID_VALUE,
                cublasSgemm(h, n, n, 2, 2, 2, &one, a, 1, b, 2, &zero, c, 2));
    EXPECT_BLAS(CUBLAS_STATUS_INVALID_VALUE,
                cublasSgemm(h, n, n, 2, 2, 2, &one, a, 2, b, 1, &zero, c, 2));
    EXPECT_BLAS(CUBLAS_STATUS_INVALID_VALUE,
                cublasSgemm(h, n, n, 2, 2, 2, &one, a, 2, b, 2, &zero, c, 1));
    EXPECT_BLAS(CUBLAS_STATUS_INVALID_VALUE, // A transposed is [k, m]: 4 rows
                cublasSgemm(h, t, n, 2, 2, 4, &one, a, 2, b, 4, &zero, c, 2));
    EXPECT_BLAS(CUBLAS_STATUS_INVALID_VALUE,
                cublasSgemm(h, n, n, -1, 2, 2, &one, a, 2, b, 2, &zero, c, 2));
    EXPECT_BLAS(CUBLAS_STATUS_INVALID_VALUE,
                cublasSgemm(h, n, n, 2, 2, 2, NULL, a, 2, b, 2, &zero, c, 2));
    EXPECT_BLAS(CUBLAS_STATUS_INVALID_VALUE,
                cublasSgemm(h, (cublasOperation_t)9, n, 2, 2, 2, &one, a, 2, b, 2, &zero, c, 2));
    EXPECT_BLAS(CUBLAS_STATUS_SUCCESS, product_bf16(h, a, 2));
    EXPECT_BLAS(CUBLAS_STATUS_INVALID_VALUE, product_bf16(h, a, 1));
    EXPECT_BLAS(CUBLAS_STATUS_SUCCESS, cublasDestroy(h));
    EXPECT_BLAS(CUBLAS_STATUS_NOT_INITIALIZED, cublasDestroy(NULL));
}

static void group(const char *what, int before)
{
    if (failed == before)
        printf("ok - api: %s\n", what);
}

int main(void)
{
    int before = failed;
    char *p = NULL;
    memory();
    group("allocating and freeing", before);
    EXPECT(cudaSuccess, cudaMalloc((void **)&p, 256));
    copies(p);
    group("copies and memset", before);
    streams(p);
    group("streams", before);
    events();
    group("events", before);
    device();
    group("the device and its functions", before);
    blas((float *)(void *)p);
    group("cuBLAS", before);
    EXPECT(cudaSuccess, cudaFree(p));
    return failed != 0;
}
