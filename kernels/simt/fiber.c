// The switch: store the registers that a called function must preserve, exchange the stack
// pointer, load the other fiber's registers, return into its code.

#include "fiber.h"

#include <stdint.h>

#if defined(__x86_64__) && !defined(FIBER_UCONTEXT)

// System V AMD64 ABI: a called function preserves rbx, rbp, r12 to r15 and the stack pointer. All
// else the compiler has already saved around the call, so that six registers are enough.
// rdi: where to note our stack pointer. rsi: the other one's.
__asm__(".text\n"
        ".globl fiber_switch\n"
        ".type fiber_switch, @function\n"
        "fiber_switch:\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbx\n"
        "    pop %rbp\n"
        "    ret\n"
        ".size fiber_switch, . - fiber_switch\n");

// The stack looks as if entry() had once called fiber_switch: the first switch to it "returns"
// there.
Fiber fiber_new(char *top, void (*entry)(void))
{
    uintptr_t *sp = (uintptr_t *)((uintptr_t)top & ~(uintptr_t)15);
    *--sp = 0;                // entry's return address: there is none
    *--sp = (uintptr_t)entry; // where the first switch "returns" to
    for (int i = 0; i < 6; i++)
        *--sp = 0;            // rbp, rbx, r12 to r15
    return sp;
}

#elif defined(__aarch64__) && !defined(FIBER_UCONTEXT)

// AAPCS64: preserved are x19 to x28, x29 (frame), x30 (return), the lower halves of v8 to v15.
// 20 registers of 8 bytes: 160, a multiple of 16, as sp must be.
// x0: where to note our stack pointer. x1: the other one's. x30 holds the return address.
__asm__(".text\n"
        ".globl fiber_switch\n"
        ".type fiber_switch, %function\n"
        "fiber_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size fiber_switch, . - fiber_switch\n");

// As if stopped in the switch: twenty registers lie there, of which only the return address, the
// twelfth, matters.
Fiber fiber_new(char *top, void (*entry)(void))
{
    uintptr_t *sp = (uintptr_t *)((uintptr_t)top & ~(uintptr_t)15);
    for (int i = 0; i < 20; i++)
        *--sp = 0;
    sp[11] = (uintptr_t)entry; // x30
    return sp;
}

#else

// Any other machine: the C library's own switch. It asks the kernel about signals every time
// and is some forty times slower.
#include <stdlib.h>
#include <ucontext.h>

enum { ROOM = 128 << 10 }; // the context itself lies at the top of the stack, code below it

Fiber fiber_new(char *top, void (*entry)(void))
{
    ucontext_t *context = (ucontext_t *)(((uintptr_t)top - sizeof *context) & ~(uintptr_t)63);
    if (getcontext(context) != 0)
        abort();
    context->uc_stack.ss_sp = (char *)context - ROOM / 2;
    context->uc_stack.ss_size = ROOM / 2;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
    return context;
}

// The context is kept on the stack that it describes.
void fiber_switch(Fiber *from, Fiber to)
{
    ucontext_t here; // stays on our stack for as long as we are away
    *from = &here;
    if (swapcontext(&here, to) != 0)
        abort();
}

#endif
