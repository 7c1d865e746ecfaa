// Reading, and changing without a race: for the types that CUDA has them for, and for no others.

#ifndef SIMT_ATOMICS_H
#define SIMT_ATOMICS_H

// Loads and stores with a word about the caches, which are not modelled here.
#define SIMT_LOAD(name)                                                                          \
    template <class T>                                                                           \
    SIMT_INLINE T name(const T *p)                                                               \
    {                                                                                            \
        return *p;                                                                               \
    }
SIMT_LOAD(__ldg)
SIMT_LOAD(__ldca)
SIMT_LOAD(__ldcg)
SIMT_LOAD(__ldcs)
#define SIMT_STORE(name)                                                                         \
    template <class T>                                                                           \
    SIMT_INLINE void name(T *p, std::decay_t<T> value)                                           \
    {                                                                                            \
        *p = value;                                                                              \
    }
SIMT_STORE(__stcg)
SIMT_STORE(__stcs)
SIMT_STORE(__stwt)

// old = *p; *p = change(old), as one step: blocks run on several OS threads.
template <class T, class F>
SIMT_INLINE SIMT_UNSEEN T simt_atomic(T *p, F change)
{
    T old, next;
    __builtin_memcpy(&old, p, sizeof old);
    do
        next = change(old);
    while (!simt_exchange(p, &old, &next, sizeof old));
    return old;
}

// The work is not inlined: its caller is the kernel's line.
#define SIMT_ATOMIC_FUNCTION(name, change)                                                       \
    template <class T>                                                                           \
    __attribute__((noinline)) SIMT_UNSEEN T simt_##name(T *p, T v)                               \
    {                                                                                            \
        simt_touch(p, sizeof *p, SIMT_ATOMIC, __builtin_return_address(0));                      \
        return simt_atomic(p, [v](T old) SIMT_UNSEEN -> T { return change; });                   \
    }
#define SIMT_ATOMIC_FOR(name, type)                                                              \
    SIMT_INLINE type name(type *p, type v)                                                       \
    {                                                                                            \
        return simt_##name(p, v);                                                                \
    }
#define SIMT_ATOMIC_INTEGERS(name)                                                               \
    SIMT_ATOMIC_FOR(name, int)                                                                   \
    SIMT_ATOMIC_FOR(name, unsigned)                                                              \
    SIMT_ATOMIC_FOR(name, unsigned long long)

SIMT_ATOMIC_FUNCTION(atomicAdd, old + v)
SIMT_ATOMIC_FUNCTION(atomicSub, old - v)
SIMT_ATOMIC_FUNCTION(atomicMax, old < v ? v : old)
SIMT_ATOMIC_FUNCTION(atomicMin, v < old ? v : old)
SIMT_ATOMIC_FUNCTION(atomicExch, ((void)old, v))
SIMT_ATOMIC_FUNCTION(atomicAnd, old & v)
SIMT_ATOMIC_FUNCTION(atomicOr, old | v)
SIMT_ATOMIC_FUNCTION(atomicXor, old ^ v)
SIMT_ATOMIC_FUNCTION(atomicInc, old >= v ? 0 : old + 1)
SIMT_ATOMIC_FUNCTION(atomicDec, old == 0 || old > v ? v : old - 1)

// CUDA C++ Programming Guide, "Atomic Functions": which types each of them takes.
SIMT_ATOMIC_INTEGERS(atomicAdd)
SIMT_ATOMIC_FOR(atomicAdd, float)
SIMT_ATOMIC_FOR(atomicAdd, double)
SIMT_ATOMIC_FOR(atomicSub, int)
SIMT_ATOMIC_FOR(atomicSub, unsigned)
SIMT_ATOMIC_INTEGERS(atomicMax)
SIMT_ATOMIC_FOR(atomicMax, long long)
SIMT_ATOMIC_INTEGERS(atomicMin)
SIMT_ATOMIC_FOR(atomicMin, long long)
SIMT_ATOMIC_INTEGERS(atomicExch)
SIMT_ATOMIC_FOR(atomicExch, float)
SIMT_ATOMIC_INTEGERS(atomicAnd)
SIMT_ATOMIC_INTEGERS(atomicOr)
SIMT_ATOMIC_INTEGERS(atomicXor)
SIMT_ATOMIC_FOR(atomicInc, unsigned)
SIMT_ATOMIC_FOR(atomicDec, unsigned)

// For one block only, or for the host as well: the same to one emulated device.
#define atomicAdd_block(p, v) atomicAdd(p, v)
#define atomicAdd_system(p, v) atomicAdd(p, v)

template <class T>
__attribute__((noinline)) SIMT_UNSEEN T simt_atomicCAS(T *p, T expected, T v)
{
    simt_touch(p, sizeof *p, SIMT_ATOMIC, __builtin_return_address(0));
    simt_exchange(p, &expected, &v, sizeof v);
    return expected;
}
#define SIMT_ATOMIC_CAS(type)                                                                    \
    SIMT_INLINE type atomicCAS(type *p, type expected, type v)                                   \
    {                                                                                            \
        return simt_atomicCAS(p, expected, v);                                                   \
    }
SIMT_ATOMIC_CAS(int)
SIMT_ATOMIC_CAS(unsigned)
SIMT_ATOMIC_CAS(unsigned long long)
SIMT_ATOMIC_CAS(unsigned short)

#endif
