// Marks a function whose loops are compiled for the baseline and for AVX2 with FMA; the loader picks one. Sanitizers do not
// get along with that. No clone may fuse a product and a sum: the build says -ffp-contract=off.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define QATGAP_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define QATGAP_CLONES
#endif
// For what a marked function calls: only what is inlined into a clone is compiled for it.
#define QATGAP_INLINE __attribute__((always_inline)) inline
