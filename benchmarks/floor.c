/* The arithmetic peak of one core: products and sums that never leave the registers.
   Prints GFLOP/s in float32, then in bfloat16 (0 where the processor has no such instruction).
   Vectors are as wide as the compiler's target has registers; other widths spill to memory. */
#include <stdio.h>
#include <time.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else /* SSE, NEON */
#define BYTES 16
#endif
#if defined(__AVX512F__)
#define HIDE(x) __asm__ volatile("" : "+v"(x))
#elif defined(__x86_64__)
#define HIDE(x) __asm__ volatile("" : "+x"(x))
#elif defined(__aarch64__)
#define HIDE(x) __asm__ volatile("" : "+w"(x))
#else
#define HIDE(x) __asm__ volatile("" : "+m"(x))
#endif

enum { LANES = BYTES / 4, CHAINS = 12, ROUNDS = 40000000 };
typedef float wide __attribute__((vector_size(BYTES)));

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main(void) {
    wide sum[CHAINS] = {0}, a, b;
    for (int i = 0; i < LANES; i++) a[i] = 0.999f, b[i] = 1e-3f;
    double start = now();
    for (long r = 0; r < ROUNDS; r++) {
        for (int c = 0; c < CHAINS; c++) sum[c] = sum[c] * a + b;
        HIDE(a);
    }
    double single = 2.0 * LANES * CHAINS * ROUNDS / (now() - start) / 1e9, half = 0;
#ifdef __AVX512BF16__
    __m512 total[CHAINS];
    for (int c = 0; c < CHAINS; c++) total[c] = _mm512_setzero_ps();
    __m512bh x = (__m512bh)_mm512_set1_epi16(0x3f80), y = x;
    start = now();
    for (long r = 0; r < ROUNDS; r++) {
        for (int c = 0; c < CHAINS; c++) total[c] = _mm512_dpbf16_ps(total[c], x, y);
        HIDE(x);
    }
    half = 2.0 * 32 * CHAINS * ROUNDS / (now() - start) / 1e9;
    for (int c = 0; c < CHAINS; c++) sum[c] += (wide)total[c];
#endif
    float kept = 0;
    for (int c = 0; c < CHAINS; c++) kept += sum[c][c % LANES];
    printf("%.1f %.1f %g\n", single, half, kept);
    return 0;
}
