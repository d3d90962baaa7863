# The way in: PVH's 32-bit entry (Xen's docs/misc/pvh.pandoc), long mode with four or five levels of page tables, a stack.
#
# Nested page tables have as many levels as the page tables of whoever runs VMRUN, and a domain with 52 bits of guest physical
# addresses needs five: so the width, which the pack has at a fixed place, is read before paging is on.
#
# Memory is mapped at its own addresses up to 512 GiB, and its first two GiB once more where we are linked.

.set OFFSET, 0xffffffff80000000
.set GPAW_OFFSET, 8
.set MSR_EFER, 0xc0000080
.set EFER_SVME_NXE_LME, 0x1900
.set CR0_PE_NE_WP_PG, 0x80010021
.set CR4_PAE_OSXSAVE, 0x40020
.set CR4_LA57, 0x1000
.set STACK_SIZE, 0x40000

.section .note.pvh, "a", @note
.balign 4
.long 4, 8, 18                          # name and descriptor length, XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.quad pvh_entry - OFFSET

.section .text.entry, "ax"
.code32
.global pvh_entry
pvh_entry:
    cli
    cld
    movl %ebx, %edi                     # hvm_start_info
    movl 16(%ebx), %esi                 # the list of modules
    movl (%esi), %esi                   # the first one: the pack
    movl GPAW_OFFSET(%esi), %esi
    movl %esi, width - OFFSET
    xorl %ebp, %ebp                     # number of this processor

# In: %ebp the number, %edi what to tell it.
enter_long_mode:
    lgdtl gdt_pointer_low - OFFSET
    movl $CR4_PAE_OSXSAVE, %eax
    movl $(pml4 - OFFSET), %edx
    cmpl $52, width - OFFSET
    jne 1f
    orl $CR4_LA57, %eax
    movl $(pml5 - OFFSET), %edx
1:  movl %eax, %cr4
    movl %edx, %cr3
    movl $MSR_EFER, %ecx
    xorl %edx, %edx
    movl $EFER_SVME_NXE_LME, %eax
    wrmsr
    movl $CR0_PE_NE_WP_PG, %eax
    movl %eax, %cr0
    ljmpl $0x10, $(long_mode - OFFSET)

.code64
long_mode:
    movq $high_half, %rax
    jmp *%rax
high_half:
    lgdt gdt_pointer(%rip)
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %ebp, %esi                     # second argument: the number
    movl %edi, %edi                     # first argument
    leal 1(%esi), %eax
    imulq $STACK_SIZE, %rax, %rax
    leaq stacks(%rip), %rsp
    addq %rax, %rsp
    xorl %ebp, %ebp
    lidt idt_pointer(%rip)
    call module_start
    ud2

# An application processor's first code. Copied to the page at 0x8000; real mode.
.section .rodata.ap, "a"
.global ap_trampoline
ap_trampoline:
.code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    movl ap_number - ap_trampoline, %ebp
    lgdtl ap_gdt_pointer - ap_trampoline
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x08, $(0x8000 + ap_protected - ap_trampoline)
.code32
ap_protected:
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $(enter_long_mode - OFFSET), %eax
    jmp *%eax
.balign 8
ap_gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt - OFFSET
.balign 4
.global ap_number
ap_number:
    .long 0
.global ap_trampoline_end
ap_trampoline_end:

.section .rodata.tables, "a"
.balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff            # 0x08: 32-bit code
    .quad 0x00af9b000000ffff            # 0x10: 64-bit code
    .quad 0x00cf93000000ffff            # 0x18: data
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt
gdt_pointer_low:
    .word gdt_end - gdt - 1
    .long gdt - OFFSET
.global idt_pointer
idt_pointer:
    .word 256 * 16 - 1
    .quad IDT

.balign 4096
pml5:
    .quad pml4 - OFFSET + 3
    .fill 510, 8, 0
    .quad pml4 - OFFSET + 3
pml4:
    .quad pdpt_low - OFFSET + 3
    .fill 510, 8, 0
    .quad pdpt_high - OFFSET + 3
pdpt_low:
    .set page, 0x83
    .rept 512
    .quad page
    .set page, page + 0x40000000
    .endr
pdpt_high:
    .fill 510, 8, 0
    .quad 0x00000083
    .quad 0x40000083

.section .data.width, "aw"
.balign 4
width:
    .long 0

.section .bss.stacks, "aw", @nobits
.balign 4096
.global stacks
stacks:
    .skip STACK_SIZE * 8

# Interrupts are let in for one instruction at a time (`wait`), and what comes leaves its vector in %eax and no way for a second one:
# the flag is cleared in what IRET restores.
.section .text.interrupts, "ax"
.code64
.balign 16
.global interrupt_stubs
interrupt_stubs:
.set vector, 0
.rept 256
    .balign 32
    .if vector == 2
        iretq
    .elseif vector < 32
        movl $vector, %edi
        movq %rsp, %rsi
        jmp module_exception
    .else
        movl $vector, %eax
        andl $~0x200, 16(%rsp)
        iretq
    .endif
    .set vector, vector + 1
.endr

# In: %rdi the guest's registers, %rsi the physical address of its VMCB. Global interrupt flag and IF are clear, before and after.
.global svm_run
svm_run:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movq %rsi, %rax
    movq 0(%rdi), %rbx
    movq 8(%rdi), %rcx
    movq 16(%rdi), %rdx
    movq 24(%rdi), %rsi
    movq 40(%rdi), %rbp
    movq 48(%rdi), %r8
    movq 56(%rdi), %r9
    movq 64(%rdi), %r10
    movq 72(%rdi), %r11
    movq 80(%rdi), %r12
    movq 88(%rdi), %r13
    movq 96(%rdi), %r14
    movq 104(%rdi), %r15
    movq 32(%rdi), %rdi
    vmrun %rax
    xchgq %rdi, (%rsp)
    movq %rbx, 0(%rdi)
    movq %rcx, 8(%rdi)
    movq %rdx, 16(%rdi)
    movq %rsi, 24(%rdi)
    movq %rbp, 40(%rdi)
    movq %r8, 48(%rdi)
    movq %r9, 56(%rdi)
    movq %r10, 64(%rdi)
    movq %r11, 72(%rdi)
    movq %r12, 80(%rdi)
    movq %r13, 88(%rdi)
    movq %r14, 96(%rdi)
    movq %r15, 104(%rdi)
    popq %rax
    movq %rax, 32(%rdi)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
