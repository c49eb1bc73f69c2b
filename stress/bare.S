/* From multiboot's 32-bit start, and from a vCPU's 16-bit start, into long mode.
 *
 * All of the first 4 GiB is mapped one to one with 2 MiB pages, accessed and dirty
 * already, so that no page walk ever writes to memory. */
#include "workload.h"

#define STACK_BYTES 4096
#define TRAMPOLINE 0x8000
#define CODE64 0x08
#define DATA 0x10
#define CODE32 0x18

        .section .multiboot, "a"
        .align 4
header: .long 0x1BADB002, 0x00010002, -(0x1BADB002 + 0x00010002)
        .long header, image_start, image_loaded, image_end, start

        .text
        .code32
        .globl start
start:  cli
        cld
        movl %ebx, %esi
        xorl %eax, %eax
        movl $image_loaded, %edi
        movl $image_end, %ecx
        subl %edi, %ecx
        rep stosb
        movl %esi, boot_information

        movl $page_directories, %edi
        movl $0xe3, %eax                /* present, writable, accessed, dirty, 2 MiB */
1:      movl %eax, (%edi)
        addl $8, %edi
        addl $0x200000, %eax
        jnc 1b
        movl $page_directories + 0x23, %eax
        movl $page_pointers, %edi
        movl $4, %ecx
2:      movl %eax, (%edi)
        addl $8, %edi
        addl $4096, %eax
        loop 2b
        movl $page_pointers + 0x23, page_root

long_mode:                              /* every vCPU: flat 32-bit, no stack yet */
        movl %cr4, %eax
        orl $0x20, %eax                 /* PAE */
        movl %eax, %cr4
        movl $page_root, %eax
        movl %eax, %cr3
        movl $0xc0000080, %ecx          /* EFER.LME */
        rdmsr
        orl $0x100, %eax
        wrmsr
        movl %cr0, %eax
        andl $0x9fffffff, %eax          /* caches on */
        orl $0x80000000, %eax           /* paging */
        movl %eax, %cr0
        lgdt gdt_pointer
        ljmp $CODE64, $1f

        .code64
1:      movl $DATA, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        movl $1, %edi
        lock xaddl %edi, started        /* which vCPU this is, in order of arrival */
        cmpl $MAX_CPUS, %edi
        jae 3f
        movl %edi, %eax
        incl %eax
        imull $STACK_BYTES, %eax
        leaq stacks(%rax), %rsp
        xorl %ebp, %ebp
        call bare_main
3:      cli
        hlt
        jmp 3b

/* Copied to TRAMPOLINE, below 1 MiB, where a vCPU wakes up in real mode. */
        .code16
        .globl trampoline, trampoline_end
trampoline:
        cli
        xorw %ax, %ax
        movw %ax, %ds
        lgdtl TRAMPOLINE + low_pointer - trampoline
        movl %cr0, %eax
        orl $1, %eax
        movl %eax, %cr0
        ljmpl $CODE32, $protected
        .align 8
low_gdt:                                /* a copy: the real one is above 1 MiB */
        .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
low_pointer:
        .word 4 * 8 - 1
        .long TRAMPOLINE + low_gdt - trampoline
trampoline_end:

        .code32
protected:
        movl $DATA, %eax
        movl %eax, %ds
        movl %eax, %ss
        jmp long_mode

        .section .rodata
        .align 8
gdt:    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
gdt_pointer:
        .word 4 * 8 - 1
        .long gdt

        .bss
        .globl boot_information, started
        .align 4096
page_root:        .skip 4096
page_pointers:    .skip 4096
page_directories: .skip 4 * 4096
stacks:           .skip MAX_CPUS * STACK_BYTES
boot_information: .skip 4
started:          .skip 4

        .section .note.GNU-stack, "", @progbits
