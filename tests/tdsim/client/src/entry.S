# The way in by the Linux 64-bit boot protocol, and virtualisation exceptions with all registers.

.set OFFSET, 0xffffffff80000000

.section .text.entry, "ax"
.code64
.global linux_entry
linux_entry:
    cli
    cld
    leaq pml4(%rip), %rax
    movq %rax, %cr3
    movq $1f, %rax
    jmp *%rax
1:  leaq stack_top(%rip), %rsp
    lidt idt_pointer(%rip)
    xorl %ebp, %ebp
    call client_start
    ud2

.section .text.exceptions, "ax"
.global exception_stubs
exception_stubs:
.set vector, 0
.rept 32
    .balign 16
    .if vector != 8 && vector != 13 && vector != 14 && vector != 10 && vector != 11 && vector != 12 && vector != 17
        pushq $0
    .endif
    pushq $vector
    jmp exception
    .set vector, vector + 1
.endr
exception:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    cld
    call client_exception
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp
    iretq

# Pages of 1 GiB: identity, where we are linked, and the shared alias of the lowest 4 GiB (48 bits of guest addresses).
.section .data.tables, "aw"
.balign 4096
pml4:
    .quad pdpt_low - OFFSET + 3
    .fill 255, 8, 0
    .quad pdpt_shared - OFFSET + 3
    .fill 254, 8, 0
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
pdpt_shared:
    .quad 0x800000000083, 0x800040000083, 0x800080000083, 0x8000c0000083
    .fill 508, 8, 0
idt_pointer:
    .word 32 * 16 - 1
    .quad IDT

.section .bss.stack, "aw", @nobits
.balign 16
    .skip 0x10000
stack_top:
